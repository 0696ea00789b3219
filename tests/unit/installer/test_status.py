"""The status: whole or not there, and the same to a shell, to systemd and to us."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from pre_nixos.installer.files import NotDone
from pre_nixos.installer.status import State, Status, path_of, read_status, write_status

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = [
    "",
    "two words",
    'a "quote"',
    "$(touch /x) `id` ${HOME}",
    "back\\slash",
    "line\nSTATE=applied\n",
    "esc\x1b[2J",
    "é ✓",
    "\udcff",
    "'",
    "a\r\nb\0c",
]


@pytest.mark.parametrize("detail", HOSTILE)
def test_whatever_a_detail_holds_it_is_one_line_that_says_nothing_else(detail: str, tmp_path: Path) -> None:
    write_status(Status(state=State.FAILED, detail=detail), root=str(tmp_path))
    text = (tmp_path / "run/pre-nixos/storage-status").read_text()
    assert len(text.splitlines()) == 2
    assert text.startswith("STATE=failed\nDETAIL=")
    found = read_status(root=str(tmp_path))
    assert found is not None
    assert found.state is State.FAILED
    script = '. "$1"; printf %s "$STATE|$DETAIL"'
    shell = subprocess.run(
        ["sh", "-c", script, "sh", path_of(str(tmp_path))], capture_output=True, check=True, env={"HOME": "/x"}
    )
    assert shell.stdout.decode() == f"failed|{found.detail}"


def test_a_detail_of_any_length_is_cut() -> None:
    from pre_nixos.installer.status import LONGEST, one_line

    assert len(one_line("x" * 100_000)) == LONGEST + 3


@pytest.mark.parametrize(
    "torn",
    ["STATE=pla", "STATE=planned\n", "\x00\x01", "DETAIL=x\n", 'STATE=planned\nDETAIL="x\n', "STATE=fine\nDETAIL=\n"],
)
def test_a_torn_or_foreign_file_is_no_status(torn: str, tmp_path: Path) -> None:
    (tmp_path / "run/pre-nixos").mkdir(parents=True)
    (tmp_path / "run/pre-nixos/storage-status").write_text(torn)
    with pytest.raises(NotDone, match="no status that pre-nixos wrote"):
        read_status(root=str(tmp_path))


def test_none_is_not_an_error(tmp_path: Path) -> None:
    assert read_status(root=str(tmp_path)) is None


def test_the_old_one_stays_until_the_new_one_is_whole_and_is_for_everybody(tmp_path: Path) -> None:
    folder = tmp_path / "run/pre-nixos"
    folder.mkdir(parents=True, mode=0o700)
    write_status(Status(state=State.PLANNED), root=str(tmp_path))
    before = (folder / "storage-status").stat().st_ino
    write_status(Status(state=State.APPLIED), root=str(tmp_path))
    after = (folder / "storage-status").stat()
    assert after.st_ino != before
    assert after.st_mode & 0o777 == 0o644
    assert folder.stat().st_mode & 0o777 == 0o755
    assert [each.name for each in folder.iterdir()] == ["storage-status"]


def test_a_directory_of_others_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    write_status(Status(state=State.PLANNED), directory=str(tmp_path))
    assert tmp_path.stat().st_mode & 0o7777 == 0o1777
    assert (tmp_path / "storage-status").exists()


def test_a_link_in_its_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "run/pre-nixos"
    folder.mkdir(parents=True)
    (folder / "storage-status").symlink_to(victim)
    write_status(Status(state=State.PLANNED), root=str(tmp_path))
    assert victim.read_text() == "precious"
    assert not (folder / "storage-status").is_symlink()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(NotDone, match="making the directory"):
        write_status(Status(state=State.PLANNED), root=str(tmp_path))
