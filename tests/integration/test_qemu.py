"""Guests on QEMU: what User Mode Linux cannot be, and that whatever runs on one runs on the other."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from pre_nixos.flow.probe import probe
from pre_nixos.host.api import CheckHeld, Hold, LetGo
from pre_nixos.host.questions import LookAround, ReadAt, ReadBlockNodes, SafeProbe, Verdict
from pre_nixos.lab import fabric, hardware, keeper, residue
from pre_nixos.lab.choice import Kind
from pre_nixos.lab.description import Attachment, Lab, LabDisk, LabError
from pre_nixos.lab.guest import CommandFailed
from tests.integration.one_disk import Machine

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from pre_nixos.host.questions import BlockNode
    from pre_nixos.lab.guest import Guest
    from pre_nixos.model.layer import Disk
    from tests.integration.conftest import BootGuest

MIB = 1 << 20
NVME, USB, PLAIN = Attachment.NVME, Attachment.USB, Attachment.PLAIN
UUID = "0b6a3c56-1d3e-4f0e-8a55-d3b1e0a7c001"
DISKS = (
    LabDisk(name="fast", size=256 * MIB, serial="S4EMNX0R1", attachment=NVME, wwn="eui.5000c500a1b2c3d4"),
    LabDisk(name="coarse", size=256 * MIB, attachment=NVME, block_size=4096, wwn=f"uuid.{UUID}"),
    LabDisk(name="nameless", size=64 * MIB, serial="NVNONE", attachment=NVME),
    LabDisk(name="slow", size=256 * MIB, vendor="ACME", model="ROOMY", rotational=True, wwn="naa.5000c500a1b2c3d5"),
    LabDisk(name="coarse-scsi", size=256 * MIB, block_size=4096),
    LabDisk(name="pulled", size=64 * MIB),
    LabDisk(name="cartridge", size=64 * MIB, serial="CART1", removable=True),
    LabDisk(name="stick", size=64 * MIB, serial="STICK1", vendor="ACME", model="STICK", attachment=USB, removable=True),
    LabDisk(name="usb-disk", size=64 * MIB, rotational=True, attachment=USB),
    LabDisk(name="plain", size=64 * MIB, attachment=PLAIN),
    LabDisk(name="far", size=128 * MIB),
)
TRANSPORTS = {NVME: "nvme", USB: "usb", PLAIN: "virtio", Attachment.SCSI: "virtio"}


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somewhere on the host that the guest can see."""
    place = tmp_path_factory.mktemp("outside")
    (place / "file").write_text("mine\n")
    return place


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest, outside: Path) -> Guest:
    return boot_shared(Lab(disks=DISKS, firmware="uefi"), visible=(str(outside),))


@pytest.fixture(scope="module")
def nodes(guest: Guest) -> dict[str, BlockNode]:
    return nodes_of(guest)


@pytest.fixture(scope="module")
def disks(guest: Guest) -> dict[str, Disk]:
    return disks_of(guest)


def nodes_of(guest: Guest) -> dict[str, BlockNode]:
    return {node.name: node for node in guest.host.ask(ReadBlockNodes()).nodes}


def disks_of(guest: Guest) -> dict[str, Disk]:
    return {each.device.name: each for each in probe(guest.host).all_disks if each.device}


def test_it_is_debians_kernel_with_its_modules(guest: Guest) -> None:
    around = guest.host.ask(LookAround(tools=("nvme", "no-such-tool")))
    assert (around.root, around.firmware, set(around.tools)) == (True, "uefi", {"nvme"})
    release = guest.run(["uname", "-r"]).stdout.strip()
    assert os.path.exists(f"/boot/vmlinuz-{release}")
    assert "um" not in release
    assert set(guest.timings) == {"kernel", "imports", "root", "modules", "disks", "udevd", "settle", "boot"}


