from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from pre_nixos.host import processes

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_program_says_what_it_did() -> None:
    done = processes.run(["sh", "-c", "cat; echo no >&2; exit 3"], b"hello", 10)
    assert (done.status, done.stdout, done.stderr, done.error) == (3, "hello", "no\n", "")


def test_a_missing_program_is_said_to_be_missing() -> None:
    for argv in (["no-such-program"], ["/no/such/program"]):
        done = processes.run(argv)
        assert (done.status, done.error) == (-1, "missing")


def test_a_signal_is_a_negative_status() -> None:
    assert processes.run(["sh", "-c", "kill -9 $$"]).status == -9


def test_nothing_of_our_environment_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRE_NIXOS_SECRET", "seen")
    words = processes.run(["env"]).stdout.split()
    assert sorted(word.partition("=")[0] for word in words) == ["LC_ALL", "LVM_SUPPRESS_FD_WARNINGS", "PATH"]


def test_without_input_it_is_closed() -> None:
    assert processes.run(["cat"]).stdout == ""


def test_much_in_and_much_out_do_not_wait_for_each_other() -> None:
    data = bytes(range(256)) * 4096
    assert processes.finish(["cat"], data).stdout == data


def test_input_nobody_reads_is_no_error() -> None:
    assert processes.finish(["true"], bytes(1 << 20)).status == 0


def test_at_the_end_of_its_time_all_it_started_is_killed() -> None:
    done = processes.run(["sh", "-c", "sleep 60 & echo $!; wait"], None, 0.5)
    assert (done.status, done.error) == (-1, "timeout")
    child = int(done.stdout)
    for _ in range(100):
        if _gone(child):
            break
        time.sleep(0.05)
    assert _gone(child)


def _gone(pid: int) -> bool:
    """Gone, or a corpse its new parent has not collected yet."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_daemon_that_keeps_the_output_open_is_not_waited_for() -> None:
    started = time.monotonic()
    done = processes.run(["sh", "-c", "sleep 20 & echo $!"], None, 60)
    assert done.status == 0
    assert time.monotonic() - started < 15
    os.kill(int(done.stdout), 9)


def test_only_the_descriptors_handed_on_are_open_in_it() -> None:
    first, second = os.pipe()
    kept, other = os.pipe()
    try:
        os.set_inheritable(other, True)  # noqa: FBT003 - it is taken by position only
        seen = processes.run(["ls", "/proc/self/fd"], None, 10, (second,)).stdout.split()
    finally:
        for descriptor in (first, second, kept, other):
            os.close(descriptor)
    assert str(second) in seen
    assert str(other) not in seen


def test_it_dies_with_us() -> None:
    """A program bound to a parent that is killed goes with it."""
    code = (
        "import sys; sys.path[:0] = {path!r}; from pre_nixos.host import processes as p; "
        "p.run(['sh', '-c', 'echo $$ >/proc/self/fd/{fd}; exec sleep 60'], None, 60, ({fd},), dies_with_us=True)"
    )
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", code.format(path=sys.path, fd=writing)], pass_fds=(writing,)
    ) as parent:
        os.close(writing)
        with open(reading) as file:
            child = int(file.readline())
        parent.kill()
    for _ in range(100):
        if _gone(child):
            break
        time.sleep(0.05)
    assert _gone(child)


def test_what_it_says_is_heard_while_it_runs(tmp_path: Path) -> None:
    heard: list[str] = []
    sign = tmp_path / "heard"

    def hear(line: str) -> None:
        heard.append(line)
        sign.touch()  # without it the program would never end

    script = f'echo ready; echo "10 %\\r20 %"; while [ ! -e {sign} ]; do sleep 0.05; done; echo; printf "the end"'
    done = processes.run(["sh", "-c", script], timeout=20, heard=hear)
    assert (done.status, done.error) == (0, "")
    assert heard == ["ready", "20 %", "the end"]
    assert done.stdout.startswith("ready\n10 %\r20 %\n")


def test_what_it_said_before_its_time_was_up_is_heard_too() -> None:
    heard: list[str] = []
    script = "echo out; echo err >&2; printf half; exec sleep 60"
    assert processes.run(["sh", "-c", script], timeout=0.5, heard=heard.append).error == "timeout"
    assert sorted(heard) == ["err", "half", "out"]
