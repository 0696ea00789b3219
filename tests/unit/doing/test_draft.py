"""A table is written over the one that is there; what lies around it is nobody's to overwrite."""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import closing
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from pre_nixos.host.doing import gpt, kernel
from pre_nixos.host.doing.draft import Disk, Draft, read_both
from pre_nixos.host.doing.places import Place
from pre_nixos.host.doing.problems import RefusedError
from pre_nixos.model.step import MIB, TableEntry

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture

SIZE = 64 * MIB
LAST = SIZE // 512 - 1
FEW = 56
"""Entries of a board whose boot loader is at 8 KiB."""
LOADER = b"eGON.BT0"
LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"
ONE = TableEntry(number=1, start=MIB, length=8 * MIB, type=LINUX, uuid="00000000-0000-4000-8000-00000000000a")
TWO = TableEntry(number=2, start=16 * MIB, length=MIB, type=LINUX)


@pytest.fixture(autouse=True)
def a_file_for_a_device(mocker: MockerFixture) -> None:
    mocker.patch.object(kernel, "sector_of", return_value=512)
    mocker.patch.object(kernel, "drop_cache")
    mocker.patch.object(os, "O_DIRECT", 0)


def board(path: Path, *, slots: int = FEW, array_at: int = 2) -> Path:
    """A disk with few entries, or with a list of them elsewhere, and a boot loader where the usual list would be."""
    first, last = ONE.start // 512, (ONE.start + ONE.length) // 512 - 1
    assert ONE.uuid
    used = UUID(LINUX).bytes_le + UUID(ONE.uuid).bytes_le + struct.pack("<QQQ", first, last, 0)
    array = used.ljust(slots * 128, b"\0")
    sectors = slots * 128 // 512
    content = bytearray(SIZE)
    content[446:462] = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff" * 3, 1, LAST)
    content[510:512] = b"\x55\xaa"
    content[8192 : 8192 + len(LOADER)] = LOADER
    for here, other, at in ((1, LAST, array_at), (LAST, 1, LAST - sectors)):
        fields = (0, here, other, 2048, LAST - 33, UUID(int=7).bytes_le, at, slots, 128, zlib.crc32(array))
        start = struct.pack("<8sII", b"EFI PART", 0x10000, 92)
        rest = struct.pack("<IQQQQ16sQIII", *fields)
        checksum = zlib.crc32(start + bytes(4) + rest)
        content[here * 512 : here * 512 + 92] = start + struct.pack("<I", checksum) + rest
        content[at * 512 : at * 512 + len(array)] = array
    path.write_bytes(content)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return board(tmp_path / "disk")


def damage(path: Path, at: int, data: bytes = bytes(512)) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def written(path: Path, *wanted: TableEntry) -> gpt.Table:
    place = Place(number="0:0", name=path.name, path=str(path), sysfs="")
    size = path.stat().st_size
    before, first = read_both(place, size, 512)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        protected = gpt.protection(first) is gpt.Protection.PROTECTIVE
        disk = Disk(
            place=place,
            descriptor=descriptor,
            size=size,
            sector=512,
            before=before,
            protected=protected,
            beside=gpt.beside(first),
        )
        with closing(Draft(disk, wanted)) as draft:
            draft.write()
    finally:
        os.close(descriptor)
    return read_both(place, size, 512)[0]


@pytest.mark.parametrize("at", [None, LAST * 512, (LAST - 3) * 512, 512 + 16, 1024 + 3], ids=str)
def test_a_list_of_few_entries_stays_as_short_as_it_is(path: Path, at: int | None) -> None:
    if at is not None:
        damage(path, at, b"damage")
    table = written(path, ONE, TWO)
    assert table.sound(SIZE)
    assert table.primary is not None
    assert table.primary.fields.count == FEW
    assert [(each.number, each.start, each.length) for each in table.entries] == [
        (each.number, each.start, each.length) for each in (ONE, TWO)
    ]
    assert table.entries[0].uuid == ONE.uuid
    assert path.read_bytes()[8192 : 8192 + len(LOADER)] == LOADER


def enlarged(path: Path) -> None:
    damage(path, SIZE, bytes(MIB))


def without_protection(path: Path) -> None:
    damage(path, 0)


def headless(path: Path) -> None:
    damage(path, 512)


def elsewhere(path: Path) -> None:
    board(path, slots=128, array_at=512)


@pytest.mark.parametrize("change", [enlarged, headless, without_protection, elsewhere])
def test_what_lies_where_a_longer_list_would_be_is_not_overwritten(path: Path, change: object) -> None:
    assert callable(change)
    change(path)
    before = path.read_bytes()
    with pytest.raises(RefusedError, match=r"byte 8192 is in use by something.* nothing was written"):
        written(path, ONE, TWO)
    assert path.read_bytes() == before


def test_a_longer_list_over_nothing_takes_nothing(path: Path) -> None:
    damage(path, 8192)
    enlarged(path)
    table = written(path, ONE, TWO)
    assert table.sound(SIZE + MIB)
    assert table.primary is not None
    assert table.primary.fields.count == gpt.SLOTS


def test_partitions_of_which_none_stays_take_nothing_else_along(path: Path) -> None:
    with pytest.raises(RefusedError, match="byte 8192"):
        written(path, TWO)


def test_where_all_is_to_go_it_may(path: Path) -> None:
    assert written(path).sound(SIZE)


def test_partitions_of_a_hybrid_mbr_are_dropped_only_where_all_is_to_go(path: Path) -> None:
    damage(path, 446 + 16 + 4, b"\x83")
    before = path.read_bytes()
    with pytest.raises(
        RefusedError, match=r"a hybrid, with partitions of its own \(of type 83\).* nothing was written"
    ):
        written(path, ONE, TWO)
    assert path.read_bytes() == before
    assert written(path).sound(SIZE)
    assert not path.read_bytes()[446 + 16 + 4]
