"""Swap: flags for the kernel, and files made for it."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from pre_nixos.backends.superblocks import LENGTH, size_of
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


def test_a_file_that_was_not_finished_leaves_nothing(mocker: MockerFixture, tmp_path: Path) -> None:
    mocker.patch("os.posix_fallocate", side_effect=OSError(28, "No space left on device"))
    with pytest.raises(NotDoneError, match="it is not there"):
        swapping.swap_to_file(str(tmp_path / "file"), MIB, None, Effort())
    assert not list(tmp_path.iterdir())


def area(path: Path, *options: str) -> Place:
    path.write_bytes(bytes(MIB))
    subprocess.run(["mkswap", "--label", "mine", *options, path], check=True, capture_output=True)
    return Place(number="8:1", name="sda1", path=str(path), sysfs="/nowhere", layer="swap")


def told(path: Path) -> str:
    return subprocess.run(["swaplabel", path], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def twice_as_large(mocker: MockerFixture) -> None:
    mocker.patch.object(kernel, "size_of", return_value=2 * MIB)
    mocker.patch.object(kernel, "drop_cache")


@pytest.mark.usefixtures("twice_as_large")
def test_an_area_takes_all_of_its_device_and_stays_what_it_is(mocker: MockerFixture, tmp_path: Path) -> None:
    place, before = area(tmp_path / "device"), told(tmp_path / "device")
    mocker.patch.object(swapping, "swap_priorities", return_value={})
    effort = Effort()
    assert swapping.grow_area(place, effort).endswith(f"from {MIB} to {2 * MIB} bytes")
    assert effort.wrote
    os.truncate(tmp_path / "device", 2 * MIB)
    assert size_of((tmp_path / "device").read_bytes()[:LENGTH]) == 2 * MIB
    assert told(tmp_path / "device") == before
    again = Effort()
    swapping.grow_area(place, again)
    assert not again.wrote


@pytest.mark.usefixtures("twice_as_large")
@pytest.mark.parametrize(("priority", "flags"), [(7, 0x8007), (-2, 0)])
def test_one_in_use_is_used_again_as_it_was(mocker: MockerFixture, tmp_path: Path, priority: int, flags: int) -> None:
    place = area(tmp_path / "device")
    calls = mocker.Mock()
    mocker.patch.object(kernel, "swap_off", calls.off)
    mocker.patch.object(kernel, "swap_on", calls.on)
    mocker.patch.object(swapping, "swap_priorities", return_value={place.path: priority})
    mocker.patch.object(swapping, "read_swaps", return_value=(place.path,))
    mocker.patch.object(swapping, "block_number", return_value=place.number)
    swapping.grow_area(place, Effort())
    assert calls.mock_calls == [mocker.call.off(place.path), mocker.call.on(place.path, flags)]


@pytest.mark.usefixtures("twice_as_large")
@pytest.mark.parametrize("ends", [swapping.ASLEEP, b"SWAP-SPACE", b"something!"])
def test_what_is_no_area_now_is_left_alone(mocker: MockerFixture, tmp_path: Path, ends: bytes) -> None:
    place = area(tmp_path / "device")
    with (tmp_path / "device").open("r+b") as file:
        file.seek(swapping.PAGE - len(ends))
        file.write(ends)
    before = (tmp_path / "device").read_bytes()
    mocker.patch.object(swapping, "swap_priorities", return_value={})
    if ends == swapping.ASLEEP:
        assert "stays as it is" in swapping.grow_area(place, Effort())
    else:
        with pytest.raises(RefusedError, match="it was not grown"):
            swapping.grow_area(place, Effort())
    assert (tmp_path / "device").read_bytes() == before


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
