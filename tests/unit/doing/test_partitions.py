from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre_nixos.host.doing import partitions
from pre_nixos.host.doing.kernel import PartitionChange
from pre_nixos.host.doing.partitions import BusyError, KernelPartition, delta, partitions_of, remove
from pre_nixos.model.step import MIB, TableEntry

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture

LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"


def there(number: int, start: int, length: int) -> KernelPartition:
    return KernelPartition(number=number, start=start * MIB, length=length * MIB)


def wish(number: int, start: int, length: int) -> TableEntry:
    return TableEntry(number=number, start=start * MIB, length=length * MIB, type=LINUX)


def test_what_stays_is_not_touched() -> None:
    change = delta([there(1, 1, 10), there(3, 20, 5)], [wish(1, 1, 10), wish(3, 20, 5)])
    assert not change.leave
    assert not change.resize
    assert not change.add


def test_what_vanishes_leaves_and_what_moves_leaves_and_returns() -> None:
    change = delta([there(1, 1, 10), there(2, 20, 5), there(3, 40, 5)], [wish(1, 1, 10), wish(2, 21, 5)])
    assert [p.number for p in change.leave] == [2, 3]
    assert change.add == (there(2, 21, 5),)
    assert not change.resize


def test_shrinking_comes_before_growing() -> None:
    change = delta([there(1, 1, 10), there(2, 20, 10)], [wish(1, 1, 15), wish(2, 20, 5)])
    assert change.resize == (there(2, 20, 5), there(1, 1, 15))
    assert not change.leave
    assert not change.add


PARTS = st.dictionaries(st.integers(1, 6), st.tuples(st.integers(1, 9), st.integers(1, 3)), max_size=5)


@given(PARTS, PARTS)
def test_the_kernel_ends_with_what_is_wanted(now: dict[int, tuple[int, int]], then: dict[int, tuple[int, int]]) -> None:
    change = delta([there(n, *p) for n, p in now.items()], [wish(n, *p) for n, p in then.items()])
    state = {n: there(n, *p) for n, p in now.items()}
    for partition in change.leave:
        del state[partition.number]
    for partition in change.resize:
        assert state[partition.number].start == partition.start
        state[partition.number] = partition
    for partition in change.add:
        assert partition.number not in state
        state[partition.number] = partition
    assert state == {n: there(n, *p) for n, p in then.items()}
    for number in now.keys() & then.keys():
        if now[number] == then[number]:
            assert number not in {p.number for p in (*change.leave, *change.resize, *change.add)}


def test_a_busy_partition_brings_back_those_that_had_left(mocker: MockerFixture) -> None:
    told: list[tuple[PartitionChange, int]] = []

    def tell(_: int, change: PartitionChange, number: int, __: int = 0, ___: int = 0) -> None:
        if number == 2:
            raise OSError(errno.EBUSY, "busy")
        told.append((change, number))

    mocker.patch.object(partitions, "change_partition", tell)
    mocker.patch.object(time, "sleep")
    with pytest.raises(BusyError) as caught:
        remove(-1, [there(1, 1, 1), there(2, 2, 1), there(3, 3, 1)])
    assert caught.value.partition.number == 2
    assert told == [(PartitionChange.REMOVE, 1), (PartitionChange.ADD, 1)]


def test_sysfs_counts_in_sectors_of_512(tmp_path: Path) -> None:
    disk = tmp_path / "nvme0n1"
    for number, start, size in ((2, 4096, 8), (1, 2048, 16)):
        part = disk / f"nvme0n1p{number}"
        part.mkdir(parents=True)
        for name, value in (("partition", number), ("start", start), ("size", size), ("dev", f"259:{number}")):
            (part / name).write_text(f"{value}\n")
    (disk / "holders").mkdir()
    assert partitions_of(str(disk)) == (
        KernelPartition(number=1, start=MIB, length=8192, device="259:1", name="nvme0n1p1"),
        KernelPartition(number=2, start=2 * MIB, length=4096, device="259:2", name="nvme0n1p2"),
    )
