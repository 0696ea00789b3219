"""What a path leads to, by statx(2), without asking whoever serves it: one that is gone would never answer."""

from __future__ import annotations

import _thread
import ctypes
import os
import stat
import struct
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_HERE = -100  # AT_FDCWD
_TYPE = 0x1  # STATX_TYPE
_AS_KNOWN = 0x4000 | 0x800  # AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT
_SIZE = 256
_ANSWER = struct.Struct("=28xH98x4I")
"""`struct statx` as far as it matters: the mode, the device a node is of, and the one the filesystem is on."""
PATIENCE = 2.0
"""Seconds that a look at somebody else's path may take."""

_statx = ctypes.CDLL(None, use_errno=True).statx
_waiting: set[str] = set()
"""What was asked and is not answered yet: asking once more would only wait once more."""
T = TypeVar("T")


class Status(NamedTuple):
    """What is at a path, as `major:minor` each."""

    filesystem: str
    """The device number of the filesystem it is on."""
    device: str
    """The block device it is the node of, or nothing."""


def look(path: str) -> Status | None:
    """Tell what is at a path; None if nothing is.

    No filesystem is asked about it, only what the kernel knows counts. The way there may still lead through a
    filesystem that has to be asked for names: for any path but those below /proc, see `look_in_time`.
    """
    answer = ctypes.create_string_buffer(_SIZE)
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError:
        return None
    if b"\0" in name or _statx(_HERE, ctypes.c_char_p(name), _AS_KNOWN, _TYPE, answer) != 0:
        return None
    mode, major, minor, below_major, below_minor = _ANSWER.unpack_from(answer)
    return Status(filesystem=f"{below_major}:{below_minor}", device=f"{major}:{minor}" if stat.S_ISBLK(mode) else "")


def look_in_time(path: str, look: Callable[[str], Status | None] = look) -> Status | None:
    """Tell what is at a path; None if nothing is, or if nobody says."""
    # Nodes, and udev's links to them, are in the kernel's own memory; anybody may put anything into /dev/shm.
    if path.startswith("/dev/") and not path.startswith("/dev/shm/"):  # noqa: S108 - nothing is put there
        return look(path)
    return in_time(path, lambda: look(path))


def in_time(what: str, ask: Callable[[], T], seconds: float = PATIENCE) -> T | None:
    """Do what may never come back, and give None if it does not, or if it did not the last time.

    It must not raise anything, and is left behind in a thread of its own.
    """
    if what in _waiting:
        return None
    found: list[T] = []
    finished = _thread.allocate_lock()
    finished.acquire()

    def ask_apart() -> None:
        try:
            found.append(ask())
        finally:
            _waiting.discard(what)
            finished.release()

    _waiting.add(what)
    _thread.start_new_thread(ask_apart, ())
    return found[0] if finished.acquire(timeout=seconds) and found else None
