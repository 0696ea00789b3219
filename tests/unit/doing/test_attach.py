from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from pre_nixos.host.doing import attach, kernel
from pre_nixos.host.doing.places import Place
from pre_nixos.host.doing.problems import Effort, NotDoneError, RefusedError
from pre_nixos.host.mounttable import parse
from pre_nixos.model.step import Attach

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture

PLACE = Place(number="259:1", name="nvme0n1p1", path="/dev/nvme0n1p1", sysfs="/nowhere", layer="fs")


def mounted(text: str) -> object:
    return next(iter(parse(text)))


@pytest.mark.parametrize("kind", ["missing", "file", "link", "behind a link", "relative"])
def test_only_a_real_directory_is_mounted_on(tmp_path: Path, kind: str, mocker: MockerFixture) -> None:
    mount = mocker.patch.object(kernel, "mount")
    (tmp_path / "real" / "inside").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("real")
    at = {
        "missing": str(tmp_path / "missing"),
        "file": str(tmp_path / "file"),
        "link": str(tmp_path / "link"),
        "behind a link": str(tmp_path / "link" / "inside"),
        "relative": "mnt",
    }[kind]
    effort = Effort()
    with pytest.raises(NotDoneError, match="nothing was mounted"):
        attach.attach(PLACE, at, "ext4", (), effort)
    mount.assert_not_called()
    assert not effort.wrote


def test_nothing_is_mounted_over_something_else(mocker: MockerFixture, tmp_path: Path) -> None:
    mount = mocker.patch.object(kernel, "mount")
    top = mocker.patch.object(attach, "top_mount")
    real = str(tmp_path.resolve())
    top.return_value = mounted(f"30 1 8:1 / {real} rw - xfs /dev/nonexistent rw")
    with pytest.raises(RefusedError, match=r"/dev/nonexistent .xfs. is mounted there already"):
        attach.attach(PLACE, real, "ext4", (), Effort())
    top.return_value = mounted(f"30 1 259:1 /@ {real} rw - btrfs /dev/nonexistent rw")
    with pytest.raises(RefusedError):
        attach.attach(PLACE, real, "btrfs", ("subvol=@home",), Effort())
    assert "already" in attach.attach(PLACE, real, "btrfs", ("subvol=@",), Effort())
    mount.assert_not_called()


def test_the_kernel_gets_flags_and_data(mocker: MockerFixture, tmp_path: Path) -> None:
    mount = mocker.patch.object(kernel, "mount")
    real = str(tmp_path.resolve())
    after = mounted(f"30 1 259:1 / {real} rw - ext4 /dev/nvme0n1p1 rw")
    mocker.patch.object(attach, "top_mount", side_effect=[None, after])
    effort = Effort()
    attach.attach(PLACE, real + "/", "ext4", ("noatime", "ro", "errors=remount-ro"), effort)
    mount.assert_called_once_with("/dev/nvme0n1p1", real, "ext4", 1 | 1 << 10, "errors=remount-ro")
    assert effort.wrote


def test_only_the_device_named_is_unmounted(mocker: MockerFixture) -> None:
    unmount = mocker.patch.object(kernel, "unmount")
    top = mocker.patch.object(attach, "top_mount", return_value=None)
    assert "nothing is mounted" in attach.detach(PLACE, "/mnt", Effort())
    top.return_value = mounted("30 1 8:1 / /mnt rw - xfs /dev/nonexistent rw")
    with pytest.raises(RefusedError, match="left alone"):
        attach.detach(PLACE, "/mnt", Effort())
    unmount.assert_not_called()
    top.return_value = mounted("30 1 259:1 / /mnt rw - xfs /dev/nonexistent rw")
    effort = Effort()
    assert attach.detach(PLACE, "/mnt/", effort)
    unmount.assert_called_once_with("/mnt")
    assert effort.wrote


def test_a_busy_mount_stays(mocker: MockerFixture) -> None:
    mocker.patch.object(kernel, "unmount", side_effect=OSError(16, "busy"))
    mocker.patch.object(time, "sleep")
    line = mounted("30 1 259:1 / /mnt rw - xfs /dev/nonexistent rw")
    mocker.patch.object(attach, "top_mount", return_value=line)
    effort = Effort()
    with pytest.raises(RefusedError, match="/mnt is in use"):
        attach.detach(PLACE, "/mnt", effort)
    assert not effort.wrote


LINE = "30 1 0:40 / /mnt/tmp rw,nosuid,relatime - tmpfs tmpfs rw,size=1024k"


def test_memory_is_mounted_by_its_type_and_unmounted_again(mocker: MockerFixture, tmp_path: Path) -> None:
    mount = mocker.patch.object(kernel, "mount")
    unmount = mocker.patch.object(kernel, "unmount")
    real = str(tmp_path.resolve())
    line = mounted(LINE.replace("/mnt/tmp", real))
    mocker.patch.object(attach, "top_mount", side_effect=[None, line, line, line])
    assert attach.attach(None, real, "tmpfs", ("size=1M", "nosuid"), Effort()) == f"tmpfs mounted at {real}"
    mount.assert_called_once_with("tmpfs", real, "tmpfs", 2, "size=1M")
    assert "already" in attach.attach(None, real, "tmpfs", (), Effort())
    assert attach.detach(None, real, Effort()) == f"tmpfs unmounted from {real}"
    unmount.assert_called_once_with(real)


def test_what_has_a_device_now_is_not_unmounted_for_what_had_none(mocker: MockerFixture) -> None:
    unmount = mocker.patch.object(kernel, "unmount")
    mocker.patch.object(attach, "top_mount", return_value=mounted("30 1 8:1 / /mnt rw - xfs /dev/sda1 rw"))
    mocker.patch.object(attach, "block_number", return_value="8:1")
    with pytest.raises(RefusedError, match="left alone"):
        attach.detach(None, "/mnt", Effort())
    unmount.assert_not_called()


