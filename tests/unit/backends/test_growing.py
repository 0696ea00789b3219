"""What takes the room when what is below has grown."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import msgspec
import pytest

from pre_nixos.backends import dmcrypt, filesystems, lvm, mounts
from pre_nixos.backends.btrfs import Btrfs
from pre_nixos.backends.dmcrypt import Luks
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.lvm import Group, Volume
from pre_nixos.backends.lvm.command import lvm as command
from pre_nixos.backends.mounts import Mount
from pre_nixos.backends.superblocks import LENGTH, size_of, unused, was_mounted
from pre_nixos.backends.swap import Area, Use
from pre_nixos.host.questions import MountEntry
from pre_nixos.model.identity import assemble
from pre_nixos.plugin import (
    MIB,
    Action,
    Disk,
    Grow,
    Layer,
    Node,
    Plan,
    Replace,
    RequireSize,
    Run,
    Secret,
    State,
    SwapOff,
    SwapOn,
    Verb,
    Wanted,
    Zero,
    growth,
)
from tests.unit.backends.canned import Canned
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


HERE = Node(layer=VOLUME)
INNER = Group(name="inner")
"""A group on a volume of another one: what is below makes no difference to it."""
TAKEN = command("pvresize", [HERE], HERE)
USED, NOT_USED = Use(priority=7), Use(state=State.INACTIVE)


def grow(id_: str, kind: str) -> Grow:
    return Grow(target=Node(layer=f"{VOLUME}{id_}"), type=kind)


@pytest.mark.parametrize(
    ("above", "wanted", "steps"),
    [
        ((Filesystem(type="ext4"),), (Filesystem(type="ext4"),), [grow("", "ext4")]),
        ((Filesystem(type="xfs"),), (Filesystem(type="xfs"),), [grow("", "xfs")]),
        ((Filesystem(type="ext3"),), (Filesystem(type="ext3"),), [grow("", "ext3")]),
        ((Btrfs(),), (Btrfs(),), [grow("", "btrfs")]),
        ((Area(),), (Area(),), [grow("", "swap")]),
        ((Area(), Use()), (Area(), USED), [SwapOff(target=HERE), grow("", "swap"), SwapOn(target=HERE, priority=7)]),
        ((Area(), Use()), (Area(), NOT_USED), [grow("", "swap")]),
        ((Area(),), (Area(fills=False),), []),
        ((OPEN, Btrfs()), (OPEN, Btrfs()), [RESIZE, grow("/luks", "btrfs")]),
        ((INNER,), (INNER,), [TAKEN]),
        # A group offers no device of its own: nothing opens it, and so nothing but this would tell it.
        ((Group(name="inner", state=State.INACTIVE),), (INNER,), [TAKEN]),
        ((Group(name="inner", unused=MIB),), (INNER,), []),  # it is changed as it is, and takes all then
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
    assert [type(each) for each in action.steps] == [RequireSize, Run, Zero, Grow]


def test_a_group_takes_what_its_devices_have_before_a_volume_does() -> None:
    def group(size: str, unused: int) -> DeviceGraph:
        root = Volume(name="root", size=size, group="main", type="linear", state=State.ACTIVE, extent=4 * MIB)
        below = [(Disk(id=f"disk:{each}", serial=each), ()) for each in "ab"]
        return assemble(
            [*below, (Group(name="main", unused=unused), (0, 1)), (root, (2,)), (Filesystem(type="ext4"), (3,))]
        )

    before, after = group("40MiB", 300 * MIB), group("340MiB", 0)
    id_, nodes = "lvm.group:main", [Node(layer="disk:a"), Node(layer="disk:b")]
    action = sole(lvm.change(before[id_], after[id_], before, after))
    assert action.summary == "take in 300 MiB its devices have grown by; grow root in volume group main"
    assert action.steps[0] == command("pvresize", nodes, *nodes)
    assert [type(each) for each in action.steps] == [Run, RequireSize, Run, Zero, Grow]
    alone = sole(lvm.change(before[id_], before[id_], before, group("40MiB", 0)))
    assert alone.steps == (command("pvresize", nodes, *nodes),)


def test_room_is_no_reason_to_make_a_group_anew() -> None:
    before, after = stack("40MiB", Group(name="in", extent_size=MIB, unused=MIB)), stack("40MiB", Group(name="in"))
    wanted = Group(name="in", extent_size=4 * MIB)
    answer = lvm.change(before["lvm.group:in"], wanted, before, after)
    assert answer == Replace(why="extent_size is 1048576, wanted 4194304")


def test_what_is_encrypted_takes_the_room_and_then_what_is_in_it() -> None:
    """Whoever was stopped between two of them is gone on with from there, up to the top."""
    was = msgspec.structs.replace(OPEN, unused=40 * MIB)
    above = (INNER, Volume(name="v", size="8MiB", group="inner", state=State.ACTIVE))
    before, after = stack("80MiB", was, *above), stack("80MiB", OPEN, *above)
    action = sole(dmcrypt.change(before[f"{VOLUME}/luks"], after[f"{VOLUME}/luks"], before, after))
    inside = Node(layer=f"{VOLUME}/luks")
    assert action.steps == (RESIZE, command("pvresize", [inside], inside))


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
        (("mkfs.ext2", "-q", "-F"), 400 * MIB),
        (("mkswap",), 40 * MIB),
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


def test_how_often_it_was_mounted_is_in_the_superblock(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(bytes(8 * MIB))
    for maker in ("mkfs.ext4", "mkfs.ext2"):
        subprocess.run([maker, "-q", "-F", path], check=True, capture_output=True)
        assert not was_mounted(path.read_bytes()[:LENGTH])
        subprocess.run(["tune2fs", "-C", "3", path], check=True, capture_output=True)
        assert was_mounted(path.read_bytes()[:LENGTH])
    assert not was_mounted(b"")


def test_what_is_no_superblock_has_no_size() -> None:
    assert size_of(b"") == 0
    assert size_of(bytes(LENGTH)) == 0


@pytest.mark.parametrize(("said", "left"), [(None, 0), (300 * MIB, 100 * MIB), (399 * MIB, 0)])
def test_how_large_a_mounted_xfs_is_tells_its_mount(said: int | None, left: int) -> None:
    elsewhere = MountEntry(device="8:1", root="/", at="/far", type="xfs", source="/dev/sda1", namespace="4 (pid 7 x)")
    here = MountEntry(device="8:1", root="/", at="/near", type="xfs", source="/dev/sda1", size=said)
    assert unused(Canned([], mounts=[elsewhere, here]), "8:1", "xfs", 400 * MIB) == left


@pytest.mark.parametrize(
    ("type_", "options", "objects"),
    [
        ("xfs", [("ro", "noatime")], True),
        ("ext4", [("ro",), ("ro",)], True),
        ("xfs", [("rw",)], False),
        ("ext4", [("ro",), ("rw",)], False),  # then only the one mount is so, and the filesystem is not
        ("btrfs", [("ro",)], False),  # one may be mounted both ways at a time
        ("xfs", [], False),
    ],
)
def test_what_is_mounted_read_only_does_not_grow(type_: str, options: list[tuple[str, ...]], *, objects: bool) -> None:
    content: Layer = Btrfs() if type_ == "btrfs" else Filesystem(type=type_)
    volume = Volume(name="root", size="40MiB", group="main", state=State.ACTIVE)
    bottom: list[tuple[Layer, tuple[int, ...]]] = [(Disk(id="disk:a", serial="a"), ()), (Group(name="main"), (0,))]
    uses = [(Mount(at=f"/{at}", root="/", options=each), (3,)) for at, each in enumerate(options)]
    there = assemble([*bottom, (volume, (1,)), (content, (2,)), *uses])
    action = Action(verb=Verb.MODIFY, target="lvm.group:main", summary="grow", steps=(grow("", type_),))
    plan = Plan(before=there, wanted=Wanted(graph=there), actions=(action,))
    said = [each.remedy for each in mounts.read_only(plan)]
    assert [each.partition(": ")[2].partition(".")[0] for each in said] == (
        ["mount -o remount,rw /0"] if objects else []
    )
