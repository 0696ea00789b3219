"""How large a mounted filesystem is, of those whose superblock on the device hears of it last of all."""

from __future__ import annotations

import fcntl
import os
import struct

XFS_GEOMETRY = 0x80705864
XFS_GEOMETRY_LENGTH = 112


def told_size(type_: str, at: str, number: str) -> int | None:
    """Give the bytes that the kernel says a filesystem has that is mounted there, from the device of this number.

    None if only its superblock tells, if something else is to be seen there, or if nobody says in time.
    """
    if type_ != "xfs":
        return None
    from pre_nixos.host.statx import in_time  # few have such a mount, and ctypes takes long to load

    return in_time(f"the size of {at}", lambda: _xfs(at, number))


def block_and_geometry(directory: int) -> tuple[int, bytes]:
    """Give the length of a block of an XFS that a directory of is open, and all that the kernel says of its shape."""
    geometry = fcntl.ioctl(directory, XFS_GEOMETRY, bytes(XFS_GEOMETRY_LENGTH))
    return struct.unpack_from("=I", geometry, 0)[0], geometry


def _xfs(at: str, number: str) -> int | None:
    try:
        directory = os.open(at, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            device = os.fstat(directory).st_dev
            if f"{os.major(device)}:{os.minor(device)}" != number:
                return None
            block, geometry = block_and_geometry(directory)
        finally:
            os.close(directory)
    except (OSError, ValueError):
        return None
    return block * int(struct.unpack_from("=Q", geometry, 32)[0])
