"""lan: which port it is, what is written about it, and that nothing is where there is none."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from pre_nixos.installer.files import NotDone
from pre_nixos.installer.lan import set_up_lan
from pre_nixos.installer.ports import ports, read_mac
from tests.unit.installer.bench import DOWN, UP, called, flags, only_stand_ins, port, program

if TYPE_CHECKING:
    from pathlib import Path

A, B, C = (f"52:54:00:00:00:0{each}" for each in "abc")
LINK = "run/systemd/network/10-pre-nixos-lan.link"
NETWORK = "run/systemd/network/10-pre-nixos-lan.network"
RENAMES = 'for last; do :; done; case "$1" in trigger) mv "$last" "${last%/*}/lan";; esac'


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    only_stand_ins(tmp_path, monkeypatch)
    # Nothing but the shell's own commands is on the path of a stand-in, and `mv` is none of them.
    program(tmp_path, "udevadm", f"PATH=/usr/bin:/bin\n{RENAMES}")
    program(tmp_path, "systemctl", "exit 0")
    return tmp_path


def written(root: Path) -> list[str]:
    return sorted(str(each.relative_to(root)) for each in (root / "run").rglob("*") if each.is_file())


def test_nobody_waits_for_a_device_that_is_gone_once_it_has_another_name(root: Path) -> None:
    port(root, "eth0", mac=A)
    set_up_lan(str(root), settle=0)
    trigger = next(each for each in called(root) if "trigger" in each)
    assert trigger == f"udevadm trigger --action=add {root}/sys/class/net/eth0"


def test_what_has_a_carrier_goes_before_what_is_faster_or_nearer(root: Path) -> None:
    port(root, "eth0", mac=A, carrier=False, speed=10000, pci="0000:00:01.0")
    port(root, "eth1", mac=B, carrier=True, speed=1000, pci="0000:00:02.0")
    done = set_up_lan(str(root), settle=0)
    assert (done.port.mac, done.renamed, done.changed) == (B, True, True)
    assert f"PermanentMACAddress={B}\n" in (root / LINK).read_text()
    assert "\nName=lan\n" in (root / LINK).read_text()
    assert f"[Match]\nPermanentMACAddress={B}\n\n[Network]\nDHCP=yes\n" in (root / NETWORK).read_text()


def test_then_speed_counts_and_then_the_order_of_pci(root: Path) -> None:
    port(root, "eth0", mac=A, speed=1000, pci="0000:00:02.0")
    port(root, "eth1", mac=B, speed=10000, pci="0000:04:00.0")
    port(root, "eth2", mac=C, speed=10000, pci="0000:03:00.0")
    assert [each.mac for each in ports(str(root))] == [C, B, A]


def test_nothing_but_hardware_is_a_port(root: Path) -> None:
    port(root, "lo", mac="00:00:00:00:00:00", hardware=False, type_=772)
    port(root, "veth0", mac=A, hardware=False)
    port(root, "br0", mac=A, marks=("bridge",))
    port(root, "bond0", mac=A, marks=("bonding",), hardware=False)
    port(root, "eth7", mac=A, marks=("master",))
    port(root, "wlan0", mac=A, marks=("wireless", "phy80211"))
    port(root, "wlan1", mac=A, kind="wlan")
    port(root, "ib0", mac=A, type_=32)
    port(root, "tap0", mac=A, marks=("tun_flags",))
    (root / "sys/class/net/bonding_masters").write_text("bond0\n")
    assert ports(str(root)) == []
    with pytest.raises(NotDone, match="no wired network port"):
        set_up_lan(str(root), wait=0)
    assert written(root) == [] if (root / "run").exists() else True


def test_without_a_carrier_everything_is_left_as_it_was(root: Path) -> None:
    off = port(root, "eth0", mac=A, carrier=None, up=False)
    on = port(root, "eth1", mac=B, carrier=False, pci="0000:00:04.0")
    with pytest.raises(NotDone, match=r"No network port has a carrier, after 0 s: eth0 .*, eth1 .*Nothing was changed"):
        set_up_lan(str(root), wait=0)
    assert (flags(off), flags(on)) == (DOWN, UP)
    assert not (root / LINK).exists()
    assert called(root) == []


def test_a_port_is_switched_on_to_find_its_carrier_and_off_again_to_be_named(root: Path) -> None:
    folder = port(root, "eth0", mac=A, carrier=None, up=False)
    seen: list[int] = []

    def plug() -> None:
        seen.append(flags(folder))
        (folder / "carrier").write_text("1\n")

    timer = threading.Timer(0.4, plug)
    timer.start()
    told: list[str] = []
    done = set_up_lan(str(root), wait=20, settle=0, tell=told.append)
    timer.join()
    assert seen == [UP]
    assert done.renamed
    assert flags(root / "sys/class/net/lan") == DOWN
    assert told == ["Waiting up to 20 s for a carrier."]


def test_a_port_that_appears_late_is_waited_for(root: Path) -> None:
    port(root, "eth0", mac=A, carrier=False)
    timer = threading.Timer(0.3, lambda: port(root, "eth1", mac=B, pci="0000:00:05.0"))
    timer.start()
    assert set_up_lan(str(root), wait=20, settle=0).port.mac == B
    timer.join()


def test_a_second_run_changes_nothing(root: Path) -> None:
    port(root, "eth0", mac=A)
    set_up_lan(str(root), settle=0)
    before = (called(root), (root / LINK).stat().st_mtime_ns)
    again = set_up_lan(str(root), settle=0)
    assert (again.renamed, again.changed, again.remarks) == (True, False, ())
    assert (called(root), (root / LINK).stat().st_mtime_ns) == before


def test_what_was_named_stays_as_long_as_it_has_a_carrier(root: Path) -> None:
    port(root, "eth0", mac=A, speed=1000)
    set_up_lan(str(root), settle=0)
    port(root, "eth1", mac=B, speed=10000, pci="0000:00:05.0")
    assert set_up_lan(str(root), settle=0).port.mac == A


def test_a_name_that_another_device_has_is_left_to_it(root: Path) -> None:
    port(root, "lan", mac=A, hardware=False)
    off = port(root, "eth1", mac=B, up=False)
    with pytest.raises(NotDone, match=f"lan is the name of another network device already \\({A}\\)"):
        set_up_lan(str(root), settle=0)
    assert not (root / LINK).exists()
    assert flags(off) == DOWN
    assert called(root) == []


def test_the_address_that_is_given_counts_whatever_has_a_carrier(root: Path) -> None:
    port(root, "eth0", mac=A)
    port(root, "eth1", mac=B, carrier=False, pci="0000:00:05.0")
    assert set_up_lan(str(root), mac=B.upper().replace(":", "-")).port.mac == B


def test_an_address_that_no_port_has_is_said_with_those_there_are(root: Path) -> None:
    port(root, "eth0", mac=A)
    port(root, "br0", mac=C, marks=("bridge",))
    with pytest.raises(NotDone, match=f"has the address {B}, after 0 s. There are: eth0 .{A}"):
        set_up_lan(str(root), mac=B, wait=0)
    with pytest.raises(NotDone, match=r"br0 has the address .* but is a bridge"):
        set_up_lan(str(root), mac=C, wait=0)
    assert not (root / LINK).exists()


@pytest.mark.parametrize(
    "mac", ["", "x", "52:54:00:00:00", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", f"{A}\n{B}", "$(id)"]
)
def test_garbage_is_no_address(mac: str) -> None:
    with pytest.raises(NotDone, match="no MAC address"):
        read_mac(mac)


def test_an_address_that_is_not_the_hardwares_own_is_matched_by_its_place(root: Path) -> None:
    port(root, "eth0", mac=A, permanent=False, path="pci-0000:00:03.0")
    set_up_lan(str(root), settle=0)
    assert "[Match]\nPath=pci-0000:00:03.0\n\n" in (root / LINK).read_text()


def test_two_ports_of_one_address_are_told_apart_by_their_place(root: Path) -> None:
    port(root, "eth0", mac=A, path="pci-0000:00:03.0", carrier=False)
    port(root, "eth1", mac=A, path="pci-0000:00:05.0", pci="0000:00:05.0")
    set_up_lan(str(root), settle=0)
    assert f"[Match]\nPermanentMACAddress={A}\nPath=pci-0000:00:05.0\n" in (root / LINK).read_text()


def test_what_cannot_be_told_from_others_is_not_named(root: Path) -> None:
    port(root, "eth0", mac=A, permanent=False)
    with pytest.raises(NotDone, match="can be told from no other"):
        set_up_lan(str(root), settle=0)
    assert not (root / LINK).exists()


def test_a_port_in_use_that_udev_does_not_name_gets_its_address_all_the_same(root: Path) -> None:
    program(root, "udevadm", "echo refused >&2; exit 1")
    port(root, "eth0", mac=A)
    done = set_up_lan(str(root), settle=0)
    assert not done.renamed
    assert any("not called lan yet, because it is in use" in each for each in done.remarks)
    assert (root / NETWORK).exists()


def test_an_image_without_udev_and_networkd_is_told_of(root: Path) -> None:
    for each in ("udevadm", "systemctl"):
        (root / "bin" / each).unlink()
    port(root, "eth0", mac=A)
    done = set_up_lan(str(root), settle=0)
    assert "udevadm control: missing." in done.remarks
    assert any(each.startswith("systemd-networkd was not told") for each in done.remarks)


def test_no_file_is_written_through_a_link(root: Path) -> None:
    elsewhere = root / "elsewhere"
    elsewhere.mkdir()
    (root / "run").mkdir()
    (root / "run/systemd").symlink_to(elsewhere)
    port(root, "eth0", mac=A)
    with pytest.raises(NotDone, match="leads through a link"):
        set_up_lan(str(root), settle=0)
    assert list(elsewhere.iterdir()) == []
