"""Zeroing, and proving that something reads as zeros."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

from pre_nixos.host.doing import kernel
from pre_nixos.host.doing.disklock import disk_lock
from pre_nixos.host.doing.mirages import without_mirages
from pre_nixos.host.doing.partitions import partitions_of
from pre_nixos.host.doing.problems import NotDoneError, RefusedError, words
from pre_nixos.host.doing.ranges import clip, overlaps, shown, unaligned, widen
from pre_nixos.model.step import MIB, Range

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pre_nixos.host.api import Reader
    from pre_nixos.host.doing.disklock import Pins
    from pre_nixos.host.doing.partitions import KernelPartition
    from pre_nixos.host.doing.places import Place
    from pre_nixos.host.doing.problems import Effort

CHUNK = 256 * 1024
"""Read at a time; more would mean fresh pages for every piece, which cost more than the reading."""
DISCARDED_AT_ONCE = 16 * 1024 * MIB
_ZEROS = bytes(CHUNK)


def zero(
    place: Place, wanted: Iterable[Range], pins: Pins, reader: Reader, effort: Effort, *, added: bool = False
) -> str:
    """Write zeros into ranges of a device and read them back past every cache.

    Ranges that were just added to a device are nobody's yet, even where the rest of it is in use.
    """
    with disk_lock(place):
        parts = partitions_of(place.sysfs) if added else without_mirages(place, pins, reader)
        looking = os.open(place.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            ranges = clip(wanted, kernel.size_of(looking))
            _check(place, ranges, kernel.sector_of(looking), parts)
        finally:
            os.close(looking)
        for part in parts:
            pins.add(part.device)
        if parts and os.listdir(f"{place.sysfs}/holders"):
            raise RefusedError(f"{place}: something stands on the whole disk; nothing was written")
        # Writing what is there already would wear the device, fill a sparse one and make udev look at it again.
        dirty = [piece for piece in ranges if _may_be_set(place.path, piece)]
        if not dirty:
            return f"{place}: {_total(ranges)} read as zeros already"
        # A device without partitions must be ours alone; on a disk the kernel counts its partitions' users as its
        # own, so there it is checked that no byte lies inside one.
        exclusive = 0 if parts or added else os.O_EXCL
        try:
            writer = os.open(place.path, os.O_RDWR | os.O_CLOEXEC | exclusive)
        except OSError as error:
            raise RefusedError(f"{place} cannot be opened for zeroing: {words(error)}; nothing was written") from error
        try:
            kernel.drop_cache(writer)
            for piece in dirty:
                effort.wrote = True
                _write_zeros(writer, place, piece)
            os.fsync(writer)
            kernel.drop_cache(writer)
        finally:
            os.close(writer)
    lost = "does not read back as zeros after it was zeroed: the device does not keep what it is told"
    insist_on_zeros(place, dirty, lost)
    return f"{place}: zeroed {_total(dirty)} and read them back"


def discard(place: Place, pins: Pins, reader: Reader, effort: Effort) -> str:
    """Tell a device that none of its bytes is needed."""
    with disk_lock(place):
        if without_mirages(place, pins, reader):
            raise RefusedError(f"{place}: the kernel still has partitions of it; nothing was discarded")
        try:
            writer = os.open(place.path, os.O_RDWR | os.O_CLOEXEC | os.O_EXCL)
        except OSError as error:
            raise RefusedError(f"{place} cannot be opened alone: {words(error)}; nothing was discarded") from error
        try:
            size = kernel.size_of(writer)
            for start in range(0, size, DISCARDED_AT_ONCE):
                effort.wrote = True
                kernel.discard(writer, start, min(DISCARDED_AT_ONCE, size - start))
            kernel.drop_cache(writer)
        except OSError as error:
            raise NotDoneError(f"{place}: discarding: {words(error)}; some of it may have been discarded") from error
        finally:
            os.close(writer)
    return f"{place}: discarded all {size / MIB:g} MiB"


def require_clear(place: Place, wanted: Iterable[Range]) -> str:
    """Refuse unless ranges of a device read as zeros."""
    descriptor = os.open(place.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        kernel.drop_cache(descriptor)
        ranges = clip(wanted, kernel.size_of(descriptor))
    finally:
        os.close(descriptor)
    insist_on_zeros(place, ranges, "is not zero")
    return f"{place}: {_total(ranges)} read as zeros"


def require_size(place: Place, size: int) -> str:
    """Refuse unless a device is as large as it was when what follows was worked out."""
    descriptor = os.open(place.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        now = kernel.size_of(descriptor)
    finally:
        os.close(descriptor)
    if now != size:
        raise RefusedError(f"{place} has {now} bytes, and had {size} when it was looked at; nothing was changed")
    return f"{place} has {size} bytes"


def _check(place: Place, ranges: Sequence[Range], sector: int, parts: Sequence[KernelPartition]) -> None:
    """Refuse ranges the device cannot write whole, or that lie inside a partition the kernel still has."""
    crooked = unaligned(ranges, sector)
    if crooked is not None:
        raise NotDoneError(f"{place}: {shown(crooked)} are no whole sectors of {sector} bytes; nothing was written")
    for part in parts:
        inside = Range(start=part.start, length=part.length)
        for piece in ranges:
            if overlaps(inside, piece):
                raise RefusedError(
                    f"{place}: {shown(piece)} reach into {part.name}, a partition the kernel still has; "
                    "take it out of the table first; nothing was written"
                )


def _write_zeros(writer: int, place: Place, piece: Range) -> None:
    """Zero one range: by the kernel where it can, by plain writes where the device refuses that."""
    done = 0
    while done < piece.length:
        # In pieces of 256 MiB, so that a device that zeroes slowly can still be interrupted.
        length = min(256 * MIB, piece.length - done)
        where = Range(start=piece.start + done, length=length)
        try:
            try:
                kernel.zero_out(writer, where.start, where.length)
            except OSError:
                _write_plainly(writer, where)
        except OSError as error:
            raise NotDoneError(
                f"{place}: zeroing {shown(where)}: {words(error)}; what lies before was zeroed, these bytes perhaps "
                "in part"
            ) from error
        done += length


def _write_plainly(writer: int, where: Range) -> None:
    done = 0
    while done < where.length:
        piece = _ZEROS[: min(CHUNK, where.length - done)]
        done += os.pwrite(writer, piece, where.start + done)
    os.fsync(writer)


def insist_on_zeros(place: Place, ranges: Iterable[Range], verdict: str) -> None:
    """Raise unless every range reads as zeros; the verdict says what it means if not."""
    for piece in ranges:
        try:
            spot = first_byte_set(place.path, piece)
        except OSError as error:
            raise NotDoneError(
                f"{place}: {shown(piece)} cannot be read: {words(error)}; whether they are zero cannot be told"
            ) from error
        if spot is not None:
            raise RefusedError(f"{place}: byte {spot} {verdict}")


def _may_be_set(path: str, wanted: Range) -> bool:
    """Tell whether a range needs to be zeroed; a bad block that cannot be read may well be written."""
    try:
        return first_byte_set(path, wanted) is not None
    except OSError:
        return True


def first_byte_set(path: str, wanted: Range) -> int | None:
    """Where the first byte that is not zero lies, read past the page cache; None if there is none."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT)
    try:
        around = widen(wanted, kernel.sector_of(descriptor))
        with mmap.mmap(-1, CHUNK) as buffer:  # O_DIRECT wants memory that starts at a page.
            done = 0
            while done < around.length:
                length = min(CHUNK, around.length - done)
                start = around.start + done
                data = read_direct(descriptor, buffer, start, length)
                if data != _ZEROS[:length]:  # compared whole first: no copy, and nearly always the answer
                    low = max(wanted.start - start, 0)
                    high = min(wanted.start + wanted.length - start, length)
                    if data[low:high] != _ZEROS[: high - low]:
                        return start + low + _first_set(data[low:high])
                done += length
        return None
    finally:
        os.close(descriptor)


def read_direct(descriptor: int, buffer: mmap.mmap, start: int, length: int) -> bytes:
    """Read all of a stretch no longer than the buffer; a bad block comes back short first and as an error then."""
    count = os.preadv(descriptor, [buffer], start) if length == len(buffer) else 0
    if count == length:
        return buffer[:]
    done = 0
    collected: list[bytes] = []
    while done < length:
        with memoryview(buffer)[: length - done] as target:
            count = os.preadv(descriptor, [target], start + done)
        if count <= 0:
            raise OSError(5, "the device ended early")
        collected.append(buffer[:count])
        done += count
    return b"".join(collected)


def _first_set(data: bytes) -> int:
    return next(index for index, value in enumerate(data) if value)


def _total(ranges: Iterable[Range]) -> str:
    count = sum(piece.length for piece in ranges)
    return f"{count / MIB:g} MiB"
