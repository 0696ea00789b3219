"""Remembering what a machine answered, so that it can be asked again where the machine is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from pre_nixos.host.questions import AnyQuestion, Question, answer_type
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from typing import Self

    from pre_nixos.host.api import Reader

A = TypeVar("A")

FORMAT = "pre-nixos recording"
VERSION = 1


class RecordingError(ValueError):
    """A file that is not a recording, or not one this version can read."""


class Pair(Data):
    """One question and what was answered."""

    question: AnyQuestion
    answer: msgspec.Raw
    """JSON of the type the question is answered with."""

    def decoded(self) -> object:
        """Give the answer as an object."""
        kind = cast("type[Question[object]]", type(self.question))
        return msgspec.json.decode(self.answer, type=answer_type(kind))


class Recording(Data):
    """What one machine answered, in the order it was asked."""

    format: str
    version: int
    pairs: tuple[Pair, ...]

    def to_json(self) -> bytes:
        """Write it down, indented so that two recordings can be compared by eye."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """Read it back, whole and checked; RecordingError says what is wrong with it."""
        try:
            head = msgspec.json.decode(text, type=_Head)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise RecordingError(f"this is not a recording: {problem}") from problem
        if head.format != FORMAT:
            raise RecordingError(f"this is not a recording: its format is {head.format!r}, not {FORMAT!r}")
        if head.version != VERSION:
            raise RecordingError(f"this recording is of version {head.version}; this program reads version {VERSION}")
        try:
            recording = msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError as problem:
            raise RecordingError(f"this recording does not make sense: {problem}") from problem
        for index, pair in enumerate(recording.pairs):
            try:
                pair.decoded()
            except msgspec.DecodeError as problem:
                name = type(pair.question).__name__
                raise RecordingError(
                    f"this recording does not make sense: the answer to {name}, pair {index}: {problem}"
                ) from problem
        return recording


class _Head(msgspec.Struct):
    """The start of every recording, of whatever version."""

    format: str
    version: int


class Recorder:
    """A reader that passes questions on and remembers the answers."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._pairs: list[Pair] = []

    def ask(self, question: Question[A]) -> A:
        """Answer one question, from the reader behind."""
        answer = self._reader.ask(question)
        known: Any = question  # a reader answers a closed set; what is outside it has raised by now
        self._pairs.append(Pair(question=known, answer=msgspec.Raw(msgspec.json.encode(answer))))
        return answer

    def recording(self) -> Recording:
        """Give all that was asked and answered so far."""
        return Recording(format=FORMAT, version=VERSION, pairs=tuple(self._pairs))
