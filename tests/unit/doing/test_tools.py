from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from pre_nixos.host.doing import tools
from pre_nixos.host.doing.problems import Effort, NotDoneError
from pre_nixos.host.doing.tools import TAIL, brief, masked, tail
from pre_nixos.host.questions import Ran
from pre_nixos.model.step import Node, Run, Secret

if TYPE_CHECKING:
    from collections.abc import Sequence


PASSPHRASE = "correct horse"
SECRETS = {"file:/key": PASSPHRASE}


class Recorder:
    def __init__(self, ran: Ran) -> None:
        self.ran = ran
        self.calls: list[tuple[tuple[str, ...], bytes | None, float, tuple[int, ...]]] = []

    def __call__(self, argv: Sequence[str], *, stdin: bytes | None, timeout: float, pass_fds: Sequence[int]) -> Ran:
        self.calls.append((tuple(argv), stdin, timeout, tuple(pass_fds)))
        return self.ran


run = partial(tools.run, is_gone=lambda _: False)


def path_of(node: Node) -> str:
    return {"luks:a": "/dev/sda1"}[node.layer]


def test_devices_and_secrets_go_where_they_belong() -> None:
    recorder, effort = Recorder(Ran(status=0)), Effort()
    work = Run(
        argv=("cryptsetup", "luksFormat", "--key-file=-", Node(layer="luks:a")),
        stdin=Secret(reference="file:/key"),
        timeout=5,
    )
    detail = run(work, path_of, SECRETS, recorder, (7,), effort)
    assert recorder.calls == [(("cryptsetup", "luksFormat", "--key-file=-", "/dev/sda1"), b"correct horse", 5, (7,))]
    assert detail == "cryptsetup luksFormat --key-file=- /dev/sda1"
    assert (effort.processes, effort.wrote) == (1, True)


@pytest.mark.parametrize(("stdin", "given"), [(None, None), ("", b""), ("y\n", b"y\n")])
def test_stdin_is_closed_unless_given(stdin: str | None, given: bytes | None) -> None:
    recorder = Recorder(Ran(status=0))
    run(Run(argv=("true",), stdin=stdin), path_of, {}, recorder, (), Effort())
    assert recorder.calls[0][1] == given


@pytest.mark.parametrize(
    ("ran", "expected", "wrote", "processes"),
    [
        (Ran(status=5, stderr="No space\n"), "mkfs /dev/sda1: status 5; it may have written: No space", True, 1),
        (Ran(status=5, stdout="only here"), "mkfs /dev/sda1: status 5; it may have written: only here", True, 1),
        (Ran(status=-9), "mkfs /dev/sda1: killed by signal 9; it may have written", True, 1),
        (Ran(status=-1, error="timeout"), "mkfs /dev/sda1: stopped after 2 s without an end", True, 1),
        (Ran(status=-1, error="missing"), "mkfs is not installed; nothing was changed", False, 0),
        (Ran(status=-1, error="Exec format error"), "mkfs /dev/sda1: Exec format error", True, 1),
    ],
)
def test_failures_in_words(ran: Ran, expected: str, wrote: bool, processes: int) -> None:  # noqa: FBT001 - a column
    effort = Effort()
    with pytest.raises(NotDoneError) as caught:
        run(Run(argv=("mkfs", Node(layer="luks:a")), timeout=2), path_of, {}, Recorder(ran), (), effort)
    assert str(caught.value).startswith(expected)
    assert (effort.wrote, effort.processes) == (wrote, processes)


FAILURES = (Ran(status=1, stderr="Device is busy"), Ran(status=-9), Ran(status=-1, error="timeout"))


@pytest.mark.parametrize("ran", FAILURES)
def test_what_was_to_end_a_device_is_judged_by_the_device(ran: Ran) -> None:
    node = Node(layer="luks:a")
    ending = Run(argv=("stop", node), ends=node)
    once_gone = partial(tools.run, is_gone=lambda _: True)
    assert once_gone(ending, path_of, {}, Recorder(ran), (), Effort()) == "stop /dev/sda1: luks:a is gone"
    with pytest.raises(NotDoneError):
        run(ending, path_of, {}, Recorder(ran), (), Effort())
    with pytest.raises(NotDoneError):
        once_gone(Run(argv=("stop", node)), path_of, {}, Recorder(ran), (), Effort())


def test_a_tool_that_repeats_the_secret_does_not_get_it_into_the_outcome() -> None:
    ran = Ran(status=1, stderr=f"bad passphrase '{PASSPHRASE}'")
    with pytest.raises(NotDoneError) as caught:
        run(Run(argv=("x", PASSPHRASE)), path_of, SECRETS, Recorder(ran), (), Effort())
    assert PASSPHRASE not in str(caught.value)
    assert "[secret]" in str(caught.value)


def test_a_secret_cut_by_the_tail_does_not_show() -> None:
    said = PASSPHRASE + "x" * (TAIL - 5)
    with pytest.raises(NotDoneError) as caught:
        run(Run(argv=("x",)), path_of, SECRETS, Recorder(Ran(status=1, stderr=said)), (), Effort())
    assert "horse" not in str(caught.value)


def test_every_line_of_a_secret_is_masked() -> None:
    assert masked("got: line two", ["line one\nline two\n"]) == "got: [secret]"
    assert masked("as it was", [""]) == "as it was"


def test_a_secret_without_a_value_starts_nothing() -> None:
    recorder = Recorder(Ran(status=0))
    with pytest.raises(NotDoneError, match="no value was given for the secret prompt:x"):
        run(Run(argv=("x",), stdin=Secret(reference="prompt:x")), path_of, {}, recorder, (), Effort())
    assert not recorder.calls


def test_the_tail_starts_at_a_line() -> None:
    assert tail("short\n") == "short"
    assert tail("a\n" * TAIL).startswith("... a\n")
    assert len(tail("y" * 3 * TAIL)) == TAIL + 4


def test_a_second_secret_is_a_file_that_has_no_name() -> None:
    read: list[bytes] = []

    def reading(argv: Sequence[str], *, stdin: bytes | None, timeout: float, pass_fds: Sequence[int]) -> Ran:
        del stdin, timeout
        assert argv[2] == f"/proc/self/fd/{pass_fds[-1]}"
        with open(argv[2], "rb") as file:
            read.append(file.read())
        return Ran(status=0)

    work = Run(argv=("cryptsetup", "luksAddKey", Secret(reference="keyfile:/new")))
    run(work, path_of, {"keyfile:/new": "b\udcffinary\n"}, reading, (7,), Effort())
    assert read == [b"b\xffinary\n"]


@pytest.mark.parametrize(
    ("word", "said"), [("a b", "a b"), ("a\nb\n", "a ..."), ("x" * 201, "x" * 200 + " ..."), ("\n", " ...")]
)
def test_of_a_long_word_the_beginning_is_told(word: str, said: str) -> None:
    assert brief(word) == said