@pytest.mark.parametrize("disk", DISKS, ids=lambda disk: disk.name)
def test_disks_are_what_was_asked_for(
    guest: Guest, nodes: Mapping[str, BlockNode], disks: Mapping[str, Disk], disk: LabDisk
) -> None:
    name = guest.kernel_name(disk.name)
    shown, found = nodes[name].attributes, disks[name]
    assert found.device is not None
    assert found.size == disk.size == int(shown["size"]) * 512
    assert found.serial == disk.serial_shown
    assert found.device.transport == TRANSPORTS[disk.attachment]
    assert found.device.rotational is disk.rotational
    assert found.device.removable is disk.removable
    assert found.device.logical_block == disk.block_size
    if disk.attachment in {Attachment.SCSI, USB}:
        assert (shown["device/vendor"], shown["device/model"]) == (disk.vendor, disk.model)
    if hardware.wwn_of(disk):
        assert found.wwn == hardware.wwn_of(disk)


def test_only_artefacts_of_the_host_are_writable(guest: Guest, outside: Path) -> None:
    assert keeper.available(), "this host's kernel has no Landlock: whoever breaks out of QEMU could write to the host"
    inside = str(outside)
    assert guest.run(["cat", "file"], directory=inside).stdout == "mine\n"
    # Its root may well think that the host's tree can be written: the host does not.
    guest.run(["mount", "-o", "remount,rw", inside])
    for attempt in ("echo theirs > file", "rm file", "touch new"):
        with pytest.raises(CommandFailed, match="Read-only"):
            guest.run(["sh", "-c", attempt], directory=inside)
    assert [(path.name, path.read_text()) for path in outside.iterdir()] == [("file", "mine\n")]
    guest.run(["sh", "-euc", f"echo hello > {guest.artefacts}/note; touch /etc/written"])
    note = os.path.join(guest.artefacts, "note")
    with open(note) as file:
        assert file.read() == "hello\n"
    os.unlink(note)
    assert not os.path.exists("/etc/written")
    with tempfile.NamedTemporaryFile(dir="/tmp") as theirs:
        assert guest.run(["test", "-e", theirs.name], check=False).status == 1


@pytest.mark.parametrize("length", [0, 4096, 1_000_000])
def test_the_line_carries_any_length_both_ways(guest: Guest, length: int) -> None:
    assert guest.run(["cat"], stdin="ü" * length).stdout == "ü" * length


@pytest.mark.parametrize("disk", ["fast", "coarse", "slow", "usb-disk", "plain"])
def test_what_is_written_is_in_the_image(guest: Guest, disk: str) -> None:
    before = guest.hash_disk(disk)
    guest.script(f"printf '\\377\\0\\n' | dd of={guest.node(disk)} conv=notrunc,fsync")
    assert guest.hash_disk(disk) != before
    number = guest.run(["cat", f"/sys/block/{guest.kernel_name(disk)}/dev"]).stdout.strip()
    assert guest.host.ask(ReadAt(number=number, offset=0, length=4096)).data[:4] == b"\xff\0\n\0"
    with open(guest.image(disk), "rb") as image:
        assert image.read(4) == b"\xff\0\n\0"


@pytest.mark.parametrize("disk", ["pulled", "nameless", "stick"])
def test_a_held_disk_that_is_pulled_is_noticed(guest: Guest, disk: str) -> None:
    pulled, other = Machine(guest, disk), Machine(guest, "slow")
    numbers = (pulled.number(pulled.name), other.number(other.name))
    other.done(Hold(numbers=numbers))
    other.done(CheckHeld())
    guest.pull(disk)
    other.refused(CheckHeld(), f"{pulled.node} ({numbers[0]}) is no longer the disk it was")
    other.done(LetGo())
    other.done(CheckHeld())
    assert guest.kernel_name(disk) not in nodes_of(guest)


def test_a_plain_disk_cannot_be_pulled(guest: Guest) -> None:
    with pytest.raises(LabError, match="disk 'plain': a plain disk cannot be pulled"):
        guest.pull("plain")


