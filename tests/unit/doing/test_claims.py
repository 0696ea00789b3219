"""Before somebody else's program runs: nothing is where it looks for its own."""

from __future__ import annotations

import os
import stat
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pre_nixos.host.doing import claims
from pre_nixos.host.doing.claims import require_link, require_unclaimed
from pre_nixos.host.doing.places import Place
from pre_nixos.host.doing.problems import NotNowError
from pre_nixos.host.questions import MountEntry, MountTable
from pre_nixos.model.step import RequireUnclaimed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_mock import MockerFixture

BLOCK = SimpleNamespace(st_mode=stat.S_IFBLK | 0o660, st_rdev=os.makedev(8, 0))


class Mounted:
    """A reader to whom some places are mounted."""

    def __init__(self, *places: str, namespace: str = "") -> None:
        self.table = MountTable(
            mounts=tuple(
                MountEntry(device="", root="/", at=at, type="tmpfs", source="x", namespace=namespace) for at in places
            )
        )

    def ask(self, question: object) -> Any:
        del question
        return self.table


@pytest.fixture
def node(tmp_path: Path, mocker: MockerFixture) -> Path:
    """What looks like a block device, also through links: not every machine has one."""
    path = tmp_path / "node"
    path.touch()
    real = os.stat

    def found(at: str | os.PathLike[str], **how: Any) -> Any:
        is_it = os.path.realpath(str(at)) == str(path) and how.get("follow_symlinks", True)
        return BLOCK if is_it else real(at, **how)

    mocker.patch.object(os, "stat", found)
    return path


@pytest.fixture
def sysfs(tmp_path: Path) -> str:
    """A kernel with one labelled partition."""
    for name, text in {"sdc": "DEVNAME=sdc\n", "sdc1": "DEVNAME=sdc1\nPARTN=1\nPARTNAME=disk-main-r\n"}.items():
        (tmp_path / "sys/class/block" / name).mkdir(parents=True)
        (tmp_path / "sys/class/block" / name / "uevent").write_text(text)
    return str(tmp_path / "sys")


def place(path: Path) -> Place:
    number = path.stat().st_rdev
    return Place(number=f"{os.major(number)}:{os.minor(number)}", name=path.name, path=str(path), sysfs="", layer="x")


def test_a_link_leads_where_it_should(tmp_path: Path, node: Path) -> None:
    link = tmp_path / "by-id"
    with pytest.raises(NotNowError, match="No such file"):
        require_link(place(node), str(link))
    link.symlink_to(node)
    assert "leads to" in require_link(place(node), str(link))
    other = Place(number="999:1", name="x", path="/dev/x", sysfs="", layer="disk:x")
    with pytest.raises(NotNowError, match=r"leads to device .* and not to /dev/x \(disk:x\); nothing was written"):
        require_link(other, str(link))


def test_a_link_to_no_device_is_none(tmp_path: Path) -> None:
    other = Place(number="999:1", name="x", path="/dev/x", sysfs="", layer="disk:x")
    with pytest.raises(NotNowError, match="leads to device nowhere"):
        require_link(other, str(tmp_path))


@pytest.mark.parametrize("inside", ["main", "main/root"])
def test_a_device_with_a_claimed_path_is_in_the_way(tmp_path: Path, node: Path, sysfs: str, inside: str) -> None:
    link = tmp_path / "dev" / inside
    link.parent.mkdir(parents=True)
    work = RequireUnclaimed(paths=(str(tmp_path / "dev/main"),))
    assert require_unclaimed(work, Mounted(), sysfs=sysfs)
    link.symlink_to(tmp_path / "nowhere")
    assert require_unclaimed(work, Mounted(), sysfs=sysfs)
    link.unlink()
    link.symlink_to(node)
    with pytest.raises(NotNowError, match=f"{link} leads to {node}"):
        require_unclaimed(work, Mounted(), sysfs=sysfs)


def test_a_label_that_only_the_kernel_knows_yet_is_in_the_way(sysfs: str) -> None:
    with pytest.raises(NotNowError, match="the partition sdc1 is labelled 'disk-main-r'"):
        require_unclaimed(RequireUnclaimed(paths=(f"{claims.LABELS}/disk-main-r",)), Mounted(), sysfs=sysfs)
    assert require_unclaimed(RequireUnclaimed(paths=(f"{claims.LABELS}/disk-main",)), Mounted(), sysfs=sysfs)


@pytest.mark.parametrize(
    ("places", "said"),
    [
        (["/"], ""),
        (["/mnt2", "/media"], ""),
        (["/mnt/tmp"], ""),
        (["/mnt"], "/mnt"),
        (["/mnt/usb", "/mnt/tmp"], "/mnt/usb"),
    ],
)
def test_what_is_mounted_where_it_unmounts_is_in_the_way(places: Sequence[str], said: str) -> None:
    work = RequireUnclaimed(directories=("/mnt",), apart=("/mnt/tmp",))
    assert require_unclaimed(work, Mounted(*places, namespace="4026 (9 sshd)"))
    if not said:
        assert require_unclaimed(work, Mounted(*places))
        return
    with pytest.raises(NotNowError, match=f"something is mounted at {said}; nothing was written"):
        require_unclaimed(work, Mounted(*places))
