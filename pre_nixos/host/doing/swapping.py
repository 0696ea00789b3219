"""Swap, by system calls; a file for it is made as the kernel wants it: whole, nobody else's, and without holes."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from typing import TYPE_CHECKING
from uuid import uuid4

from pre_nixos.host.doing import kernel
from pre_nixos.host.doing.files import require_no_link
from pre_nixos.host.doing.problems import NotDoneError, RefusedError, words
from pre_nixos.host.mounttable import block_number, read_swaps, swap_priorities

if TYPE_CHECKING:
    from pre_nixos.host.doing.places import Place
    from pre_nixos.host.doing.problems import Effort
    from pre_nixos.model.step import SwapOn

SWAP_PREFER = 0x8000
SWAP_DISCARD = 0x10000
POLICIES = {"": 0, "both": 0, "once": 0x20000, "pages": 0x40000}
HIGHEST_PRIORITY = 0x7FFF
PAGE = os.sysconf("SC_PAGESIZE")
MAGIC = b"SWAPSPACE2"
ASLEEP = b"S1SUSPEND\0"
"""What hibernation writes in its place."""
FIELDS = 1024
"""Where the header has its version, the number of the last page and how many are bad; the UUID and label follow."""
_FIELDS = struct.Struct("=III")
GET_FLAGS, SET_FLAGS, NO_COPIES = 0x80086601, 0x40086602, 0x00800000
"""Asking for and setting what chattr does; and the C of it."""


def swap_on(work: SwapOn, place: Place, effort: Effort) -> str:
    """Use a device as swap."""
    if is_swap(place):
        return f"{place} is in use as swap already"
    flags = _preferred(str(place), work.priority)
    if work.discard:
        flags |= SWAP_DISCARD | POLICIES[work.policy]
    effort.wrote = True
    try:
        kernel.swap_on(place.path, flags)
    except OSError as error:
        effort.wrote = False
        raise NotDoneError(f"using {place} as swap: {words(error)}; it is not in use") from error
    return f"{place} in use as swap"


def swap_off(place: Place, effort: Effort) -> str:
    """Stop using a device as swap."""
    if not is_swap(place):
        return f"{place} is not in use as swap"
    try:
        kernel.swap_off(place.path)
    except OSError as error:
        raise NotDoneError(f"taking {place} out of swap: {words(error)}; it is still in use") from error
    effort.wrote = True
    return f"{place} no longer in use as swap"


def grow_area(place: Place, effort: Effort) -> str:
    """Have an area take all of its device; its label and UUID stay. One in use is taken out of it, and put back."""
    used = [priority for path, priority in swap_priorities().items() if block_number(path) == place.number]
    if not used:
        return _grow_area(place, effort)
    flags = _preferred(str(place), used[0] if used[0] >= 0 else None)
    swap_off(place, effort)
    try:
        return _grow_area(place, effort)
    finally:
        kernel.swap_on(place.path, flags)


def _grow_area(place: Place, effort: Effort) -> str:
    descriptor = os.open(place.path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
    try:
        kernel.drop_cache(descriptor)
        there = os.pread(descriptor, PAGE, 0)
        if there.endswith(ASLEEP):
            return f"{place}: a system sleeps in it, so it stays as it is"
        version, last, bad = _FIELDS.unpack_from(there, FIELDS)
        if not _ends_as_area(there) or version != 1 or bad:
            raise RefusedError(f"{place} is no area of a usual kind; it was not grown")
        whole = kernel.size_of(descriptor) // PAGE - 1
        if whole > last:
            effort.wrote = True
            fields = _FIELDS.pack(version, whole, bad)
            os.pwrite(descriptor, there[:FIELDS] + fields + there[FIELDS + len(fields) :], 0)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return f"{place}: the area went from {(last + 1) * PAGE} to {(max(whole, last) + 1) * PAGE} bytes"


def swap_to_file(path: str, size: int, priority: int | None, effort: Effort) -> str:
    """Use a file as swap, and make it first if it is not there."""
    if path in read_swaps():
        return f"{path} is in use as swap already"
    require_no_link(path)
    flags = _preferred(path, priority)
    made = _make_file(path, size, effort)
    effort.wrote = True
    try:
        kernel.swap_on(path, flags)
    except OSError as error:
        raise NotDoneError(f"using {path} as swap: {words(error)}; it is not in use") from error
    return f"{path} in use as swap" + (f", made with {size} bytes" if made else "")


def _make_file(path: str, size: int, effort: Effort) -> bool:
    """Make a file that can be swapped to; false if there is one."""
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        there = None
    except OSError as error:
        raise NotDoneError(f"{path}: {words(error)}; nothing was changed") from error
    if there is not None:
        if not stat.S_ISREG(there.st_mode) or not _is_area(path):
            raise RefusedError(f"{path} is there, and is no file to swap to; it was left alone")
        return False
    effort.wrote = True
    where = os.path.dirname(path)
    try:
        os.makedirs(where, 0o755, exist_ok=True)
        # It has no name before it is whole: if this is cut short, nothing is left of it.
        descriptor = os.open(where, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
        try:
            _without_copies(descriptor)
            os.posix_fallocate(descriptor, 0, size)
            os.pwrite(descriptor, header(size), 0)
            os.fsync(descriptor)
            # Given any descriptor to start from, this call follows the link in /proc to the file; without, it does not.
            os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise NotDoneError(f"making {path} to swap to: {words(error)}; it is not there") from error
    return True


def _without_copies(descriptor: int) -> None:
    """On btrfs, have the file stay where it is when it is written; others have no such thing."""
    flags = bytearray(8)
    try:
        fcntl.ioctl(descriptor, GET_FLAGS, flags)
        (known,) = struct.unpack("=q", flags)
        fcntl.ioctl(descriptor, SET_FLAGS, struct.pack("=q", known | NO_COPIES))
    except OSError as error:
        if error.errno not in {errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL}:
            raise


def header(size: int) -> bytes:
    """Give the first page of an area of so many bytes."""
    known = bytes(FIELDS) + _FIELDS.pack(1, size // PAGE - 1, 0) + uuid4().bytes
    return known.ljust(PAGE - len(MAGIC), b"\0") + MAGIC


def _is_area(path: str) -> bool:
    with open(path, "rb") as file:
        return _ends_as_area(file.read(PAGE))


def _ends_as_area(page: bytes) -> bool:
    return len(page) == PAGE and page[-len(MAGIC) :] == MAGIC


def _preferred(who: str, priority: int | None) -> int:
    if priority is None:
        return 0
    if not 0 <= priority <= HIGHEST_PRIORITY:
        raise NotDoneError(f"{who}: a swap priority lies between 0 and {HIGHEST_PRIORITY}, {priority} does not")
    return SWAP_PREFER | priority


def is_swap(place: Place) -> bool:
    """Whether the kernel uses this device as swap."""
    return any(block_number(path) == place.number for path in read_swaps())
