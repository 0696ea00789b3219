"""Making a disk's GPT say exactly what it should, and the kernel agree.

The order is what protects data: the whole new table is laid out in memory first, so that an impossible one changes
nothing; then what vanishes or moves leaves the kernel, and one busy partition stops everything before a byte is
written; then the table, read back; then the kernel hears of what is new, and only of that.
"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

from pre_nixos.host.doing import gpt, kernel
from pre_nixos.host.doing.blocks import CHUNK, read_direct
from pre_nixos.host.doing.disklock import disk_lock
from pre_nixos.host.doing.free import named
from pre_nixos.host.doing.partitions import BusyError, delta, introduce, partitions_of, remove
from pre_nixos.host.doing.problems import NotDoneError, RefusedError, words
from pre_nixos.host.questions import WhoUses
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Sequence

    import parted

    from pre_nixos.host.api import Reader
    from pre_nixos.host.doing.disklock import Pins
    from pre_nixos.host.doing.partitions import Delta
    from pre_nixos.host.doing.places import Place
    from pre_nixos.host.doing.problems import Effort
    from pre_nixos.model.step import TableEntry


class Disk(Data):
    """A disk, open read-only, and what its table was when it was locked."""

    place: Place
    descriptor: int
    size: int
    sector: int
    before: gpt.Table
    protected: bool
    """Whether the MBR says that a GPT follows."""


def write_table(place: Place, wanted: Sequence[TableEntry], pins: Pins, reader: Reader, effort: Effort) -> str:
    """Write a GPT with exactly these partitions and bring the kernel to the same view."""
    if os.path.exists(f"{place.sysfs}/partition"):
        raise NotDoneError(f"{place} is a partition; a table is written to a whole disk; nothing was written")
    with disk_lock(place) as descriptor:
        disk = _look(place, descriptor)
        faults = gpt.faults(wanted, disk.size, disk.sector)
        if faults:
            raise NotDoneError(f"{place}: {'; '.join(faults)}; nothing was written")
        change = delta(partitions_of(place.sysfs), wanted)
        as_wanted = (
            disk.protected
            and disk.before.sound(disk.size)
            and not gpt.differences(disk.before.entries, wanted, disk.before.entries)
        )
        draft = None if as_wanted else _Draft(disk, wanted)
        _clear_the_way(disk, change, pins, reader)
        if draft is not None:
            effort.wrote = True
            draft.write()
            _compare(disk, wanted)
        effort.wrote = effort.wrote or bool(change.leave or change.resize or change.add)
        _tell_kernel(disk, change)
        # Kept and new alike: udev will hear of the closed descriptors, and must not be able to reread the table.
        for partition in partitions_of(place.sysfs):
            pins.add(partition.device)
    what = "table is as wanted already" if as_wanted else f"table written, {len(wanted)} partitions, read back"
    return (
        f"{place}: {what}; in the kernel {len(change.leave)} left, {len(change.add)} new, {len(change.resize)} resized"
    )


def _look(place: Place, descriptor: int) -> Disk:
    """Read what the disk holds now, past the page cache."""
    kernel.drop_cache(descriptor)
    size, sector = kernel.size_of(descriptor), kernel.sector_of(descriptor)
    if size == 0:
        raise NotDoneError(f"{place} has a size of zero; nothing was written")
    before, first = _read(place, size, sector)
    protected = first[510:512] == b"\x55\xaa" and 0xEE in first[450:511:16]
    return Disk(place=place, descriptor=descriptor, size=size, sector=sector, before=before, protected=protected)


def _read(place: Place, size: int, sector: int) -> tuple[gpt.Table, bytes]:
    """Both copies of the table, and the first sector."""
    direct = os.open(place.path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT)
    try:
        with mmap.mmap(-1, CHUNK) as buffer:

            def read(at: int, length: int) -> bytes:
                return read_direct(direct, buffer, at, length)

            return gpt.read_table(read, size, sector), read(0, sector)
    finally:
        os.close(direct)


class _Draft:
    """The new table in libparted's memory, and how it gets to the disk."""

    def __init__(self, disk: Disk, wanted: Sequence[TableEntry]) -> None:
        self._disk = disk
        self._wanted = wanted
        places = {(entry.number, entry.start) for entry in wanted}
        self._kept_entries = [e for e in disk.before.entries if (e.number, e.start) in places]
        import parted

        self._errors: tuple[type[Exception], ...] = (
            parted.ConstraintException,
            parted.CreateException,
            parted.DeviceException,
            parted.DiskException,
            parted.DiskLabelException,
            parted.GeometryException,
            parted.IOException,
            parted.PartitionException,
        )
        try:
            # libparted remembers devices by path, also when the path has become another disk since.
            parted.getDevice(disk.place.path).removeFromCache()
            self._device = parted.getDevice(disk.place.path)
            self._table = self._lay_out()
        except self._errors as error:
            raise NotDoneError(f"{disk.place}: libparted: {error}; nothing was written") from error

    def _lay_out(self) -> parted.Disk:
        """Lay the table out over the old one where that is sound, so that a kill in the midst keeps its entries.

        A table from which nothing is kept is a new table, with a disk UUID of its own.
        """
        import parted

        before = self._disk.before
        room = before.primary.fields.count if before.primary else 0
        fits = all(entry.number <= room for entry in self._wanted)
        if self._kept_entries and self._disk.protected and before.sound(self._disk.size) and fits:
            try:
                table = parted.newDisk(self._device)
                kept = self._keep(table)
            except self._errors:
                pass  # libparted also reads what is inside partitions; a fresh table with the old entries serves.
            else:
                return self._add(table, kept)
        return self._add(parted.freshDisk(self._device, "gpt"), set())

    def _keep(self, table: parted.Disk) -> set[int]:
        """Delete from an existing table what is not wanted just so; answers the numbers that stay."""
        places = {(e.number, e.start, e.length) for e in self._wanted}
        sector = self._disk.sector
        kept: set[int] = set()
        for partition in list(table.partitions):
            geometry = partition.geometry
            where = (partition.number, geometry.start * sector, geometry.length * sector)
            if where in places:
                kept.add(partition.number)
            else:
                table.deletePartition(partition)
        return kept

    def _add(self, table: parted.Disk, kept: set[int]) -> parted.Disk:
        """Add what is wanted and not there yet, to the byte."""
        import parted

        sector = self._disk.sector
        for entry in sorted(self._wanted, key=lambda e: e.number):
            if entry.number in kept:
                continue
            geometry = parted.Geometry(device=self._device, start=entry.start // sector, length=entry.length // sector)
            partition = parted.Partition(disk=table, type=parted.PARTITION_NORMAL, geometry=geometry)
            table.addPartition(partition=partition, constraint=parted.Constraint(exactGeom=geometry))
        return table

    def write(self) -> None:
        """Write the table, then put into its entries what libparted cannot say."""
        disk = self._disk
        try:
            self._table.commitToDevice()
            self._device.removeFromCache()
        except self._errors as error:
            raise NotDoneError(
                f"{disk.place}: libparted could not write the table: {error}; the table may be half written, "
                "the partitions' contents were not touched"
            ) from error
        os.fsync(disk.descriptor)
        kernel.drop_cache(disk.descriptor)
        made, _ = _read(disk.place, disk.size, disk.sector)
        if made.primary is None or made.backup is None:
            raise NotDoneError(f"{disk.place}: the table libparted wrote does not read back: the disk loses writes")
        self._amend(made.primary, made.backup)

    def _amend(self, primary: gpt.Copy, backup: gpt.Copy) -> None:
        """Write the entries as they are wanted: the backup first, so that one copy is good at any moment."""
        disk = self._disk
        old = disk.before.primary or disk.before.backup
        fields = primary.fields
        array = gpt.compose(primary.entries, self._wanted, self._kept_entries, fields.count, fields.entry_size)
        disk_uuid = old.fields.disk_uuid if old and self._kept_entries else None
        writer = os.open(disk.place.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            for copy in (backup, primary):
                amended = gpt.with_array(copy, array, disk_uuid)
                os.pwrite(writer, amended.array, copy.fields.array_at * disk.sector)
                os.pwrite(writer, amended.header, copy.fields.here * disk.sector)
                os.fsync(writer)
        except OSError as error:
            raise NotDoneError(
                f"{disk.place}: writing the table: {words(error)}; the table may be half written, the partitions' "
                "contents were not touched"
            ) from error
        finally:
            os.close(writer)


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
    table, _ = _read(disk.place, disk.size, disk.sector)
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
