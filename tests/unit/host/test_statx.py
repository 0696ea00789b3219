from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from pre_nixos.host.mounttable import block_number
from pre_nixos.host.statx import Status, in_time, look, look_in_time

if TYPE_CHECKING:
    from pathlib import Path


def number(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"


def test_a_file_is_on_what_the_system_says(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    expected = Status(filesystem=number(os.stat(tmp_path).st_dev), device="")
    assert look(str(tmp_path / "file")) == look(str(tmp_path / "link")) == look_in_time(str(tmp_path)) == expected


def test_other_nodes_are_no_block_devices() -> None:
    assert look("/dev/null") == Status(filesystem=number(os.stat("/dev").st_dev), device="")


@pytest.mark.parametrize("path", ["/nothing/here", "", "nul\0inside", "\udfff\ud800"])
def test_where_nothing_is(path: str) -> None:
    assert look(path) is None
    assert block_number(path) == ""


def test_nodes_are_told_by_their_number() -> None:
    with os.scandir("/dev") as entries:
        nodes = [
            entry.path for entry in entries if not entry.is_symlink() and os.path.exists(f"/sys/block/{entry.name}")
        ]
    for node in nodes:
        status = look(node)
        assert status is not None
        assert status.device == block_number(node) == number(os.stat(node).st_rdev)


def test_what_does_not_answer_is_left_behind_and_not_asked_again() -> None:
    reading, writing = os.pipe()
    began = time.monotonic()
    try:
        assert in_time("the pipe", lambda: os.read(reading, 1), seconds=0.05) is None
        assert in_time("the pipe", lambda: b"", seconds=60) is None
        assert time.monotonic() - began < 10
    finally:
        os.write(writing, b"x")
        os.close(writing)
    deadline = time.monotonic() + 10
    while (answer := in_time("the pipe", lambda: b"answered")) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.close(reading)
    assert answer == b"answered"
