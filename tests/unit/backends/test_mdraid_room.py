"""Arrays whose members have grown: what they leave of them, and how they take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pre_nixos.backends import mdraid
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.lvm import Group
from pre_nixos.backends.lvm.command import lvm as command
from pre_nixos.backends.mdraid import Array, Level
from pre_nixos.backends.mdraid.room import unused
from pre_nixos.host.questions import BlockNode, Signature
from pre_nixos.host.survey import Memo
from pre_nixos.model.difference import Fate, difference, shortcomings
from pre_nixos.model.draft import Wanted
from pre_nixos.model.identity import assemble
from pre_nixos.model.plan import Plan
from pre_nixos.plugin import (
    MIB,
    BlockDevice,
    Disk,
    Grow,
    Health,
    Node,
    Range,
    Replace,
    RequireSize,
    Run,
    State,
    Verb,
    Zero,
    growth,
)
from tests.unit.backends.canned import Canned, disk
from tests.unit.backends.sole import sole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.plugin import DeviceGraph, Layer

ID = "mdraid.array:main"
GROWN = Run(argv=("mdadm", "--grow", Node(layer=ID), "--size=max"))


def said(component: int, offset: int = 1, remembered: int = 0, chunk: int = 0, layout: int = 0) -> Mapping[str, str]:
    """What the kernel says of an array, from MiB."""
    told = {"component_size": component * 1024, "chunk_size": chunk * MIB, "layout": layout}
    for name in "ab":
        told |= {f"dev-{name}/offset": offset * 2048, f"dev-{name}/size": remembered * 1024}
    return {field: str(value) for field, value in told.items()}


@pytest.mark.parametrize(
    ("level", "metadata", "size", "members", "files", "made_by", "left"),
    [
        (Level.RAID1, "1.2", 497, (798, 798), said(497), "us", 300),
        (Level.RAID1, "1.2", 497, (798, 898), said(497), "us", 300),
        (Level.RAID1, "1.2", 497, (798, 498), said(497), "us", 0),  # as much as the smallest has
        (Level.RAID5, "1.1", 497, (798, 798), said(497, chunk=1), "us", 300),
        (Level.RAID10, "1.2", 497, (798, 798), said(497, chunk=1, layout=0x102), "us", 300),
        # Spread otherwise than near each other, md does not resize it.
        (Level.RAID10, "1.2", 497, (798, 798), said(497, chunk=1, layout=0x201), "us", 0),
        (Level.RAID10, "1.2", 497, (798, 798), said(497, chunk=1, layout=0x10201), "us", 0),
        (Level.RAID0, "1.2", 996, (798, 798), said(0, chunk=1), "us", 0),
        (Level.RAID1, "1.0", 497, (798, 798), said(497), "us", 0),
        (Level.RAID1, "0.90", 497, (798, 798), said(497), "us", 0),
        # What is rounded off, and where the data begins.
        (Level.RAID1, "1.2", 497, (512, 512), said(497), "us", 0),
        (Level.RAID1, "1.2", 497, (630, 630), said(497, offset=129), "us", 0),
        (Level.RAID5, "1.2", 448, (520, 520), said(448, chunk=64), "us", 0),
        # Somebody else had it leave some of its members; that is what they were when they became members.
        (Level.RAID1, "1.2", 497, (798, 798), said(497, remembered=797), "others", 0),
        (Level.RAID1, "1.2", 497, (798, 798), said(497, remembered=497), "others", 300),
        (Level.RAID1, "1.2", 497, (798, 798), {}, "us", 0),
    ],
)
def test_what_an_array_leaves_of_its_members(
    level: Level, metadata: str, size: int, members: tuple[int, int], files: Mapping[str, str], made_by: str, left: int
) -> None:
    spaces = {name: space * MIB for name, space in zip("ab", members, strict=True)}
    found = unused(level, metadata, size * MIB, spaces, ours=made_by == "us", read=lambda name: files.get(name, ""))
    assert found == left * MIB


def test_nothing_is_read_where_nothing_can_be_left() -> None:
    def read(attribute: str) -> str:
        raise AssertionError(f"nobody was to read {attribute}")

    assert not unused(Level.RAID1, "1.2", 497 * MIB, {"a": 498 * MIB, "b": 512 * MIB}, ours=True, read=read)
    assert not unused(Level.RAID5, "1.2", 2 * 497 * MIB, dict.fromkeys("abc", 498 * MIB), ours=True, read=read)
    assert not unused(Level.RAID6, "1.2", 2 * 497 * MIB, dict.fromkeys("abcd", 498 * MIB), ours=True, read=read)
    assert not unused(Level.RAID0, "1.2", 0, {"a": 498 * MIB}, ours=True, read=read)


@pytest.mark.parametrize(("host", "left"), [("any", 300), ("lab", 0)])
def test_probing_tells_whose_array_it_is(host: str, left: int) -> None:
    attributes = {
        "size": str(497 * 2048),
        "md/level": "raid1",
        "md/raid_disks": "2",
        "md/metadata_version": "1.2",
        "md/array_state": "clean",
        "md/sync_action": "idle",
    }
    path = "/sys/devices/virtual/block/md127"
    node = BlockNode(name="md127", number="9:127", attributes=attributes, path=path, slaves=("a", "b"))
    nodes = [disk("a", "8:0", 798 * MIB), disk("b", "8:16", 798 * MIB), node]
    member = Signature(type="linux_raid_member", label=f"{host}:main", uuid="0560857a-cb5c-34a4-8627-02f443db6a8d")
    files = {f"{path}/md/{name}": text for name, text in said(497, remembered=797).items()}
    files |= {f"{path}/md/dev-{name}/{each}": text for name in "ab" for each, text in SLOTS[name].items()}
    found = list(mdraid.find(Memo(Canned(nodes, {"8:0": [member], "8:16": [member]}, files=files))))
    (array,) = (each.layer for each in found)
    assert isinstance(array, Array)
    assert (array.health, array.unused) == (Health.OK, left * MIB)


def test_what_failed_is_no_spare_and_no_reason_to_make_an_array_anew() -> None:
    """A spare took over, and the one it stands in for is still attached."""
    attributes = {"md/level": "raid1", "md/raid_disks": "2", "md/metadata_version": "1.2", "md/array_state": "clean"}
    path = "/sys/devices/virtual/block/md127"
    node = BlockNode(name="md127", number="9:127", attributes=attributes, path=path, slaves=("a", "b", "c"))
    nodes = [*(disk(name, f"8:{at * 16}", 64 * MIB) for at, name in enumerate("abc")), node]
    told = {"a": ("none", "faulty"), "b": ("1", "in_sync"), "c": ("0", "in_sync")}
    files = {f"{path}/md/dev-{name}/slot": slot for name, (slot, _) in told.items()}
    files |= {f"{path}/md/dev-{name}/state": state for name, (_, state) in told.items()}
    member = Signature(type="linux_raid_member", label="any:main", uuid="0560857a-cb5c-34a4-8627-02f443db6a8d")
    found = list(mdraid.find(Memo(Canned(nodes, {each.number: [member] for each in nodes[:3]}, files=files))))
    (array,) = (each.layer for each in found)
    assert isinstance(array, Array)
    assert (array.spares, array.health) == (0, Health.DEGRADED)
    disks = [(Disk(id=f"disk:{name}", serial=name, size=64 * MIB), ()) for name in "abc"]
    there = assemble([*disks, (array, (0, 1, 2))])
    wish = assemble([*disks, (Array(name="main", level=1, spares=1), (0, 1, 2))])
    wanted = Wanted(graph=wish, takes=("disk:a", "disk:b", "disk:c"))
    assert difference(there, wanted).fate(ID) is Fate.KEPT
    said = [str(each) for each in shortcomings(there, wanted)]
    assert said == [f"{ID}: is degraded: 1 of its devices has failed"]


SLOTS = {"a": {"slot": "0", "state": "in_sync"}, "b": {"slot": "1", "state": "in_sync"}}


def stack(*above: Layer, size: int = 0, each: int = 798, **more: Any) -> DeviceGraph:
    """An array on two disks; one with a size is there."""
    device = BlockDevice(name="md127", number="9:127", size=size * MIB) if size else None
    array = Array(name="main", level=1, device=device, state=State.ACTIVE, **more)
    below = [(Disk(id=f"disk:{name}", serial=name, size=each * MIB), ()) for name in "ab"]
    return assemble([*below, (array, (0, 1)), *((layer, (2,)) for layer in above)])


def test_an_array_grows_and_then_what_stands_on_it() -> None:
    group = Group(name="main")
    before, after = stack(group, size=497, unused=300 * MIB), stack(group)
    action = sole(mdraid.change(before[ID], after[ID], before, after))
    here = Node(layer=ID)
    # Where its new end will be, give or take what is rounded, and nothing of what it had.
    tail = Range(start=(797 - 16) * MIB, length=32 * MIB)
    assert action.verb is Verb.MODIFY
    assert action.summary == "grow array main by 300 MiB of every member"
    still = RequireSize(target=here, size=497 * MIB)
    assert action.steps == (
        still,
        GROWN,
        Zero(target=here, ranges=(tail,), added=True),
        command("pvresize", [here], here),
    )
    little = stack(size=790, unused=7 * MIB)
    (zero,) = (
        each for each in sole(mdraid.change(little[ID], after[ID], little, after)).steps if isinstance(each, Zero)
    )
    assert zero.ranges[0].start == 790 * MIB


def test_members_that_grow_make_the_array_grow() -> None:
    files = Filesystem(type="ext4")
    steps = list(growth("disk:a", stack(files, size=497, each=498), stack(files)))
    assert steps == [GROWN, Grow(target=Node(layer=ID), type="ext4")]
    # What is known by the end of its members, or spread without a copy, is left as it is.
    graph = stack(files)
    assert not Array(name="main", level=1, metadata="1.0").grown(graph)
    assert not Array(name="main", level=0).grown(graph)


def test_room_is_no_reason_to_make_an_array_anew() -> None:
    before = stack(size=497, unused=300 * MIB)
    answer = mdraid.change(before[ID], Array(name="main", level=5), before, before)
    assert answer == Replace(why="level is raid1, wanted raid5")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"action": "idle"}, None),
        ({"action": "check"}, "a check of it runs"),
        ({"health": Health.SYNCING, "remark": "resync runs"}, "resync runs"),
        ({"health": Health.DEGRADED, "remark": "1 of 2 members are missing"}, "1 of 2 members are missing"),
    ],
)
def test_an_array_that_is_busy_is_not_made_to_grow(state: Mapping[str, Any], said: str | None) -> None:
    before, after = stack(size=497, unused=300 * MIB, **state), stack()
    wanted = Wanted(graph=after, takes=("disk:a", "disk:b"))
    action = sole(mdraid.change(before[ID], after[ID], before, after))
    plan = Plan(before=before, wanted=wanted, actions=(action,), reasons=difference(before, wanted).verdicts)
    told = [each.text for each in mdraid.object_to(plan)]
    whole = f"Array 'main' is to grow with its members, and md does not do that now: {said}."
    assert told == ([whole] if said else [])
    quiet = Plan(before=before, wanted=wanted, reasons=plan.reasons)
    assert not list(mdraid.object_to(quiet))


@pytest.mark.parametrize(("health", "grows"), [(Health.OK, True), (Health.DEGRADED, False)])
def test_one_that_lacks_members_gets_them_before_it_grows(health: Health, *, grows: bool) -> None:
    there, wish = Array(name="main", level=1, unused=300 * MIB, health=health), Array(name="main", level=1)
    assert [each.field for each in wish.mismatches(there)] == ["unused"] * grows
