"""The system calls Python has no name for."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BLKSSZGET = 0x1268
BLKPG = 0x1269
BLKFLSBUF = 0x1261
BLKGETSIZE64 = 0x80081272
BLKDISCARD = 0x1277
BLKZEROOUT = 0x127F
BLKGETDISKSEQ = 0x80081280


class PartitionChange(IntEnum):
    """What BLKPG can be told to do."""

    ADD = 1
    REMOVE = 2
    RESIZE = 3


class _Partition(ctypes.Structure):
    """The kernel's `struct blkpg_partition`; all in bytes."""

    _fields_ = (
        ("start", ctypes.c_longlong),
        ("length", ctypes.c_longlong),
        ("number", ctypes.c_int),
        ("device_name", ctypes.c_char * 64),
        ("volume_name", ctypes.c_char * 64),
    )


class _Argument(ctypes.Structure):
    """The kernel's `struct blkpg_ioctl_arg`."""

    _fields_ = (
        ("operation", ctypes.c_int),
        ("flags", ctypes.c_int),
        ("size", ctypes.c_int),
        ("data", ctypes.c_void_p),
    )


def change_partition(disk: int, change: PartitionChange, number: int, start: int = 0, length: int = 0) -> None:
    """Tell the kernel of one partition of an open disk, without it reading the table."""
    partition = _Partition(start=start, length=length, number=number)
    argument = _Argument(
        operation=int(change), flags=0, size=ctypes.sizeof(partition), data=ctypes.addressof(partition)
    )
    fcntl.ioctl(disk, BLKPG, bytes(argument))


def size_of(device: int) -> int:
    """The size of an open block device, in bytes."""
    return int(struct.unpack("=Q", fcntl.ioctl(device, BLKGETSIZE64, bytes(8)))[0])


def sector_of(device: int) -> int:
    """The logical block size of an open block device."""
    return int(struct.unpack("=i", fcntl.ioctl(device, BLKSSZGET, bytes(4)))[0])


def sequence_of(device: int) -> int | None:
    """The kernel's running number of the disk behind an open device; None before Linux 5.15."""
    try:
        return int(struct.unpack("=Q", fcntl.ioctl(device, BLKGETDISKSEQ, bytes(8)))[0])
    except OSError:
        return None


def drop_cache(device: int) -> None:
    """Write back and forget what the page cache holds of an open block device."""
    fcntl.ioctl(device, BLKFLSBUF, 0)


def zero_out(device: int, start: int, length: int) -> None:
    """Let the kernel write zeros, by the fastest way the device has."""
    fcntl.ioctl(device, BLKZEROOUT, struct.pack("=QQ", start, length))


def discard(device: int, start: int, length: int) -> None:
    """Tell a device that these bytes are not needed any more."""
    fcntl.ioctl(device, BLKDISCARD, struct.pack("=QQ", start, length))


_C = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    """Call a function of the C library that answers 0 or sets errno."""
    if getattr(_C, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def mount(source: str, at: str, kind: str, flags: int, data: str) -> None:
    """Mount the filesystem of a device."""
    _call(
        "mount",
        os.fsencode(source),
        os.fsencode(at),
        os.fsencode(kind),
        ctypes.c_ulong(flags),
        os.fsencode(data) or None,
    )


OPEN_TREE, MOVE_MOUNT, FSOPEN, FSCONFIG, FSMOUNT = 428, 429, 430, 431, 432
"""Numbers of the calls that mount in steps: one number each on every architecture."""


def mount_unseen(source: str, kind: str, options: Mapping[str, str]) -> int:
    """Mount the filesystem of a device nowhere: only the descriptor leads into it, and its end unmounts."""
    context = _numbered("fsopen", FSOPEN, os.fsencode(kind), 1)
    try:
        for key, value in {"source": source, **options}.items():
            _numbered("fsconfig", FSCONFIG, context, 1, os.fsencode(key), os.fsencode(value), 0)
        _numbered("fsconfig", FSCONFIG, context, 6, None, None, 0)
        return _numbered("fsmount", FSMOUNT, context, 1, 0xE)  # no set-user-ID, no devices, no programs
    finally:
        os.close(context)


def copy_mount(path: str) -> int:
    """Take a copy of what is mounted, seen from a directory of it; only the descriptor leads there."""
    return _numbered("open_tree", OPEN_TREE, -100, os.fsencode(path), 1 | os.O_CLOEXEC | 0x100)


def show_at(mounted: int, at: str) -> None:
    """Mount at a path what only a descriptor leads to."""
    _numbered("move_mount", MOVE_MOUNT, mounted, b"", -100, os.fsencode(at), 4)


def _numbered(name: str, number: int, *arguments: object) -> int:
    """Make a system call that the C library may have no name for."""
    answer = int(_C.syscall(number, *arguments))
    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), name)
    return answer


def make_subvolume(directory: int, name: str, *, origin: int | None = None, read_only: bool = False) -> None:
    """Make a subvolume in a directory, empty or as a snapshot of the one that is open as `origin`."""
    flags = 2 if read_only else 0
    argument = bytearray(struct.pack("=qQQ32s", -1 if origin is None else origin, 0, flags, b"") + os.fsencode(name))
    argument.extend(bytes(4096 - len(argument)))
    fcntl.ioctl(directory, 0x50009418 if origin is None else 0x50009417, argument)


def commit(directory: int) -> None:
    """Have a btrfs write down everything, whoever has it mounted."""
    fcntl.ioctl(directory, 0x9408)


def unmount(at: str) -> None:
    """Unmount a directory, never through a symbolic link."""
    _call("umount2", os.fsencode(at), 8)  # UMOUNT_NOFOLLOW


def swap_on(path: str, flags: int) -> None:
    """Start swapping to a device."""
    _call("swapon", os.fsencode(path), flags)


def swap_off(path: str) -> None:
    """Stop swapping to a device."""
    _call("swapoff", os.fsencode(path))
