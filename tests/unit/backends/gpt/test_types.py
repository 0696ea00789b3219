from __future__ import annotations

import pytest

from pre_nixos.backends.gpt import Partition
from pre_nixos.backends.gpt.types import CODES, GUIDS, NAMES, is_guid, normal
from pre_nixos.plugin import Exact, Mismatch, Rest


def test_each_type_has_one_guid_and_each_code_a_type() -> None:
    assert len(NAMES) == len(GUIDS)
    assert all(is_guid(guid) for guid in GUIDS.values())
    assert set(CODES.values()) <= set(GUIDS)


@pytest.mark.parametrize(
    "written", ["raid", "RAID", "FD00", "fd00", GUIDS["raid"], GUIDS["raid"].upper(), f" {GUIDS['raid']} "]
)
def test_however_a_type_is_written_it_is_the_same(written: str) -> None:
    assert Partition(number=1, size="rest", type=written) == Partition(number=1, size=Rest(), type="raid")


def test_a_type_nobody_knows_is_left_for_the_complaint() -> None:
    assert normal("windows95") == "windows95"
    assert not is_guid("windows95")


def test_a_mismatch_speaks_of_names() -> None:
    wanted = Partition(number=1, size="1GiB", type="raid", start=1 << 20)
    there = Partition(number=1, size="1GiB", type="8300", start=63 * 512)
    assert wanted.mismatches(there) == (
        Mismatch(field="type", there="linux", wanted="raid"),
        Mismatch(field="start", there="byte 32256", wanted="1 MiB"),
    )


def test_what_differs_by_less_than_is_said_of_it_otherwise_is_said_to_the_byte() -> None:
    wanted = Partition(number=1, size=Exact(bytes=479559942144), start=300 << 30)
    there = Partition(number=1, size=Exact(bytes=479559942144 - 512), start=(300 << 30) + (1 << 20))
    assert [str(each) for each in wanted.mismatches(there)] == [
        "size is 479559941632 bytes, wanted 479559942144 bytes",
        "start is byte 322123595776, wanted 300 GiB",
    ]


def test_what_was_not_asked_for_is_not_compared() -> None:
    there = Partition(number=1, size="1GiB", type="esp", label="boot", uuid="u", attributes=4, start=1 << 20)
    assert not Partition(number=1, size="1024M").mismatches(there)
