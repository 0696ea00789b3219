"""What the kernel knows of a disk's partitions, and how that has to change when the table does."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

from pre_nixos.host.doing.kernel import PartitionChange, change_partition
from pre_nixos.host.doing.places import read_attribute
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pre_nixos.model.step import TableEntry

SYSFS_SECTOR = 512
"""sysfs counts in these, whatever the disk's own sectors are."""


class KernelPartition(Data):
    """A partition as the kernel has it, in bytes."""

    number: int
    start: int
    length: int
    device: str = ""
    """`major:minor`."""
    name: str = ""


class Delta(Data):
    """What the kernel has to be told: nothing about partitions that stay as they are."""

    leave: tuple[KernelPartition, ...] = ()
    """Out of the kernel, before anything is written."""
    resize: tuple[KernelPartition, ...] = ()
    """As they will be; shrinking ones first, because another may come where they end."""
    add: tuple[KernelPartition, ...] = ()


class BusyError(Exception):
    """A partition would not leave the kernel; those that had left are back."""

    def __init__(self, partition: KernelPartition, error: OSError) -> None:
        super().__init__(partition.name)
        self.partition = partition
        self.error = error


def partitions_of(disk: str) -> tuple[KernelPartition, ...]:
    """The partitions the kernel has on a disk, given the disk's directory in sysfs."""
    found: list[KernelPartition] = []
    for name in os.listdir(disk):
        directory = f"{disk}/{name}"
        if os.path.exists(f"{directory}/partition"):
            found.append(
                KernelPartition(
                    number=int(read_attribute(f"{directory}/partition")),
                    start=int(read_attribute(f"{directory}/start")) * SYSFS_SECTOR,
                    length=int(read_attribute(f"{directory}/size")) * SYSFS_SECTOR,
                    device=read_attribute(f"{directory}/dev"),
                    name=name.replace("!", "/"),
                )
            )
    return tuple(sorted(found, key=lambda partition: partition.number))


def delta(now: Iterable[KernelPartition], wanted: Iterable[TableEntry]) -> Delta:
    """Compare what the kernel has with what the table will say.

    The same number at the same start is the same partition: it is resized in place if its length differs and left
    alone if not. Everything else leaves and is added anew.
    """
    want = {entry.number: entry for entry in wanted}
    leave: list[KernelPartition] = []
    shrink: list[KernelPartition] = []
    grow: list[KernelPartition] = []
    stays: set[int] = set()
    for partition in now:
        entry = want.get(partition.number)
        if entry is None or entry.start != partition.start:
            leave.append(partition)
            continue
        stays.add(partition.number)
        if entry.length != partition.length:
            as_it_will_be = KernelPartition(
                number=entry.number,
                start=entry.start,
                length=entry.length,
                device=partition.device,
                name=partition.name,
            )
            (shrink if entry.length < partition.length else grow).append(as_it_will_be)
    add = [
        KernelPartition(number=entry.number, start=entry.start, length=entry.length)
        for number, entry in sorted(want.items())
        if number not in stays
    ]
    return Delta(leave=tuple(leave), resize=(*shrink, *grow), add=tuple(add))


def remove(disk: int, leaving: Sequence[KernelPartition]) -> None:
    """Take partitions out of the kernel: all of them, or, if one is busy, none."""
    gone: list[KernelPartition] = []
    for partition in leaving:
        try:
            _remove_patiently(disk, partition.number)
        except OSError as error:
            if error.errno == errno.ENXIO:
                continue  # gone already
            for each in gone:
                change_partition(disk, PartitionChange.ADD, each.number, each.start, each.length)
            raise BusyError(partition, error) from error
        gone.append(partition)


def _remove_patiently(disk: int, number: int) -> None:
    """Take one partition out of the kernel, giving whoever only looks at it half a second to close it."""
    for _ in range(5):
        try:
            change_partition(disk, PartitionChange.REMOVE, number)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            time.sleep(0.1)
        else:
            return
    change_partition(disk, PartitionChange.REMOVE, number)


def introduce(disk: int, change: Delta) -> None:
    """Tell the kernel of partitions that changed their size or are new."""
    for partition in change.resize:
        change_partition(disk, PartitionChange.RESIZE, partition.number, partition.start, partition.length)
    for partition in change.add:
        change_partition(disk, PartitionChange.ADD, partition.number, partition.start, partition.length)
