"""Growing what is on a device to the size of it.

A filesystem is grown by the kernel, which does it while it is in use. It is asked through a mount that nobody sees, so
it makes no difference whether and where it is mounted otherwise. Swap goes out of use for that moment.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import TYPE_CHECKING

from pre_nixos.host.doing import kernel, swapping
from pre_nixos.host.doing.problems import NotDoneError, words
from pre_nixos.host.geometry import block_and_geometry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pre_nixos.host.doing.places import Place
    from pre_nixos.host.doing.problems import Effort

EXT4_RESIZE = 0x40086610
XFS_GROW = 0x4010586E
BTRFS_SMALLEST = 256 * 1024 * 1024
"""The kernel resizes no device of a btrfs to less than this."""
BTRFS_INFO, BTRFS_RESIZE = 0x8400941F, 0x50009403


def grow(place: Place, kind: str, effort: Effort) -> str:
    """Have what is on a device take all of it."""
    if kind == "swap":
        return swapping.grow_area(place, effort)
    if kind not in _GROWING:
        raise NotDoneError(f"{place}: a {kind} cannot be grown; nothing was changed")
    effort.wrote = True  # mounting alone may replay a journal
    mounted = _mounted(place, kind)
    try:
        directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mounted)
        try:
            before = _size(directory)
            _GROWING[kind](directory, _bytes(place))
            os.fsync(directory)
            after = _size(directory)
            _flush(place)
        finally:
            os.close(directory)
    except OSError as error:
        raise NotDoneError(f"{place}: growing the {kind}: {words(error)}; it may have grown in part") from error
    finally:
        os.close(mounted)
    return f"{place}: the {kind} went from {before} to {after} bytes"


def _mounted(place: Place, kind: str) -> int:
    try:
        try:
            return kernel.mount_unseen(place.path, kind, {})
        except OSError as error:
            if error.errno != errno.EBUSY or kind not in _ALSO_MOUNTED_AS:
                raise
            return kernel.mount_unseen(place.path, _ALSO_MOUNTED_AS[kind], {})
    except OSError as error:
        raise NotDoneError(f"{place}: mounting the {kind} to grow it: {words(error)}; it was not grown") from error


def _size(directory: int) -> int:
    found = os.fstatvfs(directory)
    return found.f_blocks * found.f_frsize


def _flush(place: Place) -> None:
    """Have the device itself say what the filesystem now does: who looks at it next reads past the cache."""
    descriptor = os.open(place.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _bytes(place: Place) -> int:
    descriptor = os.open(place.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return kernel.size_of(descriptor)
    finally:
        os.close(descriptor)


def _ext(directory: int, size: int) -> None:
    blocks = size // os.fstatvfs(directory).f_frsize
    fcntl.ioctl(directory, EXT4_RESIZE, struct.pack("=Q", blocks))


def _xfs(directory: int, size: int) -> None:
    block, geometry = block_and_geometry(directory)
    (most_inodes,) = struct.unpack_from("=I", geometry, 28)
    try:
        fcntl.ioctl(directory, XFS_GROW, struct.pack("=QII", size // block, most_inodes, 0))
    except OSError as error:
        if error.errno != errno.EINVAL:  # what is asked for is no larger than what is there, or too little to matter
            raise


def _btrfs(directory: int, size: int) -> None:
    if size < BTRFS_SMALLEST:
        return
    info = bytearray(1024)
    fcntl.ioctl(directory, BTRFS_INFO, info)
    (highest,) = struct.unpack_from("=Q", info)
    for device in range(1, min(highest, 4096) + 1):
        argument = bytearray(struct.pack("=q", 0) + f"{device}:max".encode())
        argument.extend(bytes(4096 - len(argument)))
        try:
            fcntl.ioctl(directory, BTRFS_RESIZE, argument)
        except OSError as error:
            if error.errno != errno.ENODEV:  # a device that was removed leaves its number unused
                raise


_GROWING: Mapping[str, Callable[[int, int], None]] = {
    "ext2": _ext,
    "ext3": _ext,
    "ext4": _ext,
    "xfs": _xfs,
    "btrfs": _btrfs,
}
_ALSO_MOUNTED_AS = {"ext2": "ext4", "ext3": "ext4"}
"""By another of its names, a filesystem that is mounted is busy."""
