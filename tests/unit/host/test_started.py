from __future__ import annotations

import os

import pytest

from pre_nixos.host.processes import finish, run
from pre_nixos.host.started import Started


def test_it_hears_us_and_we_hear_it() -> None:
    program = Started(["/bin/sh", "-c", "cat; echo no >&2; exit 3"], {}, given=True)
    os.write(program.stdin, b"hello")
    assert program.poll() is None
    program.close_input()
    assert program.wait() == 3
    assert (os.read(program.stdout, 9), os.read(program.stderr, 9)) == (b"hello", b"no\n")
    program.close()


def test_one_that_cannot_be_started_leaves_nothing_open() -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError):
        Started(["/no/such/program"], {}, given=True)
    assert os.listdir("/proc/self/fd") == before


def test_what_a_library_left_open_is_closed_in_it() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)  # noqa: FBT003 - it takes no names
    try:
        names = run(["ls", "/proc/self/fd"]).stdout.split()
    finally:
        os.close(reading)
        os.close(writing)
    assert str(writing) not in names


def test_a_closed_stream_of_ours_is_no_stream_of_its() -> None:
    kept = os.dup(0)
    os.close(0)
    try:
        done = finish(["sh", "-c", "cat; echo out; echo err >&2"], b"in ")
    finally:
        os.dup2(kept, 0)
        os.close(kept)
    assert (done.stdout, done.stderr) == (b"in out\n", b"err\n")


def test_a_pipe_that_breaks_ends_it() -> None:
    assert run(["sh", "-c", "kill -PIPE $$; echo went on"]).status == -13
