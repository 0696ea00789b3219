"""Running programs: argv only, a clean environment, closed or given input, and an end to everything.

The one place of the library that starts a program. A program gets a session of its own, so that all it started can be
ended together when its time is up. What cannot be ended, because the kernel holds it in a read that never returns, is
left behind and not waited for.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from pre_nixos.host.listening import EVERY, Ear
from pre_nixos.host.questions import Ran
from pre_nixos.host.started import Started, above_streams
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SEARCH_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin"
"""Where programs are looked for; the caller's own PATH is not trusted with a machine's disks."""
ENVIRONMENT = {
    "PATH": SEARCH_PATH,
    "LC_ALL": "C.UTF-8",
    # LVM would complain on standard error about every descriptor it inherits, and some are inherited on purpose.
    "LVM_SUPPRESS_FD_WARNINGS": "1",
}
"""All a program finds in its environment."""
WITHOUT_UDEV = {"DM_DISABLE_UDEV": "1", "MDADM_NO_UDEV": "1"}
"""And this where udevd has died: LVM goes by the socket it leaves behind, and waits for its word for ever."""
UDEVD = "/run/udev/control"
_KILL = 9
GRACE = 1.0
"""Seconds a killed program is given to be gone before it is left behind."""

_left_behind: list[Started] = []


class Finished(Data):
    """What a program did, in bytes; `error` as in `Ran`."""

    status: int
    stdout: bytes = b""
    stderr: bytes = b""
    error: str = ""


def find(program: str) -> str:
    """Give the path of a program, or nothing if it is not installed."""
    if "/" in program:
        return program if os.access(program, os.X_OK) else ""
    for directory in SEARCH_PATH.split(":"):
        path = f"{directory}/{program}"
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return ""


def run(
    argv: Sequence[str],
    stdin: bytes | None = None,
    timeout: float = 60.0,
    pass_fds: Sequence[int] = (),
    *,
    dies_with_us: bool = False,
    heard: Callable[[str], None] | None = None,
) -> Ran:
    """Run a program to its end and give what it said as text; see `finish`."""
    done = finish(argv, stdin, timeout, pass_fds, dies_with_us=dies_with_us, heard=heard)
    return Ran(
        status=done.status,
        stdout=done.stdout.decode("utf-8", "replace"),
        stderr=done.stderr.decode("utf-8", "replace"),
        error=done.error,
    )


def finish(
    argv: Sequence[str],
    stdin: bytes | None = None,
    timeout: float = 60.0,
    pass_fds: Sequence[int] = (),
    *,
    dies_with_us: bool = False,
    heard: Callable[[str], None] | None = None,
) -> Finished:
    """Run a program to its end, or to the end of its time; never raises for what the program does.

    With `dies_with_us` the kernel kills it when we die, where setpriv is there to arrange that. The descriptors in
    `pass_fds` stay open in it under their numbers. What it had said before its time was up is in the answer; `heard`
    is told each line soon after it was said.
    """
    if not find(argv[0]):
        return Finished(status=-1, error="missing")
    # Files in memory, not pipes: a pipe would wake us for every line, and what a program may write to it is limited.
    output = above_streams(os.memfd_create("stdout")), above_streams(os.memfd_create("stderr"))
    try:
        given = stdin is not None
        ear = Ear(output, heard) if heard is not None else None
        process = start(argv, given=given, pass_fds=pass_fds, dies_with_us=dies_with_us, output=output)
        in_time = False
        try:
            in_time = _wait(process, stdin or b"", time.monotonic() + timeout, ear)
        finally:  # also after an interrupt from the keyboard: nothing started is left running unwatched
            if in_time:
                process.close()
            else:
                end(process)
        if ear is not None:
            ear.listen(last=True)
        status, error = (process.wait(), "") if in_time else (-1, "timeout")
        return Finished(status=status, stdout=_content(output[0]), stderr=_content(output[1]), error=error)
    except OSError as problem:
        return Finished(status=-1, error=problem.strerror or str(problem))
    finally:
        for descriptor in output:
            os.close(descriptor)


def start(
    argv: Sequence[str],
    *,
    given: bool = False,
    pass_fds: Sequence[int] = (),
    dies_with_us: bool = False,
    output: tuple[int, int] | None = None,
) -> Started:
    """Start a program, in a session of its own; OSError if that fails. Who starts one sees to its end, by `end`.

    With `given` its input is a pipe, else it is closed. What it says goes to the two descriptors in `output`, or else
    into pipes.
    """
    command = [find(argv[0]) or argv[0], *argv[1:]]
    if dies_with_us and (binder := _binder()):
        command = [binder, "--pdeathsig", "KILL", "--", *command]
    _left_behind[:] = [process for process in _left_behind if process.poll() is None]
    environment = ENVIRONMENT | WITHOUT_UDEV if os.path.exists(UDEVD) and not is_listening(UDEVD) else ENVIRONMENT
    return Started(command, environment, given=given, pass_fds=pass_fds, output=output)


def is_listening(path: str) -> bool:
    """Whether there is somebody behind a socket of udevd's kind, and not only what is left of them."""
    import _socket  # what `socket` wraps: nothing of that is needed here, and loading it takes five times as long

    peer = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        peer.settimeout(5)
        peer.connect(path)
    except OSError:
        return False
    else:
        return True
    finally:
        peer.close()


def end(process: Started) -> None:
    """Kill a program and all of its group, and leave behind what does not die."""
    process.close()
    if process.status is not None:  # its number may be another's by now
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, _KILL)
    if not process.ends_within(GRACE):
        _left_behind.append(process)


def _binder() -> str:
    """Find util-linux's setpriv; busybox has one of the same name that knows nothing of parents."""
    path = find("setpriv")
    return path if path and os.path.basename(os.path.realpath(path)) == "setpriv" else ""


def _wait(process: Started, given: bytes, deadline: float, ear: Ear | None = None) -> bool:
    """Feed the process until it ends; false if the deadline came first."""
    import select  # only those who run something should pay

    poll = select.poll()
    rest = memoryview(given)
    if process.stdin >= 0:
        os.set_blocking(process.stdin, False)
        poll.register(process.stdin, select.POLLOUT)
    ended = os.pidfd_open(process.pid)
    try:
        poll.register(ended, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            ready = [descriptor for descriptor, _ in poll.poll(min(left, EVERY if ear else left) * 1000)]
            if ear is not None:
                ear.listen()
            if ended in ready:
                return True
            for descriptor in ready:
                rest = _feed(descriptor, rest)
                if not rest:
                    poll.unregister(descriptor)
                    process.close_input()  # the end of its input is part of what a program waits for
        return False
    finally:
        os.close(ended)


def _content(descriptor: int) -> bytes:
    """Read what was written to a file in memory by now; a daemon that was left behind may still be writing."""
    size, content = os.fstat(descriptor).st_size, b""
    while len(content) < size and (piece := os.pread(descriptor, size - len(content), len(content))):
        content += piece
    return content


def _feed(descriptor: int, rest: memoryview) -> memoryview:
    """Write what the program takes; give what is left, nothing also if it has stopped listening."""
    try:
        return rest[os.write(descriptor, rest) :]
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        return rest[:0]
