from __future__ import annotations

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
