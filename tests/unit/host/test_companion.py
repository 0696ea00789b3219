from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from pre_nixos.host.companion import Companion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


def prepare() -> Callable[[], object]:
    return echo


def echo() -> None:
    exec(compile(ECHO, "echo", "exec"), {})  # noqa: S102 - the program of the other half of these tests


@pytest.fixture(params=["program", "copy"])
def companion(request: pytest.FixtureRequest) -> Iterator[Companion]:
    program = [sys.executable, "-I", "-S", "-c", ECHO]
    companion = Companion(program) if request.param == "program" else Companion(["/no/such/program"], prepare)
    yield companion
    companion.close()


def test_one_program_answers_again_and_again(companion: Companion) -> None:
    big = os.urandom(1 << 20)
    first = companion.ask(b"pid", 2, 10)
    assert companion.ask(b"", 2, 10) == ([b"", b""], "")
    assert companion.ask(big, 2, 10) == ([big, big], "")
    assert companion.ask(b"pid", 2, 10) == first


@pytest.mark.parametrize(("message", "errors"), [(b"hang", {"timeout"}), (b"die", {"as told", "it ended"})])
def test_one_that_hangs_or_dies_is_replaced(companion: Companion, message: bytes, errors: set[str]) -> None:
    (before, _), _ = companion.ask(b"pid", 2, 10)
    answers, error = companion.ask(message, 2, 0.5)
    assert answers == []
    assert error in errors
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


def test_a_copy_has_nothing_of_ours_open_and_ends_with_its_input() -> None:
    reading, writing = os.pipe()
    companion = Companion(["/no/such/program"], prepare)
    ((pid, _), _) = companion.ask(b"pid", 2, 10)
    os.close(writing)
    assert os.read(reading, 1) == b"", "the copy holds the other end"
    os.close(reading)
    links = {fd: os.readlink(f"/proc/{int(pid)}/fd/{fd}") for fd in os.listdir(f"/proc/{int(pid)}/fd")}
    assert set(links) == {"0", "1", "2"}
    assert links["2"] == "/dev/null"
    companion.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_beside_other_threads_a_program_is_started_instead() -> None:
    waiting = threading.Event()
    thread = threading.Thread(target=waiting.wait)
    thread.start()
    companion = Companion([sys.executable, "-I", "-S", "-c", ECHO], lambda: pytest.fail)
    try:
        answers, error = companion.ask(b"x", 2, 10)
    finally:
        waiting.set()
        thread.join()
        companion.close()
    assert (answers, error) == ([b"x", b"x"], "")


def test_an_interrupt_is_not_for_the_copy() -> None:
    companion = Companion(["/no/such/program"], prepare)
    ((pid, _), _) = companion.ask(b"pid", 2, 10)
    assert os.getsid(int(pid)) == int(pid) != os.getsid(0)
    companion.close()


def test_a_copy_made_early_is_the_one_that_answers() -> None:
    made: list[int] = []

    def prepared() -> Callable[[], object]:
        made.append(os.getpid())
        return echo

    companion = Companion(["/no/such/program"], prepared)
    companion.get_ready()
    assert made == [os.getpid()]
    assert companion.ask(b"x", 2, 10) == ([b"x", b"x"], "")
    assert made == [os.getpid()]
    companion.close()


def test_no_program_is_started_before_somebody_asks() -> None:
    Companion(["/no/such/program"]).get_ready()
