"""A host at the other end of a pipe: one JSON line for each question, one for each answer.

`serve` gives a host to whoever writes to the pipe, `RemoteHost` is that host at the near end. Any pair of byte streams
will do: ssh's standard input and output, a guest's serial port, a socket. The near end of

    ssh root@machine python3 -m pre_nixos.host.agent

is `RemoteHost(process.stdout, process.stdin, name="machine")`.
"""

from __future__ import annotations

import os
import select
import sys
import time
from _thread import allocate_lock
from itertools import count
from types import NoneType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import msgspec

from pre_nixos.host.api import Deed, Outcome
from pre_nixos.host.questions import AnyQuestion, Question, answer_type
from pre_nixos.model.data import Data
from pre_nixos.model.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    from pre_nixos.host.api import Host

    class ByteSource(Protocol):
        """Where bytes come from: anything with a descriptor."""

        def fileno(self) -> int:
            """Give the descriptor."""
            ...

    ByteTarget = ByteSource

A = TypeVar("A")

GRACE = 60.0
"""Seconds an answer may take beyond the time its question allows itself."""


class Request(Data):
    """One line to the agent: exactly one of `ask`, `step`, `deed`, `call` and `part` is set."""

    id: int
    ask: AnyQuestion | None = None
    step: Step | None = None
    deed: Deed | None = None
    call: str = ""
    """The name of something the agent's owner added, such as the lab's own requests."""
    argument: msgspec.Raw = msgspec.Raw(b"null")
    places: dict[str, str] = {}
    secrets: dict[str, bytes] = {}
    """As bytes, which need not be text; only the lines between the two ends ever have them so."""
    part: bytes = b""
    """A piece of a request's line, for channels that lose what comes faster than it is read; acknowledged with null."""
    last: bool = True
    """The pieces are complete with this one: the answer is the request's."""


class Fault(Data):
    """An exception at the far end."""

    type: str
    message: str
    trace: str = ""


class Reply(Data):
    """One line from the agent; number 0 is its greeting."""

    id: int
    answer: msgspec.Raw = msgspec.Raw(b"null")
    fault: Fault | None = None


class Greeting(Data):
    """What an agent says first, so that nobody writes to a line it is not listening to yet."""

    pid: int
    python: str


class ChannelError(Exception):
    """The pipe to a host broke, fell silent or carried something else; what was asked last may have been done."""


class RemoteError(Exception):
    """The host at the far end raised an exception, which is a defect there: hosts say what went wrong in answers."""


class RemoteHost:
    """The host at the far end of a pipe. It does one thing at a time, also for several threads.

    `window` is how many bytes the pipe takes that the agent has not read yet; 0 for a pipe that makes the writer wait.
    """

    def __init__(self, reader: ByteSource, writer: ByteTarget, *, name: str = "the far end", window: int = 0) -> None:
        self.name = name
        self.window = window
        self.greeting: Greeting | None = None
        self._in = reader
        self._out = writer
        self._buffer = bytearray()
        self._numbers = count(1)
        self._turn = allocate_lock()
        self._broken = ""

    def greet(self, timeout: float = GRACE) -> Greeting:
        """Wait until the agent says that it listens."""
        if self.greeting is None:
            self.greeting = self._receive(0, Greeting, time.monotonic() + timeout)
        return self.greeting

    def ask(self, question: Question[A]) -> A:
        """Ask one question."""
        request = Request(id=self._next(), ask=question)  # type: ignore[arg-type]  # a question outside the closed set is refused when encoded for the far end
        return self._exchange(request, answer_type(type(question)), _allowance(question))

    def do(self, work: Step | Deed, places: Mapping[str, str], secrets: Mapping[str, str]) -> Outcome:
        """Have one step or deed done."""
        kept = {each: value.encode("utf-8", "surrogateescape") for each, value in secrets.items()}
        if isinstance(work, Deed):
            request = Request(id=self._next(), deed=work, places=dict(places), secrets=kept)
        else:
            request = Request(id=self._next(), step=work, places=dict(places), secrets=kept)
        return self._exchange(request, Outcome, _allowance(work))

    def call(self, name: str, argument: Data, answer: type[A], timeout: float = GRACE) -> A:
        """Use something the owner of this agent added under a name; the agent of an ordinary machine has none."""
        raw = msgspec.Raw(msgspec.json.encode(argument))
        return self._exchange(Request(id=self._next(), call=name, argument=raw), answer, timeout)

    def _next(self) -> int:
        return next(self._numbers)

    def _exchange(self, request: Request, answer: type[A], timeout: float) -> A:
        with self._turn:
            return self._exchange_alone(request, answer, timeout)

    def _exchange_alone(self, request: Request, answer: type[A], timeout: float) -> A:
        self.greet()
        if self._broken:
            raise ChannelError(f"{self.name}: not asked, the channel is unusable since {self._broken}")
        deadline = time.monotonic() + timeout
        line = msgspec.json.encode(request)
        if self.window and len(line) >= self.window:
            length = (self.window - 64) // 4 * 3  # what fits in base64, with the rest of the line around it
            pieces = [line[start : start + length] for start in range(0, len(line), length)]
            for piece in pieces[:-1]:
                self._send(msgspec.json.encode(Request(id=request.id, part=piece, last=False)), deadline)
                self._receive(request.id, NoneType, deadline)
            line = msgspec.json.encode(Request(id=request.id, part=pieces[-1]))
        self._send(line, deadline)
        return self._receive(request.id, answer, deadline)

    def _send(self, line: bytes, deadline: float) -> None:
        left = memoryview(line + b"\n")
        while left:
            if not select.select([], [self._out.fileno()], [], max(0.0, deadline - time.monotonic()))[1]:
                self._break("it took no more bytes in time")
            try:
                left = left[os.write(self._out.fileno(), left[:4096]) :]
            except OSError as error:
                self._break(f"writing to it failed: {error.strerror}")

    def _receive(self, number: int, answer: type[A], deadline: float) -> A:
        line = self._line(deadline)
        try:
            reply = msgspec.json.decode(line, type=Reply)
        except msgspec.MsgspecError as error:
            self._break(f"it said something that is no answer ({error}): {line[:200]!r}")
        if reply.fault is not None:
            raise RemoteError(f"{self.name}: {reply.fault.type}: {reply.fault.message}\n{reply.fault.trace}".rstrip())
        if reply.id != number:
            self._break(f"it answered request {reply.id} where {number} was asked")
        try:
            return msgspec.json.decode(reply.answer, type=answer)
        except msgspec.MsgspecError as error:
            self._break(f"its answer is no {answer.__name__} ({error}): {bytes(reply.answer)[:200]!r}")

    def _line(self, deadline: float) -> bytes:
        started = time.monotonic()
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if not select.select([self._in.fileno()], [], [], max(0.0, deadline - time.monotonic()))[0]:
                self._break(f"no answer came within {time.monotonic() - started:.1f} s")
            try:
                some = os.read(self._in.fileno(), 65536)
            except OSError as error:
                self._break(f"reading from it failed: {error.strerror}")
            if not some:
                self._break("it closed the channel")
            self._buffer += some
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _break(self, why: str) -> NoReturn:
        self._broken = self._broken or why
        raise ChannelError(f"{self.name}: {why}")


