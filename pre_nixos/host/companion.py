"""Somebody kept at hand to do what might hang, and left behind when they do.

Starting an interpreter takes longer than most of what it is needed for. So one is kept, waiting, for the next request,
and where that is safe it is a copy of this very process, which need not be started at all. It ends with us, because
its input does.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pre_nixos.host.started import Started

_HEAD = 8
"""Bytes before each message, either way, that tell its length."""
GRACE = 1.0
"""Seconds a killed copy is given to be gone before it is left behind."""


class _Helper(Protocol):
    """Whoever does it."""

    given: int
    """The descriptor of its input."""
    heard: int
    """The descriptor of its output."""

    def ended(self) -> bool:
        """Whether it is no more."""
        ...

    def last_words(self) -> str:
        """Give the last line it wrote to its standard error before it ended."""
        ...

    def leave(self) -> None:
        """End it, or leave it behind."""
        ...


class Companion:
    """A program, or a copy of this one, that takes a message and gives a known number of messages back."""

    def __init__(self, argv: Sequence[str], inside: Callable[[], Callable[[], object]] | None = None) -> None:
        """Take the program to start, and what does the same in a copy of this process: from descriptor 0 to 1.

        `inside` is called before there is a copy, to load what that will need: loading it there takes longer.
        """
        self._argv = argv
        self._inside = inside
        self._turn = _thread.allocate_lock()
        self._helper: _Helper | None = None
        self._owner = 0

    def ask(self, message: bytes, answers: int, timeout: float) -> tuple[list[bytes], str]:
        """Send a message and wait for its answers; fewer than that with an error, which is `timeout` or its words."""
        with self._turn:
            try:
                helper = self._running()
            except OSError as problem:
                return [], str(problem)
            try:
                got, error = _exchange(helper, message, answers, time.monotonic() + timeout)
            except BaseException:  # also an interrupt from the keyboard: half a conversation cannot be gone on with
                self._leave(helper)
                raise
            if error == "ended":
                error = helper.last_words()
            if error:
                self._leave(helper)
            return got, error

    def get_ready(self) -> None:
        """Make a copy of this process now, if that is who will be asked: it is made soonest while there is little."""
        with self._turn:
            if self._inside is not None and _alone():
                with contextlib.suppress(OSError):  # whoever asks will be told
                    self._running()

    def close(self) -> None:
        """End whoever is waiting."""
        with self._turn:
            if self._helper is not None and self._owner == os.getpid():
                self._leave(self._helper)

    def _running(self) -> _Helper:
        """Give who is waiting, somebody new if they have ended, or if they are not ours but those of who forked us."""
        helper = self._helper if self._owner == os.getpid() else None
        if helper is not None and helper.ended():
            self._leave(helper)
            helper = None
        if helper is None:
            if not self._owner:
                import atexit  # only those who start one should pay

                atexit.register(self.close)
            helper = self._helper = self._new()
            self._owner = os.getpid()
            os.set_blocking(helper.given, False)
        return helper

    def _new(self) -> _Helper:
        _left_behind[:] = [copy for copy in _left_behind if not copy.ended()]
        if self._inside is not None and _alone():
            try:
                return _Copy(self._inside())
            except OSError:  # no memory for a copy, perhaps; a program needs less
                pass
        return _Program(self._argv)

    def _leave(self, helper: _Helper) -> None:
        helper.leave()
        self._helper = None


class _Program:
    """A program, in a process of its own from the start."""

    def __init__(self, argv: Sequence[str]) -> None:
        from pre_nixos.host import processes  # a copy needs none of it

        self._process: Started = processes.start(argv, given=True)
        self.given, self.heard = self._process.stdin, self._process.stdout

    def ended(self) -> bool:
        return self._process.poll() is not None

    def last_words(self) -> str:
        os.set_blocking(self._process.stderr, False)
        try:
            said = os.read(self._process.stderr, 1 << 16)
        except BlockingIOError:
            said = b""
        lines = said.decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it ended"

    def leave(self) -> None:
        from pre_nixos.host import processes  # loaded when it was started

        processes.end(self._process)


class _Copy:
    """A copy of this process, which has nothing of it open but the two ends of its conversation."""

    def __init__(self, inside: Callable[[], object]) -> None:
        its_input, self.given = os.pipe()
        self.heard, its_output = os.pipe()
        try:
            self._pid = os.fork()
        except OSError:
            for descriptor in (its_input, self.given, self.heard, its_output):
                os.close(descriptor)
            raise
        if self._pid == 0:
            _be_the_copy(inside, its_input, its_output)
        os.close(its_input)
        os.close(its_output)
        self._gone = False

    def ended(self) -> bool:
        if not self._gone:
            try:
                self._gone = os.waitpid(self._pid, os.WNOHANG)[0] != 0
            except ChildProcessError:  # whoever uses this library waits for all children
                self._gone = True
        return self._gone

    def last_words(self) -> str:
        return "it ended"

    def leave(self) -> None:
        os.close(self.given)
        os.close(self.heard)
        deadline = time.monotonic() + GRACE
        if self.ended():  # its number may be another's by now
            return
        os.kill(self._pid, 9)
        while not self.ended():
            if time.monotonic() > deadline:
                _left_behind.append(self)
                return
            time.sleep(0.001)


_left_behind: list[_Copy] = []
"""Copies that did not die, because the kernel holds them in a read that never returns."""


def _alone() -> bool:
    """Tell whether this process has one thread: what others hold at this moment would be held for ever in a copy."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def _be_the_copy(inside: Callable[[], object], its_input: int, its_output: int) -> NoReturn:
    """Become the helper; whatever happens, nothing of what we were goes on."""
    try:
        os.setsid()  # an interrupt from the keyboard is not meant for us
        signal = sys.modules.get("signal")  # where that was never loaded, nobody has asked for signals
        if signal is not None:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
        # In two steps, for one may have the other's number. What is open here and stays open after us would keep
        # those waiting who wait for its end.
        place = max(3, its_input, its_output) + 1
        os.dup2(its_input, place)
        os.dup2(its_output, place + 1)
        os.dup2(place, 0)
        os.dup2(place + 1, 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.chdir("/")
        import gc

        gc.freeze()  # looking at what we have would only copy it
        inside()
    finally:
        os._exit(1)


def _exchange(helper: _Helper, message: bytes, answers: int, deadline: float) -> tuple[list[bytes], str]:
    import select  # only those who ask should pay

    given, heard = helper.given, helper.heard
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
