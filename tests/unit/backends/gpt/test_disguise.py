"""Tables that are not as they should be: others are shown what is wrong with them, and no GUID."""

from __future__ import annotations

from uuid import UUID

from pre_nixos.backends import gpt
from pre_nixos.backends.gpt.ondisk import read_table
from pre_nixos.host.pieces import Pieces
from pre_nixos.plugin import MIB
from tests.unit.backends.gpt.bytes import DISK, Device, entry, header

OWN = "d0e1f2a3-b4c5-46d7-88e9-fa0b1c2d3e4f"
LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"
SIZE = 8 * MIB
ONE = {1: entry(LINUX, OWN, 2048, 4095, "root")}


def faults(device: Device) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is wrong with a table, and with what others see of it."""
    read: dict[int, bytes] = {}

    def ask(offset: int, length: int) -> bytes:
        read[offset] = device.read(offset, length)
        return read[offset]

    before = read_table(ask, device.size, device.sector)
    shown = Device(device.size, device.sector)
    for offset, data in gpt.with_other_guids(Pieces(read), lambda text: text.replace("d", "e")).items():
        shown.bytes[offset : offset + len(data)] = data
    after = read_table(shown.read, device.size, device.sector)
    assert {number: each._replace(uuid="") for number, each in after.entries.items()} == {
        number: each._replace(uuid="") for number, each in before.entries.items()
    }
    assert UUID(OWN).bytes_le not in shown.bytes
    return before.faults, after.faults


def test_a_table_is_as_good_or_as_bad_as_it_was() -> None:
    sound = Device(SIZE).partitioned(ONE)
    assert faults(sound) == ((), ())
    assert faults(Device(SIZE, 4096).partitioned(ONE)) == ((), ())
    for at, byte, wrong in (
        (512, 0, "its primary copy is missing"),
        (512 + 60, 7, "its primary copy has a header with a wrong checksum"),
        (1024 + 56, 7, "its primary copy has entries with a wrong checksum"),
        (SIZE - 512 + 60, 7, "its backup copy has a header with a wrong checksum"),
    ):
        device = Device(SIZE).partitioned(ONE)
        device.bytes[at] = byte
        assert faults(device) == ((wrong,), (wrong,))
    before, after = faults(Device(SIZE))
    assert before == after
    assert len(before) == 2


def test_copies_that_differ_go_on_to() -> None:
    device = Device(SIZE).partitioned({1: entry(LINUX, DISK, 2048, 4095)})
    other = Device(SIZE).partitioned(ONE)
    device.bytes[SIZE - MIB :] = other.bytes[SIZE - MIB :]
    before, after = faults(device)
    assert before == after == ("its two copies say different things, and the primary one counts",)


def test_a_header_elsewhere_on_a_disk_that_grew_is_shown_too() -> None:
    small = Device(SIZE).partitioned(ONE)
    grown = Device(2 * SIZE)
    grown.bytes[:SIZE] = small.bytes
    before, after = faults(grown)
    assert before == after
    assert "grown or shrunk" in before[0]


def test_a_header_that_makes_no_sense_still_makes_none() -> None:
    device = Device(SIZE)
    array = bytes(128 * 128)
    device.put(1, header(here=3, other=7, array_at=2, array=array, sectors=SIZE // 512))
    before, after = faults(device)
    assert before == after
    assert "its primary copy has a header that makes no sense" in before
