"""Answering from a recording what a machine answered once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import msgspec

from pre_nixos.host.questions import LookAround, Surroundings

if TYPE_CHECKING:
    from pre_nixos.host.questions import AnyQuestion, Question
    from pre_nixos.host.record import Pair, Recording

A = TypeVar("A")


class NotRecordedError(LookupError):
    """The recording has no answer to this question."""


class Replay:
    """A reader that answers from a recording.

    A question asked several times gets the answers it got then, in their order, and the last of them from then on:
    a machine that has come to rest goes on saying the same. A look around for tools is answered also if others were
    asked for when it was recorded; of those that were not, nobody knows, and they count as missing.
    """

    def __init__(self, recording: Recording) -> None:
        self._answers: dict[bytes, list[Pair]] = {}
        self._given: dict[bytes, int] = {}
        for pair in recording.pairs:
            self._answers.setdefault(_key(pair.question), []).append(pair)

    def ask(self, question: Question[A]) -> A:
        """Answer one question, or raise NotRecordedError if it was never asked."""
        key = _key(question)
        if key not in self._answers and isinstance(question, LookAround):
            key = self._key_of_other_tools(question)
        pairs = self._answers.get(key)
        if pairs is None:
            alike = sum(1 for other in self._answers.values() if type(other[0].question) is type(question))
            raise NotRecordedError(
                f"the recording has no answer to {question!r}; it has answers to {alike} other questions of that kind"
            )
        given = self._given.get(key, 0)
        self._given[key] = given + 1
        answer = pairs[min(given, len(pairs) - 1)].decoded()
        if isinstance(answer, Surroundings) and isinstance(question, LookAround):
            asked = {tool: path for tool, path in answer.tools.items() if tool in question.tools}
            answer = msgspec.structs.replace(answer, tools=asked)
        return cast("A", answer)

    def _key_of_other_tools(self, question: LookAround) -> bytes:
        """Find what was asked of the machine about other tools: of all such questions, the one with most of these.

        Which tools are asked for hangs on the plugins that are installed, here and there.
        """
        asked = {key: pairs[0].question for key, pairs in self._answers.items()}
        alike = {
            key: len({*each.tools} & {*question.tools}) for key, each in asked.items() if isinstance(each, LookAround)
        }
        return max(alike, key=alike.__getitem__, default=b"")

    def unused(self) -> tuple[AnyQuestion, ...]:
        """List the questions of the answers nobody asked for; a test of a recording should end with none."""
        return tuple(pair.question for key, pairs in self._answers.items() for pair in pairs[self._given.get(key, 0) :])


def _key(question: Question[A] | AnyQuestion) -> bytes:
    """Give what makes two questions the same one."""
    return msgspec.json.encode(question, order="sorted")
