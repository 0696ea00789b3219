"""What is behind a loop device, as the kernel knows it: the path in sysfs may be gone, or another's in a container."""

from __future__ import annotations

import fcntl
import os
import stat
import sys

from pre_nixos.host.statx import Status, in_time
from pre_nixos.host.sysfs import node_path

_GET_STATUS = 0x4C05  # LOOP_GET_STATUS64
_SIZE = 232  # of struct loop_info64, which begins with the three numbers
_NUMBERS = slice(0, 8), slice(16, 24)
"""Where the device is that the file lies on, and the one it is the node of."""


def behind(name: str, number: str) -> Status | None:
    """Tell what is behind a loop device; None if the kernel does not say, or not in time.

    The kernel asks the filesystem of the file, and the server of that may be gone.
    """
    return in_time(f"behind {name}", lambda: _behind(name, number))


def _behind(name: str, number: str) -> Status | None:
    try:
        node = os.open(node_path(name), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        state = os.fstat(node)
        if not stat.S_ISBLK(state.st_mode) or _text(state.st_rdev) != number:
            return None
        return parse(fcntl.ioctl(node, _GET_STATUS, bytes(_SIZE)))
    except OSError:
        return None
    finally:
        os.close(node)


def parse(answer: bytes) -> Status:
    """Take the beginning of a loop_info64 apart."""
    filesystem, device = (int.from_bytes(answer[place], sys.byteorder) for place in _NUMBERS)
    return Status(filesystem=_text(filesystem), device=_text(device) if device else "")


def _text(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"