def test_options_are_added_to_those_that_are_in_force(mocker: MockerFixture) -> None:
    mount = mocker.patch.object(kernel, "mount")
    mocker.patch.object(attach, "top_mount", return_value=mounted(LINE))
    work = Attach(at="/mnt/tmp", type="tmpfs", options=("noexec", "size=2M"), remount=True)
    assert attach.carry_out(work, None, Effort()) == "tmpfs at /mnt/tmp has noexec,size=2M now"
    mount.assert_called_once_with("none", "/mnt/tmp", "tmpfs", 32 | 2 | 8 | 1 << 21, "size=2M")
    with pytest.raises(RefusedError, match="not ext4"):
        attach.change(None, "/mnt/tmp", "ext4", ("noexec",), Effort())


def calls(mocker: MockerFixture, *refused: tuple[int, int]) -> list[tuple[str, int, str]]:
    """Have the kernel mount, but for the n-th times that are refused with these errors: what it was asked, in order."""
    asked: list[tuple[str, int, str]] = []
    errors = dict(refused)

    def mount(source: str, at: str, kind: str, flags: int, data: str) -> None:
        del at, kind
        asked.append((source, flags, data))
        if len(asked) in errors:
            raise OSError(errors[len(asked)], "refused")

    mocker.patch.object(kernel, "mount", mount)
    return asked


DEVICE = PLACE.path
BUSY = 16


def test_a_further_mount_may_be_read_only_or_writable_whatever_the_first_is(
    mocker: MockerFixture, tmp_path: Path
) -> None:
    real = str(tmp_path.resolve())
    after = mounted(f"30 1 259:1 / {real} rw - ext4 /dev/nvme0n1p1 rw")
    mocker.patch.object(attach, "top_mount", side_effect=[None, after, None, after, None])
    asked = calls(mocker, (1, BUSY), (4, BUSY), (7, BUSY), (8, BUSY))
    attach.attach(PLACE, real, "ext4", ("ro", "nosuid"), Effort())
    # Only this mount is made read-only, not the filesystem.
    assert asked == [(DEVICE, 1 | 2, ""), (DEVICE, 2, ""), ("none", 32 | 4096 | 1 | 2, "")]
    attach.attach(PLACE, real, "ext4", ("nosuid", "commit=60"), Effort())
    assert asked[3:] == [(DEVICE, 2, "commit=60"), (DEVICE, 1 | 2, "commit=60"), ("none", 32 | 2, "")]
    with pytest.raises(NotDoneError, match="nothing is mounted there"):
        attach.attach(PLACE, real, "ext4", (), Effort())


def test_what_cannot_be_made_writable_is_not_left_mounted(mocker: MockerFixture, tmp_path: Path) -> None:
    real = str(tmp_path.resolve())
    mocker.patch.object(attach, "top_mount", return_value=None)
    unmount = mocker.patch.object(kernel, "unmount")
    calls(mocker, (1, BUSY), (3, 30))
    with pytest.raises(NotDoneError, match="nothing is mounted there"):
        attach.attach(PLACE, real, "ext4", (), Effort())
    unmount.assert_called_once_with(real)


@pytest.mark.parametrize(("directory", "made"), [("/www", ["www"]), ("/", [])])
def test_a_directory_is_read_only_and_its_filesystem_is_not(
    mocker: MockerFixture, tmp_path: Path, directory: str, made: list[str]
) -> None:
    real = str(tmp_path.resolve())
    after = mounted(f"30 1 259:1 / {real} ro - ext4 /dev/nvme0n1p1 rw")
    mocker.patch.object(attach, "top_mount", side_effect=[None, after, None])
    mocker.patch.object(kernel, "unmount")
    copy = mocker.patch.object(kernel, "copy_mount", return_value=os.open(real, os.O_RDONLY))
    mocker.patch.object(kernel, "show_at")
    asked = calls(mocker)
    attach.attach(PLACE, real, "ext4", ("ro", "commit=60"), Effort(), directory)
    assert asked == [(DEVICE, 0, "commit=60"), ("none", 32 | 4096 | 1, "")]
    copy.assert_called_once_with(f"{real}/{directory.strip('/')}")
    assert [each.name for each in tmp_path.iterdir()] == made


def test_one_of_several_mounts_is_made_read_only_alone(mocker: MockerFixture) -> None:
    line = mounted("30 1 259:1 / /mnt rw,relatime - ext4 /dev/nvme0n1p1 rw")
    mocker.patch.object(attach, "top_mount", return_value=line)
    elsewhere = mocker.patch.object(attach, "_is_elsewhere", return_value=True)
    asked = calls(mocker)
    attach.change(PLACE, "/mnt", "ext4", ("ro",), Effort())
    assert asked == [("none", 32 | 4096 | 1 | 1 << 21, "")]
    asked.clear()
    attach.change(PLACE, "/mnt", "ext4", ("ro", "commit=60"), Effort())
    assert asked == [("none", 32 | 1 << 21, "commit=60"), ("none", 32 | 4096 | 1 | 1 << 21, "")]
    asked.clear()
    elsewhere.return_value = False
    attach.change(PLACE, "/mnt", "ext4", ("ro",), Effort())
    assert asked == [("none", 32 | 1 | 1 << 21, "")]


def test_whether_a_filesystem_or_only_a_mount_of_it_is_read_only() -> None:
    one, all_of_it = parse("30 1 8:1 / /a ro - ext4 /dev/sda1 rw\n31 1 8:2 / /b rw - ext4 /dev/sda2 ro\n")
    assert (one.sealed, all_of_it.sealed) == (False, True)
