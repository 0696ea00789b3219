from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pre_nixos.host.questions import (
    BlockNode,
    BlockNodes,
    Bytes,
    Command,
    Content,
    Contents,
    ListDirectory,
    Locate,
    Located,
    LookAround,
    Mark,
    MountEntry,
    MountTable,
    Names,
    Opened,
    OpenExclusive,
    Ran,
    ReadAt,
    ReadBlockNodes,
    ReadFile,
    ReadMounts,
    SafeProbe,
    Signature,
    Surroundings,
    Text,
    User,
    Users,
    Verdict,
    WhoUses,
)
from pre_nixos.host.record import Recorder, Recording, RecordingError
from pre_nixos.host.replay import NotRecordedError, Replay

if TYPE_CHECKING:
    from pre_nixos.host.questions import Question

EVERYTHING: list[tuple[Question[Any], object]] = [
    (Command(argv=("lvm", "version")), Ran(status=0, stdout="ok\n")),
    (ReadFile(path="/x"), Text(content="é\n")),
    (ListDirectory(path="/"), Names(names=("a", "b"))),
    (ReadAt(number="8:0", offset=0, length=3), Bytes(data=b"\0\xff\1")),
    (
        SafeProbe(numbers=("8:0",)),
        Contents(devices=(Content(number="8:0", verdict=Verdict.KNOWN, signatures=(Signature(type="ext4"),)),)),
    ),
    (OpenExclusive(number="8:0"), Opened(free=False, error="busy")),
    (WhoUses(number="8:0"), Users(users=(User(how="open", what="dd", pid=3),))),
    (ReadBlockNodes(), BlockNodes(nodes=(BlockNode(name="sda", number="8:0"),))),
    (ReadMounts(), MountTable(mounts=(MountEntry(device="8:0", root="/", at="/", type="x", source="y"),))),
    (LookAround(tools=("a",)), Surroundings(memory=1, architecture="x86_64", firmware="bios")),
    (Locate(start="8:0", trail=(Mark(attributes={"a": "1", "b": "2"}),)), Located(number="8:1", name="sda1")),
]


class Canned:
    """Gives prepared answers in their order."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)

    def ask(self, question: Question[Any]) -> Any:
        del question
        return self._answers.pop(0)


def record(*pairs: tuple[Question[Any], object]) -> Recording:
    recorder = Recorder(Canned(*(answer for _, answer in pairs)))
    for question, _ in pairs:
        recorder.ask(question)
    return recorder.recording()


@pytest.mark.parametrize(("question", "answer"), EVERYTHING)
def test_every_question_and_answer_survives_being_written_down(question: Question[Any], answer: object) -> None:
    replay = Replay(Recording.from_json(record((question, answer)).to_json()))
    assert replay.ask(question) == answer
    assert replay.unused() == ()


def test_one_question_gets_its_answers_in_order_and_then_the_last() -> None:
    question = OpenExclusive(number="8:0")
    replay = Replay(record((question, Opened(free=False)), (ReadMounts(), MountTable()), (question, Opened(free=True))))
    assert [replay.ask(question).free for _ in range(4)] == [False, True, True, True]
    assert replay.unused() == (ReadMounts(),)


def test_the_order_of_attributes_is_no_difference() -> None:
    there, back = {"a": "1", "b": "2"}, {"b": "2", "a": "1"}
    replay = Replay(record((Locate(start="8:0", trail=(Mark(attributes=there),)), Located(name="x"))))
    assert replay.ask(Locate(start="8:0", trail=(Mark(attributes=back),))).name == "x"


def test_answers_nobody_asked_for_are_listed() -> None:
    replay = Replay(record(*EVERYTHING))
    replay.ask(ReadMounts())
    assert replay.unused() == tuple(question for question, _ in EVERYTHING if question != ReadMounts())


def test_a_question_never_recorded_is_an_error_that_names_it() -> None:
    replay = Replay(record(*EVERYTHING))
    with pytest.raises(NotRecordedError, match=r"OpenExclusive\(number='8:16'\); it has answers to 1 other"):
        replay.ask(OpenExclusive(number="8:16"))


HEAD = '{"format": "pre-nixos recording", "version": 1, "pairs": ['


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "this is not a recording: Input data was truncated"),
        (b"\xff\xfe", "this is not a recording: "),
        ("hello", "this is not a recording: JSON is malformed"),
        ("[]", "this is not a recording: Expected `object`"),
        ("{}", "this is not a recording: Object missing required field `format`"),
        ('{"format": "x", "version": 1}', "its format is 'x'"),
        ('{"format": "pre-nixos recording", "version": 2, "new": 1}', "is of version 2; this program reads version 1"),
        ('{"format": "pre-nixos recording", "version": 1}', "missing required field `pairs`"),
        (HEAD + '], "more": 1}', "unknown field `more`"),
        (HEAD + '{"question": {"ask": "weather"}, "answer": 1}]}', "'weather'"),
        (HEAD + '{"question": {"ask": "mounts", "more": 1}, "answer": {}}]}', "unknown field `more`"),
        (HEAD + '{"question": {"ask": "mounts"}}]}', "missing required field `answer`"),
        (
            HEAD + '{"question": {"ask": "mounts"}, "answer": {"more": 1}}]}',
            "the answer to ReadMounts, pair 0: .*`more`",
        ),
        (HEAD + '{"question": {"ask": "command", "argv": ["a"]}, "answer": {}}]}', "answer to Command.*`status`"),
    ],
)
def test_what_is_not_a_recording_is_said_in_a_sentence(text: str | bytes, error: str) -> None:
    with pytest.raises(RecordingError, match=error) as raised:
        Recording.from_json(text)
    assert "\n" not in str(raised.value)


def test_a_recording_cut_off_anywhere_is_refused() -> None:
    whole = record(*EVERYTHING).to_json().rstrip()
    for length in range(0, len(whole), 7):
        with pytest.raises(RecordingError):
            Recording.from_json(whole[:length])
    assert Recording.from_json(whole).to_json().rstrip() == whole


def around(**tools: str) -> Surroundings:
    return Surroundings(memory=1, architecture="x86_64", firmware="bios", tools=tools, command_line="quiet")


def test_a_look_around_for_other_tools_is_answered_too() -> None:
    """Whoever reads a recording may have other plugins than there were on the machine."""
    fewer, more = LookAround(), LookAround(tools=("lvm", "mdadm", "mkfs.xfs"))
    replay = Replay(record((fewer, around()), (more, around(lvm="/bin/lvm", mdadm="/sbin/mdadm"))))
    assert replay.ask(LookAround(tools=("bcache", "lvm", "mkfs.xfs"))) == around(lvm="/bin/lvm")
    assert [type(each) for each in replay.unused()] == [LookAround]
    assert replay.ask(more) == around(lvm="/bin/lvm", mdadm="/sbin/mdadm")
    assert replay.ask(fewer) == around()
    assert not replay.unused()
    assert Replay(record((more, around(lvm="/bin/lvm")))).ask(LookAround()) == around()


def test_where_nobody_looked_around_there_is_no_answer() -> None:
    replay = Replay(record((ReadFile(path="/x"), Text(content="x"))))
    with pytest.raises(NotRecordedError, match="LookAround"):
        replay.ask(LookAround(tools=("lvm",)))