@pytest.fixture(scope="module")
def served(guest: Guest) -> Generator[str]:
    """The kernel name of a namespace over TCP, backed by the disk `far`."""
    fabric.share(guest, "far")
    name = fabric.connect(guest)
    yield name
    fabric.disconnect(guest)
    assert name not in nodes_of(guest)


def test_a_disk_is_served_over_tcp_lost_and_found(guest: Guest, served: str) -> None:
    name = served
    node = nodes_of(guest)[name]
    assert node.attributes["wwid"] == f"uuid.{fabric.UUID}"
    # The path to it is a block device in sysfs too, though one that nobody can open: it must not be taken for a disk.
    hidden = guest.script("cd /sys/class/block; ls -d nvme*c*n*").stdout.split()
    assert len(hidden) == 1
    found = disks_of(guest)
    assert not set(hidden) & (found.keys() | nodes_of(guest).keys())
    assert (found[name].serial, found[name].wwn) == (fabric.SERIAL, f"uuid.{fabric.UUID}")
    assert found[name].size == guest.disk("far").size
    assert content(guest, name) is Verdict.BLANK

    fabric.cut(guest)
    assert name in disks_of(guest)
    assert content(guest, name) is Verdict.BUSY

    fabric.restore(guest)
    fabric.await_state(guest, "live")
    assert content(guest, name) is Verdict.BLANK
    guest.script(f"mkfs.ext4 -q /dev/{name}; sync")
    # What was read of the disk itself before is still remembered: the target writes past that.
    guest.run(["blockdev", "--flushbufs", guest.node("far")])
    assert guest.run(["blkid", "-p", "-o", "value", "-s", "TYPE", guest.node("far")]).stdout.strip() == "ext4"


def test_a_namespace_that_is_held_keeps_its_name_when_another_comes_back(guest: Guest, served: str) -> None:
    far, held = nodes_of(guest)[served].number, Machine(guest, "slow")
    held.done(Hold(numbers=(far,)))
    fabric.cut(guest)
    fabric.become(guest, fabric.OTHER_UUID)
    fabric.restore(guest)
    fabric.await_state(guest, "live")
    fabric.rescan(guest)
    other = fabric.name_of(guest)
    assert nodes_of(guest)[other].attributes["wwid"] == f"uuid.{fabric.OTHER_UUID}"
    assert other != served
    held.refused(CheckHeld(), f"/dev/{served} ({far}) is no longer the disk it was")
    held.done(LetGo())

    # Held by nobody, the name goes to whoever comes next.
    fabric.cut(guest)
    fabric.become(guest, fabric.UUID)
    fabric.restore(guest)
    fabric.await_state(guest, "live")
    fabric.rescan(guest)
    assert fabric.name_of(guest) == served


def content(guest: Guest, name: str) -> Verdict:
    number = nodes_of(guest)[name].number
    (device,) = guest.host.ask(SafeProbe(numbers=(number,), windows=True)).devices
    return device.verdict


@pytest.mark.parametrize("kind", Kind)
def test_one_scenario_runs_on_every_kind(boot_fresh: BootGuest, kind: Kind) -> None:
    guest = boot_fresh(Lab(disks=tuple(LabDisk(name=name, size=256 * MIB) for name in "ab")), kind)
    guest.dirty(residue.OLD_SWAP_ARRAY, "a", "b")
    assert set(nodes_of(guest)["md127"].slaves) == {f"{guest.kernel_name(name)}1" for name in "ab"}
    guest.run(["sync"])
    process = guest.start(["sleep", "600"], log="/dev/null")
    guest.power_cut()
    guest.boot()
    assert guest.run(["kill", "-0", str(process)], check=False).status != 0
    assert set(nodes_of(guest)["md127"].slaves) == {f"{guest.kernel_name(name)}1" for name in "ab"}


def test_what_the_guest_cannot_be_is_refused(boot_fresh: BootGuest) -> None:
    with pytest.raises(LabError, match="QEMU cannot make this machine:\ndisk 'a': 513 bytes is not"):
        boot_fresh(Lab(disks=(LabDisk(name="a", size=513),)), Kind.QEMU)
