"""What takes the room when what is below has grown."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from pre_nixos.backends import filesystems, lvm
from pre_nixos.backends.btrfs import Btrfs
from pre_nixos.backends.dmcrypt import Luks
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.lvm import Group, Volume
from pre_nixos.backends.superblocks import LENGTH, size_of
from pre_nixos.model.identity import assemble
from pre_nixos.plugin import MIB, Action, Disk, Grow, Layer, Node, Replace, Run, Secret, State, Zero, growth
from tests.unit.backends.sole import sole

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.plugin import DeviceGraph

VOLUME = "lvm.group:main/root"


def stack(size: str, *above: Layer, state: State | None = State.ACTIVE) -> DeviceGraph:
    volume = Volume(name="root", size=size, group="main", type="linear", state=state, extent=4 * MIB)
    bottom = [(Disk(id="disk:a", serial="a"), ()), (Group(name="main"), (0,)), (volume, (1,))]
    return assemble([*bottom, *((each, (2 + position,)) for position, each in enumerate(above))])


OPEN = Luks(mapper="crypt", version="2", keys=("env:KEY",), state=State.ACTIVE)
RESIZE = Run(argv=("cryptsetup", "resize", "--key-file", "-", "--", "crypt"), stdin=Secret(reference="env:KEY"))


def grow(id_: str, kind: str) -> Grow:
    return Grow(target=Node(layer=f"{VOLUME}{id_}"), type=kind)


@pytest.mark.parametrize(
    ("above", "wanted", "steps"),
    [
        ((Filesystem(type="ext4"),), (Filesystem(type="ext4"),), [grow("", "ext4")]),
        ((Filesystem(type="xfs"),), (Filesystem(type="xfs"),), [grow("", "xfs")]),
        ((Btrfs(),), (Btrfs(),), [grow("", "btrfs")]),
        ((OPEN, Btrfs()), (OPEN, Btrfs()), [RESIZE, grow("/luks", "btrfs")]),
        ((Filesystem(type="vfat"),), (Filesystem(type="vfat"),), []),
        ((Filesystem(type="ext4"),), (Filesystem(type="ext4", fills=False),), []),
        # What goes takes nothing along; what is closed grows when it is opened.
        ((Filesystem(type="ext4"),), (Filesystem(type="xfs"),), []),
        ((Filesystem(type="ext4"),), (Btrfs(),), []),
        ((Luks(version="2", state=State.INACTIVE),), (OPEN,), []),
        ((), (Filesystem(type="ext4"),), []),
    ],
)
def test_what_stands_above_takes_the_room(
    above: tuple[Layer, ...], wanted: tuple[Layer, ...], steps: list[object]
) -> None:
    assert list(growth(VOLUME, stack("40MiB", *above), stack("80MiB", *wanted))) == steps


def test_a_volume_grows_with_what_is_on_it() -> None:
    before, after = stack("40MiB", Filesystem(type="ext4")), stack("80MiB", Filesystem(type="ext4"))
    action = sole(lvm.change(before["lvm.group:main"], after["lvm.group:main"], before, after))
    assert [type(each) for each in action.steps] == [Run, Zero, Grow]


def changed(old: Filesystem, new: Filesystem) -> Action | Replace:
    before, after = stack("40MiB", old), stack("40MiB", new)
    id_ = f"{VOLUME}/filesystem"
    answer = filesystems.change(before[id_], after[id_], before, after)
    return answer if isinstance(answer, Replace) else sole(answer)


def test_what_was_not_grown_in_time_is_grown_later() -> None:
    small = Filesystem(type="ext4", label="old", unused=40 * MIB)
    action = changed(small, Filesystem(type="ext4", label="new"))
    assert isinstance(action, Action)
    assert (
        action.summary
        == "label the ext4 on volume root of group main new; grow the ext4 on volume root of group main to all of it"
    )
    assert action.steps == (Run(argv=("tune2fs", "-L", "new", Node(layer=VOLUME))), grow("", "ext4"))
    assert not Filesystem(type="ext4", fills=False).mismatches(small)
    assert not Filesystem(type="vfat").mismatches(Filesystem(type="vfat", unused=40 * MIB))


def test_room_is_no_reason_to_lose_anything_but_another_type_is() -> None:
    answer = changed(Filesystem(type="ext4", unused=MIB), Filesystem(type="xfs"))
    assert answer == Replace(why="type is ext4, wanted xfs; unused is 1 MiB, wanted nothing")


@pytest.mark.parametrize(
    ("maker", "size"),
    [
        (("mkfs.ext4", "-q", "-F", "-b", "1024"), 40 * MIB),
        (("mkfs.ext4", "-q", "-F"), 400 * MIB),
        (("mkfs.xfs", "-q", "-f"), 400 * MIB),
    ],
)
def test_sizes_are_read_as_the_makers_write_them(maker: tuple[str, ...], size: int, tmp_path: Path) -> None:
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.truncate(size)
    try:
        subprocess.run([*maker, str(path)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip(f"{maker[0]} is not here")
    with path.open("rb") as file:
        assert size_of(file.read(LENGTH)) == size


def test_what_is_no_superblock_has_no_size() -> None:
    assert size_of(b"") == 0
    assert size_of(bytes(LENGTH)) == 0
