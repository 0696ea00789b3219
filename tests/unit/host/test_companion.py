from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from pre_nixos.host.companion import Companion

if TYPE_CHECKING:
    from collections.abc import Iterator

ECHO = """
import os, sys, time
def take(n):
    data = b""
    while len(data) < n:
        data += os.read(0, n - len(data)) or sys.exit()
    return data
while True:
    message = take(int.from_bytes(take(8), "big"))
    if message == b"hang":
        time.sleep(60)
    if message == b"die":
        sys.exit("as told")
    if message == b"pid":
        message = str(os.getpid()).encode()
    for _ in range(2):
        answer = len(message).to_bytes(8, "big") + message
        while answer:
            answer = answer[os.write(1, answer):]
"""


@pytest.fixture
def companion() -> Iterator[Companion]:
    companion = Companion([sys.executable, "-I", "-S", "-c", ECHO])
    yield companion
    companion.close()


def test_one_program_answers_again_and_again(companion: Companion) -> None:
    big = os.urandom(1 << 20)
    first = companion.ask(b"pid", 2, 10)
    assert companion.ask(b"", 2, 10) == ([b"", b""], "")
    assert companion.ask(big, 2, 10) == ([big, big], "")
    assert companion.ask(b"pid", 2, 10) == first


@pytest.mark.parametrize(("message", "error"), [(b"hang", "timeout"), (b"die", "as told")])
def test_one_that_hangs_or_dies_is_replaced(companion: Companion, message: bytes, error: str) -> None:
    (before, _), _ = companion.ask(b"pid", 2, 10)
    assert companion.ask(message, 2, 0.5) == ([], error)
    (after, _), _ = companion.ask(b"pid", 2, 10)
    assert before != after
    with pytest.raises(ProcessLookupError):
        os.kill(int(before), 0)


def test_answers_given_in_time_are_kept(companion: Companion) -> None:
    assert companion.ask(b"x", 3, 0.5) == ([b"x", b"x"], "timeout")


def test_one_that_was_killed_meanwhile_is_replaced(companion: Companion) -> None:
    (pid, _), _ = companion.ask(b"pid", 2, 10)
    os.kill(int(pid), 9)
    answers, error = companion.ask(b"x", 2, 10)
    if error:  # it was not dead yet when asked
        answers, error = companion.ask(b"x", 2, 10)
    assert (answers, error) == ([b"x", b"x"], "")


def test_a_program_that_cannot_be_started_is_said() -> None:
    answers, error = Companion(["/no/such/program"]).ask(b"x", 1, 1)
    assert answers == []
    assert "No such file" in error
