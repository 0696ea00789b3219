"""Reading a device itself, past every page cache, and telling bytes that say nothing from bytes that say something.

Part of the child that reads devices (see `devicereader`), so nothing here imports more than the standard library.
"""

from __future__ import annotations

import fcntl
import mmap
import os

CHUNK = 1 << 18
BLOCK = 4096
_ZEROS = bytes(CHUNK)
_ONES = b"\xff" * BLOCK

_spare: list[mmap.mmap] = []
"""Buffers for the next one: memory that was never touched costs more than what is read into it."""


def past_the_cache(descriptor: int) -> None:
    """Make an open descriptor read the device itself; OSError where that is not possible."""
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_DIRECT)


def read(descriptor: int, offset: int, length: int, align: int = BLOCK) -> bytes:
    """Read exactly these bytes of a device; OSError if any of them cannot be had.

    A read over a bad block comes back short without an error, so reading goes on until all is there or the kernel
    says why not.
    """
    first = offset // align * align
    last = -(-(offset + length) // align) * align
    pieces: list[bytes] = []
    with _Buffer() as buffer:
        while first < last:
            got = _fill(descriptor, buffer, first, min(CHUNK, last - first), align)
            pieces.append(bytes(buffer[:got]))
            first += got
    whole = b"".join(pieces)
    skip = offset % align
    return whole[skip : skip + length]


def blank(descriptor: int, size: int, window: int, align: int = BLOCK) -> bool:
    """Tell whether the first and the last `window` bytes say nothing; OSError if any of them cannot be read.

    Saying nothing is being all 0x00 or all 0xFF, block by block: a flash device that was erased to ones and then
    had its head zeroed is as blank as one that is zero throughout.
    """
    tail = max(0, size - window) // align * align
    ranges = [(0, min(window, size))]
    if tail < ranges[0][1]:
        ranges = [(0, size)]
    else:
        ranges.append((tail, size - tail))
    with _Buffer() as buffer:
        for start, length in ranges:
            at, end = start, start + length
            while at < end:
                got = _fill(descriptor, buffer, at, min(CHUNK, end - at), align)
                if not says_nothing(buffer[:got]):
                    return False
                at += got
    return True


def says_nothing(data: memoryview | bytes) -> bool:
    """Tell whether each block of these bytes is all 0x00 or all 0xFF."""
    if _ZEROS.startswith(data):  # compares in place, where `==` would first need a copy of a buffer
        return True
    return all(
        _ZEROS.startswith(block) or _ONES.startswith(block)
        for block in (data[start : start + BLOCK] for start in range(0, len(data), BLOCK))
    )


class _Buffer:
    """An aligned buffer, lent while it is needed."""

    def __enter__(self) -> memoryview:
        self._memory = _spare.pop() if _spare else mmap.mmap(-1, CHUNK)
        self._view = memoryview(self._memory)
        return self._view

    def __exit__(self, *_: object) -> None:
        self._view.release()
        _spare.append(self._memory)


def _fill(descriptor: int, buffer: memoryview, offset: int, length: int, align: int) -> int:
    """Read once into the start of the buffer; at least one aligned unit, or an error."""
    got = os.preadv(descriptor, [buffer[:length]], offset)
    if got < length:
        got = got // align * align
    if got <= 0:
        raise OSError(5, f"nothing could be read at byte {offset}")
    return got
