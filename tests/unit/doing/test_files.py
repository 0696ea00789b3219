from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pre_nixos.host.doing.files import append_line, make_directory, require_room, set_attribute, write_file
from pre_nixos.host.doing.places import Place
from pre_nixos.host.doing.problems import Effort, NotDoneError, RefusedError
from pre_nixos.model.step import Node, SetAttribute

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture


def test_a_file_is_replaced_whole_and_left_alone_when_it_is_right(tmp_path: Path) -> None:
    path, effort = tmp_path / "f", Effort()
    path.write_text("old, and longer")
    write_file(str(path), "new\n", 0o640, effort)
    assert path.read_text() == "new\n"
    assert path.stat().st_mode & 0o7777 == 0o640
    assert effort.wrote
    inode, effort = path.stat().st_ino, Effort()
    write_file(str(path), "new\n", 0o640, effort)
    assert path.stat().st_ino == inode
    assert not effort.wrote
    assert os.listdir(tmp_path) == ["f"]


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "f").symlink_to("victim")
    write_file(str(tmp_path / "f"), "precious", 0o644, Effort())
    assert not (tmp_path / "f").is_symlink()


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotDoneError, match="No such file or directory; what was there before still is"):
        write_file(str(tmp_path / "no" / "f"), "x", 0o644, Effort())
    with pytest.raises(NotDoneError, match="not an absolute path"):
        write_file("f", "x", 0o644, Effort())
    (tmp_path / "d").mkdir()
    with pytest.raises(NotDoneError, match="Is a directory"):
        write_file(str(tmp_path / "d"), "x", 0o644, Effort())
    assert os.listdir(tmp_path) == ["d"]


def test_directories(tmp_path: Path) -> None:
    effort = Effort()
    make_directory(str(tmp_path / "a" / "b"), 0o700, effort)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o7777 == 0o700
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o755
    assert effort.wrote
    for mode, wrote in ((None, False), (0o700, False), (0o1777, True), (None, False)):
        effort = Effort()
        make_directory(str(tmp_path / "a" / "b"), mode, effort)
        assert effort.wrote is wrote
    assert (tmp_path / "a" / "b").stat().st_mode & 0o7777 == 0o1777
    (tmp_path / "f").touch()
    with pytest.raises(NotDoneError, match="File exists"):
        make_directory(str(tmp_path / "f"), None, Effort())


def test_a_directory_behind_a_link_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(RefusedError, match="leads through a link"):
        make_directory(str(tmp_path / "link" / "inner"), None, Effort())
    assert not (tmp_path / "elsewhere" / "inner").exists()


def test_the_journal_is_private_and_a_torn_line_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "journal" / "log"
    append_line(str(path), '{"one": 1}', 0o600)
    append_line(str(path), "two", 0o600)
    assert path.read_text() == '{"one": 1}\ntwo\n'
    assert path.stat().st_mode & 0o7777 == 0o600
    assert path.parent.stat().st_mode & 0o7777 == 0o700
    with path.open("a") as file:
        file.write("tor")
    append_line(str(path), "four", 0o600)
    assert path.read_text().splitlines()[2:] == ["tor", "four"]
    with pytest.raises(NotDoneError, match="line break"):
        append_line(str(path), "a\nb", 0o600)


def setting(attribute: str, value: str, *instead_of: str) -> SetAttribute:
    return SetAttribute(target=Node(layer="mdraid:main"), attribute=attribute, value=value, instead_of=instead_of)


def test_an_attribute_is_set_and_stays_below_the_device(tmp_path: Path) -> None:
    (tmp_path / "md").mkdir()
    (tmp_path / "md" / "sync_max").write_text("max\n")
    place = Place(number="9:0", name="md0", path="/dev/md0", sysfs=str(tmp_path), layer="mdraid:main")
    effort = Effort()
    set_attribute(place, setting("md/sync_max", "0"), effort)
    assert (tmp_path / "md" / "sync_max").read_text().startswith("0")
    assert effort.wrote
    for bad in ("../md/sync_max", "", "/etc/passwd", "md//x"):
        with pytest.raises(NotDoneError, match="names no attribute"):
            set_attribute(place, setting(bad, "0"), Effort())
    effort = Effort()
    with pytest.raises(NotDoneError, match=r"/dev/md0 \(mdraid:main\): setting md/none .* it was not set"):
        set_attribute(place, setting("md/none", "0"), effort)
    assert not effort.wrote


def test_room_for_a_file_is_what_is_free_and_what_the_one_before_it_takes(
    mocker: MockerFixture, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * (8 << 20))
    around = mocker.patch.object(os, "statvfs", return_value=mocker.Mock(f_bavail=10, f_bfree=99, f_frsize=1 << 20))
    taken = path.stat().st_blocks * 512
    assert require_room(str(path), taken + (10 << 20)) == f"{path} has room for 18 MiB"
    around.assert_called_with(str(tmp_path))
    with pytest.raises(RefusedError, match=r"is to have 40 MiB, .* room for 18 MiB; it was left as it is"):
        require_room(str(path), 40 << 20)
    with pytest.raises(RefusedError, match=f"is to have {taken + (10 << 20) + 1} bytes, .* {taken + (10 << 20)} bytes"):
        require_room(str(path), taken + (10 << 20) + 1)
    path.unlink()
    with pytest.raises(RefusedError, match="room for 10 MiB"):
        require_room(str(path), 11 << 20)


@pytest.mark.parametrize(
    ("reads", "after"), [("resync\n", "frozen"), ("recover\n", "frozen"), ("idle\n", "idle\n"), (None, None)]
)
def test_an_attribute_that_changes_by_itself_is_set_where_it_must_be(
    reads: str | None, after: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "sync_action"
    if reads is not None:
        path.write_text(reads)
    place = Place(number="9:0", name="md0", path="/dev/md0", sysfs=str(tmp_path), layer="mdraid:main")
    effort = Effort()
    set_attribute(place, setting("sync_action", "frozen", "resync", "recover"), effort)
    assert effort.wrote == (after == "frozen")
    assert (path.read_text()[: len(after)] if after else None) == after
