"""A program kept at hand to do what might hang, and left behind when it does.

Starting an interpreter takes longer than most of what it is needed for, so one is kept, waiting, for the next request.
It ends with us, because its input does.
"""

from __future__ import annotations

import _thread
import os
import time
from typing import TYPE_CHECKING

from pre_nixos.host import processes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from subprocess import Popen

_HEAD = 8
"""Bytes before each message, either way, that tell its length."""


class Companion:
    """A program that takes a message and gives a known number of messages back."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = argv
        self._turn = _thread.allocate_lock()
        self._process: Popen[bytes] | None = None
        self._owner = 0

    def ask(self, message: bytes, answers: int, timeout: float) -> tuple[list[bytes], str]:
        """Send a message and wait for its answers; fewer than that with an error, which is `timeout` or its words."""
        with self._turn:
            try:
                process = self._running()
            except OSError as problem:
                return [], str(problem)
            try:
                got, error = _exchange(process, message, answers, time.monotonic() + timeout)
            except BaseException:  # also an interrupt from the keyboard: half a conversation cannot be gone on with
                self._leave(process)
                raise
            if error == "ended":
                error = _last_words(process)
            if error:
                self._leave(process)
            return got, error

    def close(self) -> None:
        """End the program, if one is waiting."""
        with self._turn:
            if self._process is not None and self._owner == os.getpid():
                self._leave(self._process)

    def _running(self) -> Popen[bytes]:
        """Give the waiting program, a new one if it has ended, or if it is not ours but that of whoever forked us."""
        if self._process is not None and self._owner == os.getpid() and self._process.poll() is not None:
            self._leave(self._process)
        if self._process is None or self._owner != os.getpid():
            if not self._owner:
                import atexit  # only those who start one should pay

                atexit.register(self.close)
            self._process = processes.start(self._argv, given=True)
            self._owner = os.getpid()
            if self._process.stdin is not None:
                os.set_blocking(self._process.stdin.fileno(), False)
        return self._process

    def _leave(self, process: Popen[bytes]) -> None:
        processes.end(process)
        self._process = None


def _exchange(process: Popen[bytes], message: bytes, answers: int, deadline: float) -> tuple[list[bytes], str]:
    import select  # only those who ask should pay

    if process.stdin is None or process.stdout is None:
        return [], "ended"
    given, heard = process.stdin.fileno(), process.stdout.fileno()
    rest = memoryview(len(message).to_bytes(_HEAD, "big") + message)
    buffer = bytearray()
    got: list[bytes] = []
    poll = select.poll()
    poll.register(heard, select.POLLIN)
    poll.register(given, select.POLLOUT)
    while len(got) < answers:
        left = deadline - time.monotonic()
        if left <= 0:
            return got, "timeout"
        ready = {descriptor for descriptor, _ in poll.poll(left * 1000)}
        if given in ready:
            try:
                rest = rest[os.write(given, rest) :]
            except BrokenPipeError:
                return got, "ended"
            if not rest:
                poll.unregister(given)
        if heard in ready:
            piece = os.read(heard, 1 << 20)
            if not piece:
                return got, "ended"
            buffer += piece
            got += _messages(buffer)
    return got, ""


def _messages(buffer: bytearray) -> list[bytes]:
    """Take the whole messages out of a buffer."""
    found: list[bytes] = []
    while len(buffer) >= _HEAD:
        end = _HEAD + int.from_bytes(buffer[:_HEAD], "big")
        if len(buffer) < end:
            break
        found.append(bytes(buffer[_HEAD:end]))
        del buffer[:end]
    return found


def _last_words(process: Popen[bytes]) -> str:
    """Give the last line a program wrote to its standard error before it ended."""
    if process.stderr is None:
        return "it ended"
    os.set_blocking(process.stderr.fileno(), False)
    lines = (process.stderr.read() or b"").decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it ended"
