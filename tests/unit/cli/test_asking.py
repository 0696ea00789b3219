"""Secrets on the command line: asked for without being shown, or refused before anything begins."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, cast

import pytest

from pre_nixos.cli.asking import secrets_for
from pre_nixos.cli.complaint import Complaint
from pre_nixos.cli.session import Session
from tests.unit.cli.desk import Paper
from tests.unit.flow.test_secrets import one

if TYPE_CHECKING:
    from typing import TextIO


def session(*, terminal: bool) -> Session:
    out, err, stdin = (cast("TextIO", Paper(terminal=terminal)) for _ in range(3))
    return Session(stdout=out, stderr=err, stdin=stdin, environ={})


def test_a_person_types_it_twice_and_nobody_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts: list[str] = []

    def typed(prompt: str) -> str:
        prompts.append(prompt)
        return "hunter2"

    monkeypatch.setattr(getpass, "getpass", typed)
    here = session(terminal=True)
    assert secrets_for(one("prompt:Passphrase of the system", new=True), here) == {
        "prompt:Passphrase of the system": "hunter2"
    }
    text = "Passphrase of the system for disk WD S1 on disk WD S1"
    assert prompts == [f"{text}: ", f"{text}, once more: "]


def test_on_a_pipe_nobody_is_asked() -> None:
    with pytest.raises(Complaint, match="nobody is here"):
        secrets_for(one("prompt:"), session(terminal=False))


def test_the_end_of_what_is_typed_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(prompt: str) -> str:
        raise EOFError(prompt)

    monkeypatch.setattr(getpass, "getpass", ended)
    with pytest.raises(Complaint, match="nobody gave it"):
        secrets_for(one("prompt:"), session(terminal=True))
