from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pre_nixos.host.doing import attach, kernel
from pre_nixos.host.doing.places import Place
from pre_nixos.host.doing.problems import Effort, NotDoneError, RefusedError
from pre_nixos.host.mounttable import parse

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


def test_swap_flags(mocker: MockerFixture) -> None:
    swap_on = mocker.patch.object(kernel, "swap_on")
    mocker.patch.object(attach, "is_swap", return_value=False)
    attach.swap_on(PLACE, None, discard=False, effort=Effort())
    attach.swap_on(PLACE, 5, discard=True, effort=Effort())
    assert [call.args[1] for call in swap_on.call_args_list] == [0, 0x8000 | 5 | 0x10000]
    for priority in (-1, 0x8000):
        with pytest.raises(NotDoneError, match="priority"):
            attach.swap_on(PLACE, priority, discard=False, effort=Effort())
