"""Making subvolumes in order, on a directory that stands for the filesystem."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pre_nixos.host.doing import kernel, subvolumes
from pre_nixos.host.doing.places import Place
from pre_nixos.host.doing.problems import Effort, NotDoneError
from pre_nixos.model.step import NewSubvolume

if TYPE_CHECKING:
    from pathlib import Path

PLACE = Place(number="8:1", name="sda1", path="/dev/sda1", sysfs="/sys/x")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What was made; each is a plain directory here."""
    done: list[str] = []

    def make(directory: int, name: str, *, origin: int | None = None, read_only: bool = False) -> None:
        os.mkdir(name, dir_fd=directory)
        done.append(f"{name}{' of another' if origin is not None else ''}{' read-only' if read_only else ''}")

    def mount(source: str, kind: str, options: object) -> int:
        assert (source, kind, options) == ("/dev/sda1", "btrfs", {"subvolid": "5"})
        return os.open(tmp_path, os.O_RDONLY)

    monkeypatch.setattr(kernel, "mount_unseen", mount)
    monkeypatch.setattr(kernel, "make_subvolume", make)

    def commit(directory: int) -> None:
        os.fstat(directory)
        done.append("committed")

    monkeypatch.setattr(kernel, "commit", commit)
    return done


def test_in_order_with_the_directories_above(made: list[str], tmp_path: Path) -> None:
    wanted = (
        NewSubvolume(path="root"),
        NewSubvolume(path="blank", origin="root", read_only=True),
        NewSubvolume(path="var/lib/data"),
    )
    effort = Effort()
    said = subvolumes.make_subvolumes(PLACE, wanted, effort)
    assert said == "/dev/sda1 (8:1): made root, blank, var/lib/data"
    assert made == ["root", "blank of another read-only", "data", "committed"]
    assert effort.wrote
    assert (tmp_path / "var/lib/data").is_dir()


def test_what_is_there_already_is_left(made: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    monkeypatch.setattr(subvolumes, "TOP", (tmp_path / "root").stat().st_ino)
    said = subvolumes.make_subvolumes(PLACE, (NewSubvolume(path="root"), NewSubvolume(path="home")), Effort())
    assert said.endswith("made home; 1 were there already")
    assert made == ["home", "committed"]


@pytest.mark.parametrize(
    ("path", "said"),
    [("file", "there is something else at file"), ("link/x", "Not a directory"), ("file/x", "Not a directory")],
)
def test_what_is_in_the_way(made: list[str], tmp_path: Path, path: str, said: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("/")
    with pytest.raises(NotDoneError, match=said):
        subvolumes.make_subvolumes(PLACE, (NewSubvolume(path=path),), Effort())
    assert made == []
