"""Swap: flags for the kernel, and files made for it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from pre_nixos.host.doing import kernel, swapping
from pre_nixos.host.doing.places import Place
from pre_nixos.host.doing.problems import Effort, NotDoneError, RefusedError
from pre_nixos.model.step import Node, SwapOn

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture

PLACE = Place(number="8:1", name="sda1", path="/dev/sda1", sysfs="/nowhere", layer="swap")
MIB = 1 << 20


def step(**more: object) -> SwapOn:
    return SwapOn(target=Node(layer="swap"), **more)  # type: ignore[arg-type]  # columns of a table


@pytest.mark.parametrize(
    ("said", "flags"),
    [
        ({}, 0),
        ({"priority": 5, "discard": True}, 0x8000 | 5 | 0x10000),
        ({"discard": True, "policy": "both"}, 0x10000),
        ({"discard": True, "policy": "once"}, 0x30000),
        ({"discard": True, "policy": "pages"}, 0x50000),
    ],
)
def test_flags(mocker: MockerFixture, said: dict[str, object], flags: int) -> None:
    swap_on = mocker.patch.object(kernel, "swap_on")
    mocker.patch.object(swapping, "is_swap", return_value=False)
    swapping.swap_on(step(**said), PLACE, Effort())
    assert swap_on.call_args.args == ("/dev/sda1", flags)


@pytest.mark.parametrize("priority", [-1, 0x8000])
def test_priorities_that_are_none(mocker: MockerFixture, priority: int) -> None:
    mocker.patch.object(swapping, "is_swap", return_value=False)
    with pytest.raises(NotDoneError, match="priority"):
        swapping.swap_on(step(priority=priority), PLACE, Effort())


def test_a_file_is_made_whole_and_only_once(mocker: MockerFixture, tmp_path: Path) -> None:
    swap_on = mocker.patch.object(kernel, "swap_on")
    path = tmp_path / "swap" / "file"
    assert swapping.swap_to_file(str(path), 2 * MIB, 7, Effort()).endswith(f"made with {2 * MIB} bytes")
    swap_on.assert_called_once_with(str(path), 0x8007)
    status = path.stat()
    assert (status.st_size, status.st_mode & 0o7777) == (2 * MIB, 0o600)
    assert status.st_blocks * 512 >= 2 * MIB
    assert 'TYPE="swap"' in subprocess.run(["blkid", "-p", path], capture_output=True, text=True, check=True).stdout
    path.chmod(0o600)
    assert swapping.swap_to_file(str(path), 4 * MIB, None, Effort()) == f"{path} in use as swap"
    assert path.stat().st_size == 2 * MIB


def test_what_else_is_at_its_place_is_left_alone(mocker: MockerFixture, tmp_path: Path) -> None:
    mocker.patch.object(kernel, "swap_on")
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(RefusedError, match="left alone"):
        swapping.swap_to_file(str(path), MIB, None, Effort())
    assert path.read_text() == "precious"


@pytest.mark.parametrize("name", ["file", "new/file"])
def test_none_is_made_or_used_where_a_link_leads_to(mocker: MockerFixture, tmp_path: Path, name: str) -> None:
    swap_on = mocker.patch.object(kernel, "swap_on")
    other, wanted = tmp_path / "other", tmp_path / "wanted"
    for each in (other, wanted):
        each.mkdir()
    (other / "there").write_bytes(swapping.header(MIB))
    (wanted / "linked").symlink_to(other)
    (wanted / "link").symlink_to(other / "there")
    effort = Effort()
    for path, real in ((wanted / "linked" / name, other / name), (wanted / "link", other / "there")):
        with pytest.raises(RefusedError, match=f"through a link to {real}; nothing was made"):
            swapping.swap_to_file(str(path), MIB, None, effort)
    assert not effort.wrote
    assert not swap_on.called
    assert [each.name for each in other.iterdir()] == ["there"]
