"""A program that was started, and its end: what the subprocess module does too, which takes longer to load than to use.

It is started without a copy of this process being made first, which would be paid for page by page.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Started:
    """A program that was started, in a session of its own."""

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        given: bool = False,
        pass_fds: Sequence[int] = (),
        output: tuple[int, int] | None = None,
    ) -> None:
        """Start it; OSError if that fails. Without `given` its input is closed, without `output` it writes to pipes."""
        self.status: int | None = None
        """Its exit status, negative for a signal; None as long as it is not known to have ended."""
        self.stdin, self.stdout, self.stderr = -1, -1, -1
        """Our ends of the pipes; -1 where there is none, or none any more."""
        its: list[int] = []
        try:
            if given:
                read, self.stdin = _pipe()
                its.append(read)
            if output is None:
                self.stdout, out = _pipe()
                its.append(out)
                self.stderr, err = _pipe()
                its.append(err)
            else:
                out, err = output
            self.pid = _spawn(argv, environment, (its[0] if given else -1, out, err), pass_fds)
        except BaseException:
            self.close()
            raise
        finally:
            for descriptor in its:
                os.close(descriptor)

    def poll(self) -> int | None:
        """Give its exit status if it has ended."""
        return self._reap(os.WNOHANG)

    def wait(self) -> int:
        """Wait until it has ended and give its exit status."""
        return self._reap(0) or 0

    def ends_within(self, seconds: float) -> bool:
        """Wait until it has ended, but no longer than this."""
        deadline = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        return True

    def close(self) -> None:
        """Close our ends of its streams."""
        for descriptor in (self.stdin, self.stdout, self.stderr):
            if descriptor >= 0:
                os.close(descriptor)
        self.stdin = self.stdout = self.stderr = -1

    def close_input(self) -> None:
        """Tell it that there is no more to come."""
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

    def _reap(self, how: int) -> int | None:
        if self.status is None:
            try:
                pid, ended = os.waitpid(self.pid, how)
            except ChildProcessError:  # whoever uses this library waits for all children, and knows what became of it
                self.status = 0
            else:
                if pid:
                    self.status = os.waitstatus_to_exitcode(ended)
        return self.status


def _spawn(
    argv: Sequence[str], environment: Mapping[str, str], streams: tuple[int, int, int], pass_fds: Sequence[int]
) -> int:
    from signal import SIGPIPE, SIGXFSZ  # only those who start something should pay

    actions: list[tuple[int, int] | tuple[int, int, int] | tuple[int, int, str, int, int]] = []
    for place, descriptor in enumerate(streams):
        if descriptor < 0:
            actions.append((os.POSIX_SPAWN_OPEN, place, os.devnull, os.O_RDONLY, 0))
        else:
            actions.append((os.POSIX_SPAWN_DUP2, descriptor, place))
    # Onto itself: then it stays open in the program, and in that alone.
    actions += [(os.POSIX_SPAWN_DUP2, descriptor, descriptor) for descriptor in pass_fds]
    actions += [(os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in _inherited() if descriptor not in pass_fds]
    # The interpreter ignores these two; a program expects to be ended by them.
    return os.posix_spawn(
        argv[0], tuple(argv), environment, file_actions=actions, setsid=True, setsigdef=(SIGPIPE, SIGXFSZ)
    )


def _inherited() -> list[int]:
    """Name the descriptors every program gets that we start: some library left them open."""
    found: list[int] = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # closed by now, as that of this very list is
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
    return found


def _pipe() -> tuple[int, int]:
    """Make a pipe, both ends above where a program's own streams go."""
    reading, writing = os.pipe()
    return above_streams(reading), above_streams(writing)


def above_streams(descriptor: int) -> int:
    """Give a descriptor a number above 2, where one of these was free; nothing else of it changes."""
    if descriptor > 2:
        return descriptor
    import fcntl  # hardly anybody needs it

    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return moved
