"""A table in libparted's memory, and how it gets from there to the disk."""

from __future__ import annotations

import mmap
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pre_nixos.host.doing import gpt, kernel
from pre_nixos.host.doing.blocks import CHUNK, insist_on_zeros, read_direct
from pre_nixos.host.doing.places import Place
from pre_nixos.host.doing.problems import NotDoneError, RefusedError, words
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import parted

    from pre_nixos.model.step import TableEntry

_WARNING = 2
"""libparted's number of a warning; what is worse has a higher one."""
_NO, _OK, _IGNORE, _CANCEL = 4, 8, 32, 64
"""The answers its questions may offer."""


class Disk(Data):
    """A disk, open read-only, and what its table was when it was locked."""

    place: Place
    descriptor: int
    size: int
    sector: int
    before: gpt.Table
    protected: bool
    """Whether the MBR says that a GPT follows."""
    beside: tuple[int, ...] = ()
    """Types of the partitions it has besides."""


def look(place: Place, descriptor: int) -> Disk:
    """Read what the disk holds now, past the page cache."""
    kernel.drop_cache(descriptor)
    size, sector = kernel.size_of(descriptor), kernel.sector_of(descriptor)
    if size == 0:
        raise NotDoneError(f"{place} has a size of zero; nothing was written")
    before, first = read_both(place, size, sector)
    protection = gpt.protection(first)
    if protection is gpt.Protection.FOREIGN:
        # What is left of a GPT below another table is not this disk's table any more.
        before = gpt.Table()
    protected = protection is gpt.Protection.PROTECTIVE
    return Disk(
        place=place,
        descriptor=descriptor,
        size=size,
        sector=sector,
        before=before,
        protected=protected,
        beside=gpt.beside(first),
    )


def read_both(place: Place, size: int, sector: int) -> tuple[gpt.Table, bytes]:
    """Both copies of the table, and the first sector."""
    direct = os.open(place.path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT)
    try:
        with mmap.mmap(-1, CHUNK) as buffer:

            def read(at: int, length: int) -> bytes:
                return read_direct(direct, buffer, at, length)

            return gpt.read_table(read, size, sector), read(0, sector)
    finally:
        os.close(direct)


@contextmanager
def _by_the_good_copy() -> Generator[None]:
    """Have libparted go by the copy of a table that is good: it asks first if the other one is not."""
    import parted

    parted.register_exn_handler(_answer)
    try:
        yield
    finally:
        parted.clear_exn_handler()


def _answer(kind: int, options: int, message: str) -> int:
    """Answer a question of libparted's: to go on without a copy is right, to mend anything by itself is not."""
    del message  # in whatever language
    good = (_OK, _NO, _IGNORE) if kind <= _WARNING else (_OK,)
    return next((each for each in good if options & each), _CANCEL)


class Draft:
    """The new table in libparted's memory, and how it gets to the disk."""

    def __init__(self, disk: Disk, wanted: Sequence[TableEntry]) -> None:
        self._disk = disk
        self._wanted = wanted
        self._writer = -1
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
            self._device = parted.getDevice(disk.place.path)
            if (self._device.length * self._device.sectorSize, self._device.sectorSize) != (disk.size, disk.sector):
                # libparted remembers devices by path, also when the path has become another disk since.
                self._device.removeFromCache()
                self._device = parted.getDevice(disk.place.path)
            # Open from here to `close`: left to itself, libparted closes a writable descriptor, also of each partition,
            # with everything it does, and udev looks at all of them again each time.
            self._device.open()
        except self._errors as error:
            raise NotDoneError(f"{disk.place}: libparted: {error}; nothing was written") from error
        try:
            self._table = self._lay_out()
        except self._errors as error:
            self.close()
            raise NotDoneError(f"{disk.place}: libparted: {error}; nothing was written") from error
        except NotDoneError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the disk; udev will look at it then, and once will do."""
        try:
            self._device.close()
            if self._writer >= 0:
                os.close(self._writer)
            self._device.removeFromCache()
        except self._errors as error:
            raise NotDoneError(f"{self._disk.place}: libparted, closing the disk: {error}") from error

    def _lay_out(self) -> parted.Disk:
        """Lay the table out over the old one where there is one copy to go by.

        Then a kill in the midst keeps its entries, and their list stays as long as it is.
        A table from which nothing is kept is a new table, with a disk UUID of its own.
        """
        import parted

        base = self._disk.before.base(self._disk.size) if self._kept_entries and self._disk.protected else None
        if base is not None and base.has_room(self._wanted):
            try:
                with _by_the_good_copy():
                    table = parted.newDisk(self._device)
                kept = self._keep(table)
            except self._errors:
                pass  # libparted also reads what is inside partitions; a fresh table with the old entries serves.
            else:
                self._insist_on_losing_nothing(base.fields.count)
                return self._add(table, kept)
        self._insist_on_losing_nothing(gpt.SLOTS)
        return self._add(parted.freshDisk(self._device, "gpt"), set())

    def _insist_on_losing_nothing(self, slots: int) -> None:
        """Refuse where something beside the table would be lost: it is said to move nothing.

        Its list of entries may be shorter than usual, or elsewhere, because the boot loader of a board lies where it
        usually is; its MBR may have partitions. A table without any entries is written where all of the disk is to go.
        """
        if self._wanted:
            if self._disk.beside:
                raise RefusedError(
                    f"{self._disk.place}: its MBR is a hybrid, with partitions of its own (of type "
                    f"{', '.join(f'{each:02x}' for each in self._disk.beside)}), which would be dropped; nothing was "
                    "written; make it a plain one (gdisk: x, n, w), or wipe the disk"
                )
            insist_on_zeros(
                self._disk.place,
                self._disk.before.newly_taken(self._disk.size, slots),
                f"is in use by something, such as the boot loader of a board, and the list of {slots} partitions that "
                "would be written lies over it, other than the one that is there; nothing was written; if only the "
                "second copy of the table is not where the disk ends, move it there (sfdisk --relocate gpt-bak-std)",
            )

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
        except self._errors as error:
            raise NotDoneError(
                f"{disk.place}: libparted could not write the table: {error}; the table may be half written, "
                "the partitions' contents were not touched"
            ) from error
        os.fsync(disk.descriptor)
        kernel.drop_cache(disk.descriptor)
        made, _ = read_both(disk.place, disk.size, disk.sector)
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
        try:
            self._writer = os.open(disk.place.path, os.O_WRONLY | os.O_CLOEXEC)
            for copy in (backup, primary):
                amended = gpt.with_array(copy, array, disk_uuid)
                os.pwrite(self._writer, amended.array, copy.fields.array_at * disk.sector)
                os.pwrite(self._writer, amended.header, copy.fields.here * disk.sector)
                os.fsync(self._writer)
        except OSError as error:
            raise NotDoneError(
                f"{disk.place}: writing the table: {words(error)}; the table may be half written, the partitions' "
                "contents were not touched"
            ) from error
