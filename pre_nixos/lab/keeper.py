"""Keeps a program: it can write only where it is told, and it does not outlive who started it. No privilege is needed.

A guest's root could mount more of the host's tree writable; with this, the host's kernel (Landlock) refuses the write
whatever the guest does. Used as `python keeper.py DIRECTORY... -- PROGRAM ARGUMENT...`: when standard input ends or the
program does, everything in the process group is killed. Kernels without Landlock run the program all the same;
`available` tells.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import struct
import sys

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_PR_SET_NO_NEW_PRIVS = 38
_PATH_BENEATH = 1
_FILE = 1 << 1 | 1 << 14
"""Write to a file, truncate it."""
_DIRECTORY = _FILE | sum(1 << bit for bit in range(4, 14))
"""The same and everything that makes, removes or moves an entry of a directory."""
_SINCE = ((1, ~(1 << 13 | 1 << 14)), (2, ~(1 << 14)))
"""What older versions do not know yet: moving between directories came with 2, truncating with 3."""

_libc = ctypes.CDLL(None, use_errno=True)


def available() -> int:
    """Which version of Landlock the kernel offers; 0 for none."""
    return max(0, int(_libc.syscall(_CREATE, None, ctypes.c_size_t(0), 1)))


def write_only_below(paths: list[str]) -> bool:
    """Take away from this process, and all it starts, the right to write anywhere else; False if the kernel cannot."""
    version = available()
    if version == 0:
        return False
    handled = _DIRECTORY
    for known, mask in _SINCE:
        if version <= known:
            handled &= mask
    rules = _call(_CREATE, struct.pack("Q", handled), 8, 0)
    for path in paths:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        allowed = handled if os.path.isdir(path) else handled & _FILE
        _call(_ADD, rules, _PATH_BENEATH, struct.pack("=Qi", allowed, place), 0)
        os.close(place)
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs was refused")
    _call(_RESTRICT, rules, 0)
    os.close(rules)
    return True


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *(ctypes.c_size_t(a) if isinstance(a, int) else a for a in arguments)))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock call {number}: {os.strerror(ctypes.get_errno())}")
    return result


def main(arguments: list[str]) -> None:
    """Start the program confined, in this process group, and end the group when it is time."""
    end = arguments.index("--")
    program = arguments[end + 1 :]
    child = os.fork()
    if child == 0:
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        write_only_below([*arguments[:end], "/dev/null"])
        os.execvp(program[0], program)  # noqa: S606 - argv only; becoming the program is the purpose
    # Not the kernel's parent-death signal: it comes when the thread that started us ends, and threads may boot guests.
    select.select([0, os.pidfd_open(child)], [], [])
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
