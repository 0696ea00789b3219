"""Where stacks begin and what nobody claims: disks, loop devices, tables that are no GPT, unknown signatures."""

from __future__ import annotations

import struct

import pytest

from pre_nixos.backends import disks, dos, loop, unrecognised
from pre_nixos.backends.dos import Slot, slots_of
from pre_nixos.backends.loop import Loop
from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import Registry
from pre_nixos.host.questions import BlockNode
from pre_nixos.host.survey import Memo
from pre_nixos.model.identity import assemble
from pre_nixos.plugin import (
    MIB,
    WINDOWS,
    Disk,
    Exact,
    Node,
    Range,
    RequireFree,
    Run,
    Unrecognised,
    WriteTable,
    Zero,
)
from tests.unit.backends.canned import Canned, disk
from tests.unit.backends.sole import sole

DISK = Node(layer="disk:d")
ROOT = (Disk(id="disk:d", serial="S"), ())


@pytest.mark.parametrize(
    ("path", "is_disk"),
    [
        ("/sys/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda", True),
        ("/sys/devices/pci0000:00/0000:00:06.0/nvme/nvme0/nvme0n1", True),
        ("/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1", True),
        ("/sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda", True),
        ("/sys/devices/platform/uml-blkdev.0/block/ubda", True),
        ("/sys/devices/vbd-51712/block/xvda", True),
        ("/sys/devices/pseudo_0/adapter0/host1/target1:0:0/1:0:0:0/block/sdb", True),
        ("/sys/devices/platform/soc/mmc0/mmc0:0001/block/mmcblk0", True),
        ("/sys/devices/platform/soc/mmc0/mmc0:0001/block/mmcblk0/mmcblk0boot0", False),
        ("/sys/devices/virtual/block/loop0", False),
        ("/sys/devices/virtual/block/dm-3", False),
        ("/sys/devices/virtual/block/md127", False),
        ("/sys/devices/virtual/block/bcache0", False),
        ("/sys/devices/virtual/block/zd16", False),
        ("/sys/devices/virtual/block/drbd1", False),
        ("/sys/devices/virtual/block/something-new", False),
    ],
)
def test_what_is_a_disk(path: str, is_disk: bool) -> None:  # noqa: FBT001 - a column
    node = BlockNode(name=path.rpartition("/")[2], number="1:0", path=path, attributes={"size": "8"})
    assert disks.is_disk(node) is is_disk


def test_neither_partitions_nor_what_stands_on_something() -> None:
    path = "/sys/devices/pci0/block/x"
    assert not disks.is_disk(BlockNode(name="sda1", number="8:1", parent="sda", path=path))
    assert not disks.is_disk(BlockNode(name="new0", number="9:1", slaves=("sda",), path=path))


def test_a_disk_says_what_is_printed_on_it() -> None:
    node = disk("sda", "8:0", 1 << 30, **{"device/serial": "S-1", "device/model": "Speedy"})
    (found,) = Calls(Registry({"disks": disks})).probe(Memo(Canned([node])))
    assert isinstance(found.layer, Disk)
    assert (found.layer.serial, found.layer.model, found.layer.size) == ("S-1", "Speedy", 1 << 30)
    assert found.layer.wwn == "naa.sda"


def test_a_loop_device_is_detached_once_it_is_free() -> None:
    graph = assemble([ROOT, (Loop(file="/img"), (0,))])
    node = Node(layer="disk:d/loop@/img")
    action = sole(loop.detach(graph.of(Loop)[0], graph))
    assert action.steps == (RequireFree(target=node), Run(argv=("losetup", "--detach", node)))


@pytest.mark.parametrize(
    ("what", "beyond"),
    [
        ("zfs_member", []),
        ("btrfs", [64 * MIB, 256 * 1024 * MIB, 1024 * 1024 * 1024 * MIB]),
        ("ceph_bluestore", [1024 * MIB * 10**power for power in range(4)]),
    ],
)
def test_what_is_cleared_of_a_signature_nobody_claims(what: str, beyond: list[int]) -> None:
    graph = assemble([ROOT, (Unrecognised(what=what), (0,))])
    action = sole(unrecognised.remove(graph.of(Unrecognised)[0], graph))
    ranges = (*WINDOWS, *(Range(start=start, length=MIB) for start in beyond))
    assert action.steps == (RequireFree(target=DISK), Zero(target=DISK, ranges=ranges))
    assert what in action.summary


def test_what_is_immovable_is_never_written_to() -> None:
    graph = assemble([ROOT, (Unrecognised(what="in use by nobody knows what", immovable=True), (0,))])
    action = sole(unrecognised.remove(graph.of(Unrecognised)[0], graph))
    assert action.steps == (RequireFree(target=DISK),)


def mbr(*entries: tuple[int, int, int, int]) -> bytes:
    raw = b"".join(struct.pack("<B3xB3xII", *each) for each in entries)
    return bytes(446) + raw.ljust(64, b"\0") + b"\x55\xaa"


def test_reading_an_mbr() -> None:
    sector = mbr((0x80, 0x83, 2048, 4096), (0, 0, 0, 0), (0, 5, 8192, 100))
    assert slots_of(sector, 4096) == {
        1: Slot(1, 2048 * 4096, 4096 * 4096, "83", bootable=True),
        3: Slot(3, 8192 * 4096, 100 * 4096, "05", bootable=False),
    }


@pytest.mark.parametrize("sector", [b"", bytes(512), mbr()[:510]])
def test_what_is_no_mbr_has_no_partitions(sector: bytes) -> None:
    assert not slots_of(sector)


def test_removing_an_mbr_clears_where_its_partitions_were() -> None:
    part = dos.Partition(number=1, start=63 * 512, size=Exact(bytes=MIB))
    graph = assemble([ROOT, (dos.Table(), (0,)), (part, (1,))])
    action = sole(dos.remove(graph.of(dos.Table)[0], graph))
    assert action.summary == "remove the MBR with 1 partition from disk S"
    assert action.steps == (
        RequireFree(target=DISK),
        WriteTable(target=DISK),
        Zero(target=DISK, ranges=(Range(start=63 * 512, length=MIB),)),
        Zero(target=DISK, ranges=WINDOWS),
    )
