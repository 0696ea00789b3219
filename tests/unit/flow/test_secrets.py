"""Where secrets come from, what is asked, and what is refused."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pre_nixos.flow.secrets import Asked, Need, Secrets, Unresolved, needs
from pre_nixos.model.action import Action, Verb
from pre_nixos.model.draft import Wanted
from pre_nixos.model.identity import assemble
from pre_nixos.model.layer import Disk
from pre_nixos.model.plan import Plan
from pre_nixos.model.step import Run, Secret

if TYPE_CHECKING:
    from pathlib import Path

GRAPH = assemble([(Disk(id="disk:d", model="WD", serial="S1"), ())])


def plan(*secrets: Secret) -> Plan:
    steps = (Run(argv=("true",)), *(Run(argv=("cryptsetup", each), stdin=each) for each in secrets))
    action = Action(verb=Verb.FORMAT, target="disk:d", summary="make", steps=steps)
    return Plan(before=GRAPH, wanted=Wanted(graph=GRAPH, takes=("disk:d",)), actions=(action,))


def one(reference: str, *, new: bool = False) -> Plan:
    return plan(Secret(reference=reference, new=new))


def resolved(reference: str, **more: str) -> str:
    secrets = Secrets(more)
    secrets.resolve(one(reference))
    return secrets.values[reference]


def why(reference: str, secrets: Secrets | None = None, *, new: bool = False) -> str:
    with pytest.raises(Unresolved) as raised:
        (secrets or Secrets()).resolve(one(reference, new=new))
    (reason,) = raised.value.reasons
    return reason.removeprefix(f"The secret {reference} for disk WD S1 on disk WD S1: ")


def test_a_secret_is_needed_once_and_new_if_anything_is_locked_with_it() -> None:
    found = needs(plan(Secret(reference="env:A"), Secret(reference="env:B"), Secret(reference="env:A", new=True)))
    assert found == [
        Need(reference="env:A", purposes=("disk WD S1 on disk WD S1",), new=True),
        Need(reference="env:B", purposes=("disk WD S1 on disk WD S1",)),
    ]


def test_a_passphrase_has_no_line_break_and_a_key_file_is_taken_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"\x00\xffsecret\n")
    path.chmod(0o600)
    assert resolved(f"file:{path}").encode("utf-8", "surrogateescape") == b"\x00\xffsecret"
    assert resolved(f"keyfile:{path}").encode("utf-8", "surrogateescape") == b"\x00\xffsecret\n"


def test_the_environment_and_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "of the environment")
    assert resolved("env:KEY") == "of the environment"
    read, write = os.pipe()
    os.write(write, b"through a pipe\n")
    os.close(write)
    assert resolved(f"fd:{read}") == "through a pipe"
    os.close(read)


def test_what_the_caller_gives_goes_first() -> None:
    secrets = Secrets({"file:/nowhere": "given"})
    secrets.resolve(one("file:/nowhere"))
    assert secrets.values == {"file:/nowhere": "given"}


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("file:/nowhere", "/nowhere cannot be read: No such file or directory."),
        ("file:/", "/ is a directory."),
        ("keyfile:/nowhere", "/nowhere cannot be read: No such file or directory."),
        ("keyfile:/", "/ is a directory."),
        ("env:NOT_THERE", "there is no variable NOT_THERE in the environment."),
        ("fd:999", "descriptor 999 cannot be read: Bad file descriptor."),
        ("fd:x", "'x' is not the number of a descriptor."),
        ("prompt:disk", "it takes a person to be asked, and nobody is here."),
        ("hunter2", "a reference begins with one of file:, keyfile:, env:, fd:, prompt:."),
    ],
)
def test_what_cannot_be_had_is_said(reference: str, said: str) -> None:
    assert why(reference) == said


@pytest.mark.parametrize(("scheme", "content"), [("file", ""), ("file", "\n\n"), ("keyfile", "")])
def test_an_empty_file_is_no_secret(scheme: str, content: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(content)
    assert why(f"{scheme}:{tmp_path}/key") == "it is empty."


def test_a_passphrase_that_nobody_can_type_is_none(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\r\n")
    said = "it ends with a carriage return, which nobody can type; write it without, or make it a key file (keyfile:)."
    assert why(f"file:{tmp_path}/key") == said
    assert resolved(f"keyfile:{tmp_path}/key") == "secret\r\n"


@pytest.mark.parametrize("scheme", ["file", "keyfile"])
@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o640, True), (0o604, True), (0o600, False)])
def test_a_file_others_can_read_is_warned_of(scheme: str, mode: int, warned: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a column
    path = tmp_path / "key"
    path.write_text("s")
    path.chmod(mode)
    secrets = Secrets()
    secrets.resolve(one(f"{scheme}:{path}"))
    said = f"{path} holds a secret, and others than its owner can read it (mode {mode:04o})."
    assert secrets.warnings == ([said] if warned else [])


def test_everything_that_is_missing_is_said_at_once() -> None:
    with pytest.raises(Unresolved) as raised:
        Secrets().resolve(plan(Secret(reference="env:NONE"), Secret(reference="file:/nowhere")))
    assert len(raised.value.reasons) == 2


class Person:
    """Somebody who answers in turn."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.asked: list[Asked] = []

    def __call__(self, asked: Asked) -> str | None:
        self.asked.append(asked)
        return self.answers.pop(0)


def test_a_person_is_asked_twice_for_what_is_new_and_once_for_what_is_not() -> None:
    person = Person("word", "word")
    secrets = Secrets(ask=person)
    secrets.resolve(one("prompt:Passphrase of the system", new=True))
    secrets.resolve(one("prompt:Passphrase of the system", new=True))
    text = "Passphrase of the system for disk WD S1 on disk WD S1"
    reference = "prompt:Passphrase of the system"
    assert person.asked == [Asked(reference=reference, text=text), Asked(reference=reference, text=text, again=True)]
    assert secrets.asked
    person = Person("word")
    Secrets(ask=person).resolve(one("prompt:"))
    assert [each.text for each in person.asked] == ["Passphrase for disk WD S1 on disk WD S1"]


@pytest.mark.parametrize(
    ("answers", "said"),
    [(("a", "b"), "the two answers differ."), ((None,), "nobody gave it."), (("",), "it is empty.")],
)
def test_answers_that_do_not_count(answers: tuple[str | None, ...], said: str) -> None:
    assert why("prompt:", Secrets(ask=Person(*answers)), new=True) == said