def serve(
    host: Host,
    reader: ByteSource,
    writer: ByteTarget,
    calls: Mapping[str, Callable[[msgspec.Raw], object]] | None = None,
) -> None:
    """Answer requests from `reader` on `writer` until the other end closes.

    `calls` are requests beyond a host's own, by name; each gets the raw argument and returns something that can be
    encoded. An exception, of whatever kind, is an answer too: the loop goes on.
    """
    decoder = msgspec.json.Decoder(Request)
    greeting = Greeting(pid=os.getpid(), python=sys.version.split()[0])
    _write(writer, Reply(id=0, answer=msgspec.Raw(msgspec.json.encode(greeting))))
    parts = bytearray()
    with open(reader.fileno(), "rb", closefd=False) as lines:
        for line in lines:
            number = -1
            try:
                number = msgspec.json.decode(line, type=_Numbered).id
                request = decoder.decode(line)
                parts += request.part
                if not request.last:
                    answer = None
                else:
                    if parts:
                        whole = bytes(parts)
                        parts.clear()
                        request = decoder.decode(whole)
                    answer = _answer(host, request, calls or {})
                reply = Reply(id=number, answer=msgspec.Raw(msgspec.json.encode(answer)))
            except Exception as error:  # noqa: BLE001 - the far end must hear of any defect here
                reply = Reply(id=number, fault=_fault(error))
            _write(writer, reply)


class _Numbered(msgspec.Struct):
    id: int


def _answer(host: Host, request: Request, calls: Mapping[str, Callable[[msgspec.Raw], object]]) -> object:
    if request.ask is not None:
        return host.ask(cast("Question[Any]", request.ask))
    work = request.step if request.step is not None else request.deed
    if work is not None:
        secrets = {each: value.decode("utf-8", "surrogateescape") for each, value in request.secrets.items()}
        return host.do(work, request.places, secrets)
    if request.call in calls:
        return calls[request.call](request.argument)
    raise LookupError(f"this agent offers no {request.call!r}" if request.call else "the request asks for nothing")


def _fault(error: Exception) -> Fault:
    import traceback

    trace = "".join(traceback.format_tb(error.__traceback__)[-4:])
    return Fault(type=type(error).__name__, message=str(error), trace=trace)


def _write(writer: ByteTarget, reply: Reply) -> None:
    left = memoryview(msgspec.json.encode(reply) + b"\n")
    while left:
        left = left[os.write(writer.fileno(), left) :]


def _allowance(work: object) -> float:
    return GRACE + float(getattr(work, "timeout", 0.0))


def open_line(path: str) -> ByteSource:
    """Open a serial port or terminal as a clean pipe: no echo, no line editing, no translation of bytes."""
    import termios
    import tty

    line = open(path, "r+b", buffering=0, opener=lambda p, flags: os.open(p, flags | os.O_NOCTTY))  # noqa: SIM115 - open as long as the agent runs
    if line.isatty():
        tty.setraw(line.fileno(), termios.TCSANOW)
    return line


def main(arguments: list[str]) -> int:
    """Serve this machine on standard input and output, or on the serial port given."""
    from pre_nixos.host.local import LocalHost

    if arguments:
        line = open_line(arguments[0])
        serve(LocalHost(), line, line)
        return 0
    # Programs started here must not write into the channel: they get stderr as their output.
    channel = open(os.dup(1), "wb", buffering=0)  # noqa: SIM115 - open as long as the agent runs
    os.dup2(2, 1)
    serve(LocalHost(), sys.stdin.buffer, channel)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
