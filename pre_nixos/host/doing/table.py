"""Making a disk's GPT say exactly what it should, and the kernel agree.

The order is what protects data: the whole new table is laid out in memory first, so that an impossible one changes
nothing; then what vanishes or moves leaves the kernel, and one busy partition stops everything before a byte is
written; then the table, read back; then the kernel hears of what is new, and only of that.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pre_nixos.host.doing import gpt, kernel
from pre_nixos.host.doing.disklock import disk_lock
from pre_nixos.host.doing.draft import Draft, look, read_both
from pre_nixos.host.doing.free import named
from pre_nixos.host.doing.partitions import BusyError, delta, introduce, partitions_of, remove
from pre_nixos.host.doing.problems import NotDoneError, RefusedError, words
from pre_nixos.host.questions import WhoUses

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from pre_nixos.host.api import Reader
    from pre_nixos.host.doing.disklock import Pins
    from pre_nixos.host.doing.draft import Disk
    from pre_nixos.host.doing.partitions import Delta, KernelPartition
    from pre_nixos.host.doing.places import Place
    from pre_nixos.host.doing.problems import Effort
    from pre_nixos.model.step import TableEntry


def write_table(place: Place, wanted: Sequence[TableEntry], pins: Pins, reader: Reader, effort: Effort) -> str:
    """Write a GPT with exactly these partitions and bring the kernel to the same view."""
    if os.path.exists(f"{place.sysfs}/partition"):
        raise NotDoneError(f"{place} is a partition; a table is written to a whole disk; nothing was written")
    with disk_lock(place) as descriptor:
        disk = look(place, descriptor)
        faults = gpt.faults(wanted, disk.size, disk.sector)
        if faults:
            raise NotDoneError(f"{place}: {'; '.join(faults)}; nothing was written")
        now = partitions_of(place.sysfs)
        change = delta(now, wanted)
        as_wanted = (
            disk.protected
            and disk.before.sound(disk.size)
            and not gpt.differences(disk.before.entries, wanted, disk.before.entries)
        )
        draft = None if as_wanted else Draft(disk, wanted)
        try:
            with _claim(disk, now, change, reader):
                _clear_the_way(disk, change, pins, reader)
                if draft is not None:
                    effort.wrote = True
                    draft.write()
                    _compare(disk, wanted)
                effort.wrote = effort.wrote or bool(change.leave or change.resize or change.add)
                _tell_kernel(disk, change)
        finally:
            # Kept and new alike: udev will hear of the closed descriptors, and must not be able to reread the table.
            for partition in partitions_of(place.sysfs):
                pins.add(partition.device)
            if draft is not None:
                draft.close()
    what = "table is as wanted already" if as_wanted else f"table written, {len(wanted)} partitions, read back"
    return (
        f"{place}: {what}; in the kernel {len(change.leave)} left, {len(change.add)} new, {len(change.resize)} resized"
    )


@contextmanager
def _claim(disk: Disk, now: Sequence[KernelPartition], change: Delta, reader: Reader) -> Generator[None]:
    """Have the disk itself to ourselves: nothing stands on it whole, and, where no partition stays, nothing can."""
    if os.listdir(f"{disk.place.sysfs}/holders"):
        raise _in_use(disk, reader, "")
    if len(change.leave) < len(now):
        yield  # The partitions that stay may be in use, and the kernel counts that as use of the disk.
        return
    descriptor = _open_exclusively(disk, reader)
    try:
        yield
    finally:
        os.close(descriptor)


def _open_exclusively(disk: Disk, reader: Reader) -> int:
    """Open the whole disk exclusively, giving whoever only looks at it half a second."""
    for attempt in range(6):
        try:
            return os.open(disk.place.path, os.O_RDONLY | os.O_CLOEXEC | os.O_EXCL)
        except OSError as error:
            if attempt == 5:
                raise _in_use(disk, reader, f" ({words(error)})") from error
            time.sleep(0.1)
    raise AssertionError("the last attempt returns or raises")


def _in_use(disk: Disk, reader: Reader, why: str) -> RefusedError:
    users = reader.ask(WhoUses(number=disk.place.number)).users
    by = f" by {named(users)}" if users else ""
    return RefusedError(f"{disk.place} is in use{by}{why}; nothing was written")


def _clear_the_way(disk: Disk, change: Delta, pins: Pins, reader: Reader) -> None:
    """Take out of the kernel what vanishes or moves; if one partition is busy, nothing has changed."""
    for partition in change.leave:
        pins.release(partition.device)
    try:
        remove(disk.descriptor, change.leave)
    except BusyError as busy:
        users = reader.ask(WhoUses(number=busy.partition.device)).users
        by = f", by {named(users)}" if users else ""
        raise RefusedError(
            f"{disk.place}: partition {busy.partition.name} is in use{by} ({words(busy.error)}); nothing was written"
        ) from busy


def _compare(disk: Disk, wanted: Sequence[TableEntry]) -> None:
    """Read both copies back and insist on what was asked for."""
    kernel.drop_cache(disk.descriptor)
    table, _ = read_both(disk.place, disk.size, disk.sector)
    if not table.sound(disk.size):
        raise NotDoneError(f"{disk.place}: the table does not read back as it was written: the disk loses writes")
    wrong = gpt.differences(table.entries, wanted, disk.before.entries)
    if wrong:
        raise NotDoneError(f"{disk.place}: the table was written, but reads back otherwise: {'; '.join(wrong)}")


def _tell_kernel(disk: Disk, change: Delta) -> None:
    """Introduce what is new, and check that the kernel has it."""
    try:
        introduce(disk.descriptor, change)
    except OSError as error:
        raise NotDoneError(
            f"{disk.place}: the table was written, but the kernel does not take its partitions: {words(error)}"
        ) from error
