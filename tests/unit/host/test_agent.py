from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from pre_nixos.host import agent, questions
from pre_nixos.host.agent import ChannelError, RemoteError, RemoteHost, serve
from pre_nixos.host.api import Deed, Hold, Outcome
from pre_nixos.model.data import Data
from pre_nixos.model.step import Node, Run, Secret, Step

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    import msgspec


class Recorder:
    """Answers from a table; an exception in the table is raised."""

    def __init__(self, *answers: tuple[object, object]) -> None:
        self.answers = answers
        self.done: list[tuple[Step | Deed, Mapping[str, str], Mapping[str, str]]] = []

    def ask(self, question: questions.Question[Any]) -> Any:
        answer = next(answer for asked, answer in self.answers if asked == question)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def do(self, work: Step | Deed, places: Mapping[str, str], secrets: Mapping[str, str]) -> Outcome:
        self.done.append((work, places, secrets))
        return Outcome(ok=True, wrote=True, processes=1)


class Word(Data):
    text: str


def shout(argument: msgspec.Raw) -> Word:
    return Word(text=bytes(argument).decode().upper())


@contextmanager
def served(host: Recorder, calls: Any = None, window: int = 0) -> Generator[RemoteHost]:
    requests_out, requests_in = os.pipe()
    replies_out, replies_in = os.pipe()
    with (
        open(requests_out, "rb", buffering=0) as far_in,
        open(replies_in, "wb", buffering=0) as far_out,
        open(replies_out, "rb", buffering=0) as near_in,
    ):
        thread = threading.Thread(target=serve, args=(host, far_in, far_out, calls))
        thread.start()
        try:
            with open(requests_in, "wb", buffering=0) as near_out:
                yield RemoteHost(near_in, near_out, name="twin", window=window)
        finally:
            thread.join(5)
            assert not thread.is_alive()


EXCHANGES: list[tuple[questions.Question[Any], Data]] = [
    (questions.Command(argv=("mdadm", "--version")), questions.Ran(status=0, stderr="mdadm - v4.2\n")),
    (questions.ReadFile(path="/proc/mdstat"), questions.Text(error="No such file or directory")),
    (questions.ReadAt(number="8:0", offset=0, length=3), questions.Bytes(data=b"\x00\xff\n")),
    (
        questions.SafeProbe(numbers=("8:0",)),
        questions.Contents(
            devices=(
                questions.Content(
                    number="8:0",
                    verdict=questions.Verdict.KNOWN,
                    signatures=(questions.Signature(type="ext4", detail={"VERSION": "1.0"}),),
                ),
            )
        ),
    ),
    (
        questions.Locate(start="8:0", trail=(questions.Mark(attributes={"partition": "1"}),)),
        questions.Located(number="8:1", name="sda1"),
    ),
    (questions.ReadBlockNodes(), questions.BlockNodes(nodes=(questions.BlockNode(name="x" * 9000, number="8:0"),) * 9)),
]


@pytest.mark.parametrize(("question", "answer"), EXCHANGES)
def test_an_answer_arrives_as_what_the_question_promises(question: questions.Question[Any], answer: Data) -> None:
    with served(Recorder((question, answer))) as remote:
        assert remote.ask(question) == answer


def test_a_secret_need_not_be_text() -> None:
    host, secrets = Recorder(), {"keyfile:/key": "\x00\udcff\udc80\n"}
    with served(host) as remote:
        remote.do(Run(argv=("true",), stdin=Secret(reference="keyfile:/key")), {}, secrets)
    assert host.done[0][2] == secrets


@pytest.mark.parametrize("length", [1, 150, 250, 5000])
def test_a_narrow_channel_gets_a_request_in_acknowledged_pieces(length: int) -> None:
    question, text = questions.ReadFile(path="/ü" * length), questions.Text(content="fine")
    with served(Recorder((question, text)), window=300) as remote:
        assert [remote.ask(question), remote.ask(question)] == [text, text]
    with served(Recorder(), {"shout": shout}, window=300) as remote:
        assert remote.call("shout", Word(text="x" * length), Word) == Word(text=f'{{"TEXT":"{"X" * length}"}}')


def test_every_question_says_what_it_is_answered_with() -> None:
    kinds = cast("list[type[questions.Question[Any]]]", questions.Question.__subclasses__())
    assert {kind.__name__ for kind in kinds} >= {"Command", "ReadAt", "Locate"}
    assert all(issubclass(questions.answer_type(kind), Data) for kind in kinds)


def test_steps_and_deeds_arrive_whole() -> None:
    host = Recorder()
    run = Run(argv=("mkswap", Node(layer="disk:a/1")), stdin=Secret(reference="file:/key"))
    hold = Hold(numbers=("8:0",))
    with served(host) as remote:
        assert remote.do(run, {"disk:a/1": "8:1"}, {"file:/key": "hush"}).wrote
        assert remote.do(hold, {}, {}).ok
    assert host.done == [(run, {"disk:a/1": "8:1"}, {"file:/key": "hush"}), (hold, {}, {})]


def test_an_exception_there_names_the_host_and_leaves_the_channel_usable() -> None:
    bad, good = questions.ReadFile(path="/bad"), questions.ReadFile(path="/good")
    text = questions.Text(content="fine")
    with served(Recorder((bad, ValueError("no such thing")), (good, text))) as remote:
        with pytest.raises(RemoteError, match="twin: ValueError: no such thing"):
            remote.ask(bad)
        assert remote.ask(good) == text


def test_calls_are_offered_by_name_only() -> None:
    with served(Recorder(), {"shout": shout}) as remote:
        assert remote.call("shout", Word(text="hey"), Word) == Word(text='{"TEXT":"HEY"}')
        with pytest.raises(RemoteError, match="offers no 'whisper'"):
            remote.call("whisper", Word(text="hey"), Word)


SILENCE = b'{"id":0,"answer":{"pid":1,"python":"3"}}\n'


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (b"", "closed the channel"),
        (SILENCE, "closed the channel"),
        (SILENCE + b"Last login: today\n", "no answer .*Last login"),
        (SILENCE + b'{"id":7,"answer":{}}\n', "answered request 7 where 1 was asked"),
        (SILENCE + b'{"id":1,"answer":{"free":1}}\n', "no Text"),
    ],
)
def test_a_broken_channel_is_named_and_stays_broken(said: bytes, complaint: str) -> None:
    replies_out, replies_in = os.pipe()
    os.write(replies_in, said)
    os.close(replies_in)
    with open(replies_out, "rb", buffering=0) as near_in, open(os.devnull, "wb", buffering=0) as near_out:
        remote = RemoteHost(near_in, near_out, name="twin")
        with pytest.raises(ChannelError, match=f"twin: .*{complaint}"):
            remote.ask(questions.ReadFile(path="/x"))
        with pytest.raises(ChannelError):
            remote.ask(questions.ReadFile(path="/x"))


def test_silence_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "GRACE", 0.05)
    replies_out, replies_in = os.pipe()
    os.write(replies_in, SILENCE)
    with (
        open(replies_out, "rb", buffering=0) as near_in,
        open(replies_in, "wb", buffering=0),
        open(os.devnull, "wb", buffering=0) as near_out,
    ):
        remote = RemoteHost(near_in, near_out, name="twin")
        with pytest.raises(ChannelError, match="no answer came within"):
            remote.ask(questions.ReadFile(path="/x"))
