from __future__ import annotations

import pytest

from pre_nixos.backends.gpt.ondisk import read_table
from tests.unit.backends.gpt.bytes import DISK, ESP, RAID, Device, entry, header

SIZE = 8 << 20
ONE, TWO = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
ENTRIES = {1: entry(ESP, ONE, 2048, 4095, "EFI 💾", 4), 5: entry(RAID, TWO, 4096, 8191)}


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_sound_table(sector: int) -> None:
    device = Device(64 << 20, sector).partitioned(ENTRIES)
    table = read_table(device.read, device.size, sector)
    assert table.faults == ()
    assert table.uuid == DISK
    assert list(table.entries) == [1, 5]
    first = table.entries[1]
    assert (first.start, first.length) == (2048 * sector, 2048 * sector)
    assert (first.type, first.uuid, first.attributes, first.label) == (ESP, ONE, 4, "EFI 💾")
    assert table.entries[5].label == ""


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        ((512, b"\0"), "its primary copy is missing"),
        ((512 + 24, b"\7"), "its primary copy has a header with a wrong checksum"),
        ((1024, b"\7"), "its primary copy has entries with a wrong checksum"),
        ((SIZE - 512, b"\0"), "its backup copy is missing"),
        ((SIZE - 512 + 60, b"\7"), "its backup copy has a header with a wrong checksum"),
    ],
)
def test_one_damaged_copy_is_said_and_the_other_counts(damaged: tuple[int, bytes], said: str) -> None:
    device = Device(SIZE).partitioned(ENTRIES)
    at, byte = damaged
    device.bytes[at : at + 1] = byte
    table = read_table(device.read, SIZE, 512)
    assert table.faults == (said,)
    assert list(table.entries) == [1, 5]


FEW = "has room for 56 partitions, not for 128"


@pytest.mark.parametrize(
    ("slots", "array_at", "unusual"),
    [(128, 2, ""), (56, 2, FEW), (256, 2, ""), (128, 40, "begins in sector 40, not in sector 2")],
)
def test_a_list_that_leaves_room_for_a_boot_loader(slots: int, array_at: int, unusual: str) -> None:
    device = Device(SIZE).partitioned(ENTRIES, slots=slots, array_at=array_at)
    table = read_table(device.read, SIZE, 512)
    assert (table.faults, table.unusual, table.lasting) == ((), unusual, array_at == 2)


@pytest.mark.parametrize(
    ("damaged", "lasting"),
    [
        ((512, b"\0"), False),  # libparted does not know it for a GPT then
        ((512 + 24, b"\7"), True),
        ((1024, b"\7"), True),
        ((SIZE - 512, b"\0"), True),
        ((450, b"\0"), False),
    ],
)
def test_one_copy_is_enough_for_the_list_to_stay_as_it_is(damaged: tuple[int, bytes], *, lasting: bool) -> None:
    device = Device(SIZE).partitioned(ENTRIES, slots=56)
    at, byte = damaged
    device.bytes[at : at + 1] = byte
    table = read_table(device.read, SIZE, 512)
    assert (table.unusual, table.lasting) == (FEW, lasting)


@pytest.mark.parametrize(
    ("mbr", "beside"),
    [((0xEE,), ()), ((0x83, 0xEE, 0x0C), ("83", "0c")), ((0xEE, 0xEE), ()), ((0x83,), ()), ((), ())],
)
def test_what_a_hybrid_mbr_has_beside_a_table(mbr: tuple[int, ...], beside: tuple[str, ...]) -> None:
    device = Device(SIZE).partitioned(ENTRIES, mbr=mbr)
    assert read_table(device.read, SIZE, 512).beside == beside


def test_both_copies_gone() -> None:
    table = read_table(Device(SIZE).read, SIZE, 512)
    assert table.entries == {}
    assert table.faults == ("its primary copy is missing", "its backup copy is missing")


def test_a_disk_that_has_grown() -> None:
    small = Device(SIZE).partitioned(ENTRIES)
    grown = Device(2 * SIZE)
    grown.bytes[:SIZE] = small.bytes
    table = read_table(grown.read, grown.size, 512)
    assert table.faults == ("its backup copy is not at the end of the device, which has grown or shrunk since",)
    assert not table.lasting
    assert list(table.entries) == [1, 5]


def test_a_disk_that_was_cut_off() -> None:
    table = read_table(Device(SIZE).partitioned(ENTRIES).read, SIZE // 2, 512)
    assert table.faults == ("its backup copy is missing",)


def test_two_copies_that_disagree() -> None:
    device = Device(SIZE).partitioned(ENTRIES).partitioned({2: ENTRIES[1]}, only=["backup"])
    table = read_table(device.read, SIZE, 512)
    assert table.faults == ("its two copies say different things, and the primary one counts",)
    assert not table.lasting
    assert list(table.entries) == [1, 5]


def test_what_cannot_be_read_is_no_reason_to_fail() -> None:
    device = Device(SIZE).partitioned(ENTRIES)

    def read(offset: int, length: int) -> bytes:
        return device.read(offset, length) if offset < 1024 else b""

    table = read_table(read, SIZE, 512)
    assert table.faults == ("its primary copy has entries that cannot be read", "its backup copy cannot be read")


def test_a_header_that_lies_about_its_entries() -> None:
    device = Device(SIZE)
    device.put(1, header(here=1, other=SIZE // 512 - 1, array_at=2, array=b"", sectors=SIZE // 512, count=1 << 30))
    assert read_table(device.read, SIZE, 512).faults[0] == "its primary copy has a header that makes no sense"


def test_a_device_of_next_to_nothing() -> None:
    assert read_table(Device(512).read, 512, 512).entries == {}
