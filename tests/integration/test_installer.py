"""An installer image in small: its port is found and named, it has an address, and its disks are looked at unasked."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from pre_nixos.lab.description import Lab, LabDisk

if TYPE_CHECKING:
    from pre_nixos.host.questions import Ran
    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

NEAR, FAR = "52:54:00:00:00:0a", "52:54:00:00:00:0b"
NETWORKD = "/lib/systemd/systemd-networkd"
SMALL = ("--policy", "single", "--least", "300MiB")


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    """A server with two ports, both with a cable, and what nothing on them is hardware."""
    there = boot_shared(Lab(disks=(LabDisk(name="a", size=1 << 30),), ports=(FAR, NEAR), modules=("veth",)))
    there.script(
        """
        ip link add va type veth peer name vb
        ip link set va up; ip link set vb up
        udevadm trigger --action=add --subsystem-match=net
        udevadm settle
        """
    )
    return there


def pre_nixos(guest: Guest, *words: str, check: bool = True) -> Ran:
    path = os.pathsep.join(each for each in sys.path if each)
    argv = [sys.executable, "-m", "pre_nixos.cli", *words]
    return guest.run(argv, environment={"PYTHONPATH": path}, timeout=180, check=check)


def names(guest: Guest) -> dict[str, str]:
    listed = msgspec.json.decode(guest.run(["ip", "-json", "link"]).stdout, type=list[dict[str, object]])
    return {str(each["ifname"]): str(each["address"]) for each in listed}


def test_the_port_is_found_named_by_udev_and_given_an_address_by_networkd(guest: Guest) -> None:
    before = names(guest)
    assert "lan" not in before
    ran = pre_nixos(guest, "lan", "--wait", "30")
    assert "It is called lan." in ran.stdout
    after = names(guest)
    assert after["lan"] == NEAR  # in the order of PCI, not of the kernel's names
    assert {mac for name, mac in before.items() if name not in after} == {NEAR}
    again = pre_nixos(guest, "lan", "--wait", "30")
    assert "Nothing had to be written." in " ".join(again.stdout.split())

    guest.script("mkdir -p /run/systemd/netif && chown systemd-network: /run/systemd/netif")
    guest.start([NETWORKD], log="/run/networkd.log")
    deadline = time.monotonic() + 60
    while "lan" not in (said := pre_nixos(guest, "announce", "--wait", "5", "--console", "/dev/null").stdout):
        assert time.monotonic() < deadline, guest.run(["cat", "/run/networkd.log"]).stdout
    assert "pre-nixos: ssh root@10.0.2.15   (lan)" in said


def test_a_port_in_use_keeps_its_name_and_is_not_cut_off(guest: Guest) -> None:
    other = next(name for name, mac in names(guest).items() if mac == FAR)
    guest.script(f"ip link set lan down; ip link set lan name was; ip link set {other} up")
    ran = pre_nixos(guest, "lan", "--mac", FAR)
    assert "because it is in use" in " ".join(ran.stderr.split())
    assert names(guest)[other] == FAR
    assert "UP" in guest.run(["ip", "link", "show", other]).stdout


def test_blank_disks_are_proven_planned_for_and_made_only_where_that_was_switched_on(guest: Guest) -> None:
    def status() -> str:
        return guest.run(["cat", "/run/pre-nixos/storage-status"]).stdout.splitlines()[0]

    assert pre_nixos(guest, "detect-storage").stdout.startswith("blank: one disk, and nothing on it")
    pre_nixos(guest, "auto", *SMALL)
    assert status() == "STATE=planned"
    assert pre_nixos(guest, "status", check=False).status == 3
    pre_nixos(guest, "auto", *SMALL, "--apply")
    assert status() == "STATE=auto-applied"
    log = guest.run(["cat", "/var/log/pre-nixos/actions.log"]).stdout
    pre_nixos(guest, "auto", *SMALL, "--apply")
    assert guest.run(["cat", "/var/log/pre-nixos/actions.log"]).stdout == log
    assert pre_nixos(guest, "status").status == 0
    assert pre_nixos(guest, "detect-storage", check=False).status == 3
    assert "Everything is as wanted" in pre_nixos(guest, "report").stdout
