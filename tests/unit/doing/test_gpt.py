"""Tables laid out by libparted on a sparse file, read and amended by us."""

from __future__ import annotations

from typing import TYPE_CHECKING

import parted
import pytest

from pre_nixos.host.doing import gpt
from pre_nixos.host.doing.gpt import Protection
from pre_nixos.model.step import MIB, TableEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

SIZE = 64 * MIB
ROOT = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
ASKED = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


def lay_out(path: Path, parts: Iterable[tuple[int, int]]) -> None:
    device = parted.getDevice(str(path))
    table = parted.freshDisk(device, "gpt")
    for start, length in parts:
        geometry = parted.Geometry(device=device, start=start * MIB // 512, length=length * MIB // 512)
        table.addPartition(
            partition=parted.Partition(disk=table, type=parted.PARTITION_NORMAL, geometry=geometry),
            constraint=parted.Constraint(exactGeom=geometry),
        )
    table.commitToDevice()
    device.removeFromCache()


def reader(path: Path) -> Callable[[int, int], bytes]:
    content = path.read_bytes()
    return lambda at, length: content[at : at + length]


def read(path: Path) -> gpt.Table:
    return gpt.read_table(reader(path), path.stat().st_size, 512)


def amend(path: Path, wanted: list[TableEntry], before: Iterable[gpt.Entry] = ()) -> gpt.Table:
    made = read(path)
    assert made.primary
    assert made.backup
    array = gpt.compose(made.primary.entries, wanted, before, 128, 128)
    with path.open("r+b") as file:
        for copy in (made.backup, made.primary):
            amended = gpt.with_array(copy, array)
            file.seek(copy.fields.array_at * 512)
            file.write(amended.array)
            file.seek(copy.fields.here * 512)
            file.write(amended.header)
    return read(path)


def wish(number: int, start: int, length: int, kind: str = ROOT, **more: object) -> TableEntry:
    return TableEntry(number=number, start=start * MIB, length=length * MIB, type=kind, **more)  # type: ignore[arg-type] # columns of a table


def test_what_libparted_writes_is_read_as_it_meant_it(disk: Path) -> None:
    lay_out(disk, [(1, 10), (20, 5)])
    table = read(disk)
    assert table.sound(SIZE)
    assert gpt.protection(disk.read_bytes()[:512]) is Protection.PROTECTIVE
    assert [(e.number, e.start, e.length) for e in table.entries] == [(1, MIB, 10 * MIB), (2, 20 * MIB, 5 * MIB)]
    assert table.primary
    assert table.primary.has_room([wish(128, 1, 1)])
    assert not table.primary.has_room([wish(1, 63, 1)])


def test_types_names_numbers_and_uuids_get_into_both_copies(disk: Path) -> None:
    lay_out(disk, [(1, 10), (20, 5)])
    wanted = [
        wish(1, 1, 10, ESP, name="esp ü", attributes=1 << 2),
        wish(7, 20, 5, uuid=ASKED),
    ]
    table = amend(disk, wanted)
    assert table.sound(SIZE)
    assert not gpt.differences(table.entries, wanted)
    esp, root = table.entries
    assert (esp.type, esp.name, esp.attributes) == (ESP, "esp ü", 4)
    assert (root.number, root.uuid, root.type) == (7, ASKED, ROOT)
    # libparted still takes it for its own
    device = parted.getDevice(str(disk))
    assert [p.number for p in parted.newDisk(device).partitions] == [1, 7]
    device.removeFromCache()


def test_a_kept_partition_keeps_what_nobody_asked_to_change(disk: Path) -> None:
    lay_out(disk, [(1, 10), (20, 5)])
    before = amend(disk, [wish(1, 1, 10, name="old", uuid=ASKED, attributes=5), wish(2, 20, 5)]).entries
    lay_out(disk, [(1, 15), (20, 5)])
    wanted = [wish(1, 1, 15, ESP), wish(3, 20, 5)]
    table = amend(disk, wanted, before)
    grown, moved = table.entries
    assert (grown.uuid, grown.name, grown.attributes, grown.type) == (ASKED, "old", 5, ESP)
    assert grown.length == 15 * MIB
    assert moved.uuid != before[1].uuid
    assert not gpt.differences(table.entries, wanted, before)
    assert gpt.differences(table.entries, [wish(1, 1, 15, ESP, name="new"), wanted[1]], before) == [
        "partition 1 has the name 'old', not 'new'"
    ]


def test_the_backup_serves_where_the_primary_is_damaged(disk: Path) -> None:
    lay_out(disk, [(1, 10)])
    entries = read(disk).entries
    with disk.open("r+b") as file:
        file.seek(2 * 512 + 3)
        file.write(b"x")
    table = read(disk)
    assert table.primary is None
    assert table.entries == entries
    assert not table.sound(SIZE)


def test_a_disk_that_grew_has_its_backup_in_the_wrong_place(disk: Path) -> None:
    lay_out(disk, [(1, 10)])
    with disk.open("r+b") as file:
        file.truncate(SIZE + MIB)
    table = read(disk)
    assert table.backup
    assert not table.sound(SIZE + MIB)


@pytest.mark.parametrize("at", [512, 512 + 8, 512 + 12, 512 + 16, 512 + 24, 512 + 72, 512 + 80, 512 + 84])
def test_a_damaged_header_is_no_header(disk: Path, at: int) -> None:
    lay_out(disk, [(1, 10)])
    with disk.open("r+b") as file:
        file.seek(at)
        file.write(b"\xff\xff\xff\x7f")
        file.seek(-512, 2)
        file.write(bytes(512))
    assert read(disk) == gpt.Table()


def mbr(*types: int) -> bytes:
    records = b"".join(bytes(4) + bytes([kind]) + bytes(11) for kind in types)
    return bytes(446) + records.ljust(64, b"\0") + b"\x55\xaa"


@pytest.mark.parametrize(
    ("sector", "expected"),
    [
        (bytes(512), Protection.NONE),
        (mbr(), Protection.NONE),
        (mbr(0xEE), Protection.PROTECTIVE),
        (mbr(0x83, 0xEE), Protection.PROTECTIVE),
        (mbr(0, 0, 0, 0x83), Protection.FOREIGN),
        (mbr(0, 0, 0, 0xEE) + bytes(3584), Protection.PROTECTIVE),
    ],
)
def test_what_the_mbr_says(sector: bytes, expected: Protection) -> None:
    assert gpt.protection(sector) is expected


@pytest.mark.parametrize(
    ("wanted", "sector", "expected"),
    [
        ([wish(1, 1, 10), wish(128, 11, 10)], 512, []),
        ([wish(0, 1, 1), wish(129, 2, 1)], 512, ["numbers go from", "numbers go from"]),
        ([wish(1, 1, 10), wish(2, 10, 2)], 512, ["partitions 1 and 2 overlap"]),
        ([wish(1, 1, 1), wish(1, 2, 1)], 512, ["two partitions 1"]),
        ([wish(1, 1, 1, uuid=ASKED), wish(2, 2, 1, uuid=ASKED)], 512, ["two partitions have the UUID"]),
        ([wish(1, 1, 63)], 512, ["does not lie between"]),
        ([wish(1, 0, 1)], 512, ["does not lie between"]),
        ([wish(1, 1, 0)], 512, ["has no length"]),
        ([TableEntry(number=1, start=MIB, length=512, type=ROOT)], 512, []),
        ([TableEntry(number=1, start=MIB, length=512, type=ROOT)], 4096, ["no whole sectors of 4096"]),
        ([wish(1, 1, 1, name="x" * 37)], 512, ["more than 36"]),
        ([wish(1, 1, 1, name="\N{OLD PERSONAL COMPUTER}" * 19)], 512, ["more than 36"]),
        ([wish(1, 1, 1, "linux")], 512, ["is no UUID"]),
        ([wish(1, 1, 1, "0" * 32)], 512, ["all zeros"]),
        ([wish(1, 1, 1, attributes=-1)], 512, ["64 bits"]),
    ],
)
def test_an_impossible_table_is_told_in_full(wanted: list[TableEntry], sector: int, expected: list[str]) -> None:
    found = gpt.faults(wanted, SIZE, sector)
    assert len(found) == len(expected), found
    assert all(part in fault for part, fault in zip(expected, found, strict=True)), found
