"""Running programs: argv only, a clean environment, closed or given input, and an end to everything.

The one place of the library that starts a program. A program gets a session of its own, so that all it started can be
ended together when its time is up. What cannot be ended, because the kernel holds it in a read that never returns, is
left behind and not waited for.
"""

from __future__ import annotations

import contextlib
import os
import time
from functools import partial
from typing import TYPE_CHECKING

from pre_nixos.host.questions import Ran
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from subprocess import Popen
    from typing import IO

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
GRACE = 1.0
"""Seconds a killed program is given to be gone before it is left behind."""

_left_behind: list[Popen[bytes]] = []


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
) -> Ran:
    """Run a program to its end and give what it said as text; see `finish`."""
    done = finish(argv, stdin, timeout, pass_fds, dies_with_us=dies_with_us)
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
) -> Finished:
    """Run a program to its end, or to the end of its time; never raises for what the program does.

    With `dies_with_us` the kernel kills it when we die, where setpriv is there to arrange that. The descriptors in
    `pass_fds` stay open in it under their numbers. What it had said before its time was up is in the answer.
    """
    if not find(argv[0]):
        return Finished(status=-1, error="missing")
    try:
        process = start(argv, given=stdin is not None, pass_fds=pass_fds, dies_with_us=dies_with_us)
    except OSError as problem:
        return Finished(status=-1, error=problem.strerror or str(problem))
    heard: tuple[bytearray, bytearray] = (bytearray(), bytearray())
    in_time = False
    try:
        in_time = _converse(process, stdin or b"", heard, time.monotonic() + timeout)
    finally:  # also after an interrupt from the keyboard: nothing started is left running unwatched
        if in_time:
            _close(process)
        else:
            end(process)
    status, error = (process.wait(), "") if in_time else (-1, "timeout")
    return Finished(status=status, stdout=bytes(heard[0]), stderr=bytes(heard[1]), error=error)


def start(
    argv: Sequence[str], *, given: bool = False, pass_fds: Sequence[int] = (), dies_with_us: bool = False
) -> Popen[bytes]:
    """Start a program, in a session of its own; OSError if that fails. Who starts one sees to its end, by `end`.

    With `given` its input is a pipe, else it is closed.
    """
    import subprocess  # eight milliseconds that only those who run something should pay

    command = [find(argv[0]) or argv[0], *argv[1:]]
    if dies_with_us and (binder := _binder()):
        command = [binder, "--pdeathsig", "KILL", "--", *command]
    _left_behind[:] = [process for process in _left_behind if process.poll() is None]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE if given else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env=ENVIRONMENT | WITHOUT_UDEV if os.path.exists(UDEVD) and not is_listening(UDEVD) else ENVIRONMENT,
        cwd="/",
        start_new_session=True,
        pass_fds=pass_fds,
    )


def is_listening(path: str) -> bool:
    """Whether there is somebody behind a socket of udevd's kind, and not only what is left of them."""
    import socket  # eight milliseconds that only those who run something should pay, and subprocess is loaded anyway

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as peer:
        peer.settimeout(5)
        try:
            peer.connect(path)
        except OSError:
            return False
        return True


def end(process: Popen[bytes]) -> None:
    """Kill a program and all of its group, and leave behind what does not die."""
    import signal  # loaded by subprocess anyway
    import subprocess  # as above

    _close(process)
    if process.returncode is not None:  # its number may be another's by now
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        _left_behind.append(process)


def _binder() -> str:
    """Find util-linux's setpriv; busybox has one of the same name that knows nothing of parents."""
    path = find("setpriv")
    return path if path and os.path.basename(os.path.realpath(path)) == "setpriv" else ""


def _converse(process: Popen[bytes], given: bytes, heard: tuple[bytearray, bytearray], deadline: float) -> bool:
    """Feed and hear the process until it ends; false if the deadline came first.

    The end of the process counts, not the end of its output: a daemon it left behind may hold that open for ever.
    """
    import select  # only those who run something should pay

    poll = select.poll()
    # What to do when a stream is ready, each telling whether that stream is finished with.
    listeners = _listeners(process, heard)
    speakers: dict[int, Callable[[], bool]] = {}
    if process.stdin is not None:
        speakers[process.stdin.fileno()] = partial(_feed, process.stdin, [memoryview(given)])
    for streams, wanted in ((listeners, select.POLLIN), (speakers, select.POLLOUT)):
        for descriptor in streams:
            os.set_blocking(descriptor, False)
            poll.register(descriptor, wanted)
    ended = os.pidfd_open(process.pid)
    try:
        poll.register(ended, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            ready = [descriptor for descriptor, _ in poll.poll(left * 1000)]
            if ended in ready:
                for drain in listeners.values():
                    drain()
                return True
            for descriptor in ready:
                if (listeners.get(descriptor) or speakers[descriptor])():
                    poll.unregister(descriptor)
        return False
    finally:
        os.close(ended)


def _listeners(process: Popen[bytes], heard: tuple[bytearray, bytearray]) -> dict[int, Callable[[], bool]]:
    streams = zip((process.stdout, process.stderr), heard, strict=True)
    return {stream.fileno(): partial(_drain, stream.fileno(), sink) for stream, sink in streams if stream is not None}


def _drain(descriptor: int, sink: bytearray) -> bool:
    """Read what is there; true at the end of the stream."""
    while True:
        try:
            piece = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return False
        if not piece:
            return True
        sink += piece


def _feed(stream: IO[bytes], rest: list[memoryview]) -> bool:
    """Write what the program takes; true when it has it all or has stopped listening."""
    with contextlib.suppress(BlockingIOError):
        try:
            rest[0] = rest[0][os.write(stream.fileno(), rest[0]) :]
        except BrokenPipeError:
            rest[0] = rest[0][:0]
    if not rest[0]:
        stream.close()  # the end of its input is part of what a program waits for
    return not rest[0]


def _close(process: Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
