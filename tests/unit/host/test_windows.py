from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pre_nixos.host import windows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1 << 20
SIZE = 5 * MIB + 512


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "disk"
    path.write_bytes(b"")
    os.truncate(path, SIZE)
    descriptor = os.open(path, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(
    ("at", "data", "blank"),
    [
        (0, b"", True),
        (0, b"x", False),
        (2 * MIB - 1, b"x", False),
        (2 * MIB, b"x", True),
        (SIZE - 2 * MIB - 513, b"x", True),
        (SIZE - 2 * MIB, b"x", False),
        (SIZE - 1, b"\1", False),
        (0, b"\xff" * 2 * MIB, True),
        (0, b"\xff" * 4096, True),
        (0, b"\xff" * 4095, False),
        (0, b"\xff" * SIZE, True),
    ],
)
def test_blank_means_that_both_ends_say_nothing(disk: int, at: int, data: bytes, blank: bool) -> None:  # noqa: FBT001 - a column
    os.pwrite(disk, data, at)
    assert windows.blank(disk, SIZE, 2 * MIB, 512) is blank


@pytest.mark.parametrize("at", [0, MIB, SIZE - 1])
def test_a_device_shorter_than_its_windows_is_read_whole(disk: int, at: int) -> None:
    assert windows.blank(disk, SIZE, 16 * MIB, 512)
    os.pwrite(disk, b"x", at)
    assert not windows.blank(disk, SIZE, 16 * MIB, 512)


@pytest.mark.parametrize(("offset", "length"), [(0, 512), (1, 1), (511, 2), (4000, 3 * MIB + 7), (SIZE - 3, 3), (7, 0)])
def test_any_bytes_can_be_read_with_aligned_reads(disk: int, offset: int, length: int) -> None:
    pattern = os.urandom(SIZE)
    os.pwrite(disk, pattern, 0)
    assert windows.read(disk, offset, length, 512) == pattern[offset : offset + length]


def test_a_read_that_comes_back_short_goes_on_from_there(disk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As over a bad block: short first, and the error only when asked again."""
    pattern = os.urandom(SIZE)
    os.pwrite(disk, pattern, 0)
    real = os.preadv

    def stingy(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        return real(descriptor, [buffers[0][: 3 * 512 + 100]], offset)

    monkeypatch.setattr(os, "preadv", stingy)
    assert windows.read(disk, 0, 10000, 512) == pattern[:10000]

    def empty(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        del descriptor, buffers, offset
        return 0

    monkeypatch.setattr(os, "preadv", empty)
    with pytest.raises(OSError, match="nothing could be read at byte 0"):
        windows.blank(disk, SIZE, MIB, 512)
