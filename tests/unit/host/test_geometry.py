from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest

from pre_nixos.host import geometry
from pre_nixos.host.geometry import told_size

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The device of a directory that answers as one of XFS does, with 4096 bytes a block and 100 blocks."""
    said = bytearray(geometry.XFS_GEOMETRY_LENGTH)
    struct.pack_into("=I", said, 0, 4096)
    struct.pack_into("=Q", said, 32, 100)

    def ioctl(_descriptor: int, request: int, _argument: bytes) -> bytes:
        assert request == geometry.XFS_GEOMETRY
        return bytes(said)

    monkeypatch.setattr("fcntl.ioctl", ioctl)
    device = tmp_path.stat().st_dev
    return f"{os.major(device)}:{os.minor(device)}"


def test_the_kernel_tells_the_size_of_a_mounted_xfs(tmp_path: Path, number: str) -> None:
    assert told_size("xfs", str(tmp_path), number) == 409600


def test_what_is_mounted_over_it_is_not_taken_for_it(tmp_path: Path, number: str) -> None:
    assert number
    assert told_size("xfs", str(tmp_path), "999:1") is None


def test_others_are_not_asked(tmp_path: Path, number: str) -> None:
    assert told_size("ext4", str(tmp_path), number) is None


def test_what_is_no_xfs_has_no_size(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    assert told_size("xfs", str(tmp_path), f"{os.major(device)}:{os.minor(device)}") is None
    assert told_size("xfs", str(tmp_path / "nothing"), "8:1") is None
