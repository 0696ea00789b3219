"""What nobody asked for, and what is left alone all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pre_nixos.backends import btrfs, dmcrypt, filesystems, gpt, loop, mdraid, mounts
from pre_nixos.flow.schedule import schedule
from pre_nixos.model.action import Verb
from pre_nixos.model.device import BlockDevice
from pre_nixos.model.difference import Fate, shortcomings
from pre_nixos.model.draft import Draft, Wanted
from pre_nixos.model.identity import Found, Ref
from pre_nixos.model.layer import Disk, Health, State
from pre_nixos.model.size import Exact
from tests.unit.flow.test_schedule import TOYS, disks_of, old_stack
from tests.unit.toys import Pool, Slot, Stuff, disk, machine, slot_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.model.draft import Handle
    from pre_nixos.model.machine import Machine

GIB = 1 << 30
TABLE = Ref(kind="gpt", uuid="11111111-1111-4111-8111-111111111111")


def empty_slot(there: Machine) -> Wanted:
    (one,) = disks_of(there)
    draft = Draft(there, take=[one])
    draft.add(Slot(name="s"), on=[draft.add(Pool(name="new", level=1), on=[one])])
    return draft.wanted()


def test_what_somebody_put_into_something_wanted_for_its_own_sake_stays() -> None:
    there = machine(Found(disk("a")), *old_stack(name="new"))
    plan = schedule(there, empty_slot(there), registry=TOYS)
    assert plan.actions == ()
    assert plan.objections == ()
    assert not shortcomings(there.graph, plan.wanted)


def test_whatever_stands_on_that_stays_too() -> None:
    inner = Ref(kind="toy.pool", uuid="uuid-inner")
    there = machine(
        Found(disk("a")),
        *old_stack(name="new")[:2],
        Found(Pool(name="inner", level=1, uuid="uuid-inner", state=State.ACTIVE), on=["250:1"]),
        Found(Slot(name="deep", state=State.ACTIVE, device=slot_device(2)), on=[inner]),
        Found(Stuff(label="deep", state=State.ACTIVE), on=["250:2"]),
    )
    plan = schedule(there, empty_slot(there), registry=TOYS)
    assert plan.actions == ()
    assert not shortcomings(there.graph, plan.wanted)


def test_parts_of_something_wanted_without_any_stay() -> None:
    there = machine(Found(disk("a")), *old_stack(name="new"))
    draft = Draft(there, take=disks_of(there))
    draft.add(Pool(name="new", level=1), on=disks_of(there))
    assert schedule(there, draft.wanted(), registry=TOYS).actions == ()


def test_on_a_disk_that_is_wanted_blank_nothing_stays() -> None:
    there = machine(Found(disk("a")), *old_stack(name="new"))
    plan = schedule(there, Draft(there, take=disks_of(there)).wanted(), registry=TOYS)
    assert [each.verb for each in plan.actions] == [Verb.DEACTIVATE, Verb.TEARDOWN]


def test_what_is_to_be_made_anew_keeps_nothing() -> None:
    there = machine(Found(disk("a")), *old_stack(name="new"))
    draft = Draft(there, take=disks_of(there))
    draft.add(Slot(name="s"), on=[draft.add(Pool(name="new", level=2), on=disks_of(there))])
    plan = schedule(there, draft.wanted(), registry=TOYS)
    assert plan.reasons["toy.pool:new/s/toy.stuff"].fate is Fate.GONE
    assert plan.objections


def start_of(number: int) -> int:
    return (1 << 20) + (number - 1) * GIB


def opened(name: str, number: str, *, is_open: bool) -> Sequence[Found]:
    minor = int(number[-1])
    device = slot_device(minor) if is_open else None
    state = State.ACTIVE if is_open else State.INACTIVE
    part = gpt.Partition(
        number=minor,
        start=start_of(minor),
        size=Exact(bytes=GIB),
        type="linux",
        device=slot_device(10 + minor),
        state=State.ACTIVE,
    )
    luks = dmcrypt.Luks(mapper=name if is_open else None, version="2", state=state, device=device, slots=1)
    return Found(part, on=[TABLE]), Found(luks, on=[f"250:{10 + minor}"])


def half_open(*, second: bool) -> Machine:
    pool = btrfs.Btrfs(devices=2, state=State.ACTIVE, uuid="0b2bd4b6-76b9-4e03-9e44-5a0f3a4a2f70")
    on = ["250:1", "250:2"] if second else ["250:1"]
    return machine(
        Found(disk("a")),
        Found(gpt.Table(uuid=TABLE.uuid, state=State.ACTIVE), on=["8:0"]),
        *opened("one", "1", is_open=True),
        *opened("two", "2", is_open=second),
        Found(pool, on=on),
    )


def encrypted(there: Machine, *numbers: int) -> tuple[Draft, Sequence[Handle]]:
    """Want partitions of these numbers, each encrypted: the first one opened as `one`, the second one as `two`."""
    draft = Draft(there, take=disks_of(there))
    table = draft.add(gpt.Table(), on=disks_of(there))
    names = {1: "one", 2: "two"}
    parts = [draft.add(gpt.Partition(number=each, start=start_of(each), size="1GiB"), on=[table]) for each in numbers]
    volumes = [dmcrypt.Luks(mapper=names[each], keys=("file:/k",)) for each in numbers]
    return draft, [draft.add(volume, on=[part]) for volume, part in zip(volumes, parts, strict=True)]


def over(there: Machine, *numbers: int) -> Wanted:
    draft, luks = encrypted(there, *numbers)
    draft.add(btrfs.Btrfs(), on=luks)
    return draft.wanted()


def test_of_several_devices_one_that_is_still_closed_is_opened_and_nothing_is_said_of_the_rest() -> None:
    there = half_open(second=False)
    plan = schedule(there, over(there, 1, 2))
    assert [each.verb for each in plan.actions] == [Verb.ACTIVATE]
    assert not any(plan.losses().values())
    assert not [each for each in plan.objections if "would" in each.text]
    assert plan.looks_again


@pytest.mark.parametrize("left", [1, 2])
def test_one_of_several_devices_is_not_taken_out_at_the_cost_of_what_is_on_them(left: int) -> None:
    there = half_open(second=True)
    plan = schedule(there, over(there, left))
    assert any("btrfs" in each.text and "lost" in each.text for each in plan.objections)


def test_an_old_filesystem_over_disks_of_which_none_is_kept_goes_by_consent() -> None:
    there = machine(Found(disk("a")), Found(filesystems.Filesystem(type="ext4", state=State.ACTIVE), on=["8:0"]))
    assert not schedule(there, over(there, 1)).objections


def named(there: Machine, *names: str) -> Wanted:
    draft = Draft(there, take=disks_of(there))
    table = draft.add(gpt.Table(), on=disks_of(there))
    for number, name in enumerate(names, 1):
        part = draft.add(gpt.Partition(number=number, start=start_of(number), size="1GiB"), on=[table])
        draft.add(dmcrypt.Luks(mapper=name, keys=("file:/k",)), on=[part])
    return draft.wanted()


@pytest.mark.parametrize(
    ("is_second_open", "names", "clashing"),
    [
        (True, ("one", "two"), 0),
        (True, ("two", "one"), 2),
        (True, ("two", "three"), 1),
        (False, ("one", "two"), 0),
        (False, ("three", "one"), 1),
    ],
)
def test_a_name_that_something_else_still_has_is_given_to_nothing(
    names: tuple[str, str], clashing: int, *, is_second_open: bool
) -> None:
    there = machine(
        Found(disk("a")),
        Found(gpt.Table(uuid=TABLE.uuid, state=State.ACTIVE), on=["8:0"]),
        *opened("one", "1", is_open=True),
        *opened("two", "2", is_open=is_second_open),
    )
    plan = schedule(there, named(there, *names))
    assert (
        len([each for each in plan.objections if "/dev/mapper/" in each.text or "has the name" in each.text])
        == clashing
    )


def test_what_is_seen_in_part_does_not_stand_in_its_own_way() -> None:
    there = machine(
        Found(disk("a")),
        Found(gpt.Table(uuid=TABLE.uuid, state=State.ACTIVE), on=["8:0"]),
        *opened("one", "1", is_open=True),
        *opened("two", "2", is_open=False),
        Found(mdraid.Array(name="r", level=1, state=State.INACTIVE, health=Health.FAILED, uuid="u"), on=["250:1"]),
    )
    draft, luks = encrypted(there, 1, 2)
    array = draft.add(mdraid.Array(name="r", level=1), on=luks)
    draft.add(filesystems.Filesystem(type="ext4"), on=[array])
    plan = schedule(there, draft.wanted())
    assert not [each.text for each in plan.objections if "array" in each.text]
    assert [each.verb for each in plan.actions] == [Verb.ACTIVATE]
    assert plan.reasons["mdraid.array:r/filesystem"].fate is Fate.UNSEEN


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_in_a_file_that_is_used_as_a_disk_stays_with_the_file(kept: bool) -> None:  # noqa: FBT001 - a column
    inside = BlockDevice(name="loop0", number="7:0", size=1 << 30)
    file = loop.Loop(file="/mnt/guest", state=State.ACTIVE, device=inside)
    there = machine(
        Found(disk("a")),
        Found(filesystems.Filesystem(type="ext4", label="x", uuid="e", state=State.ACTIVE), on=["8:0"]),
        Found(
            mounts.Mount(at="/mnt", root="/", type="ext4", options=("rw",), state=State.ACTIVE),
            on=[Ref(number="8:0", content="ext4")],
        ),
        Found(file, on=[Ref(number="8:0", content="ext4")]),
        Found(filesystems.Filesystem(type="ext4", uuid="guest", state=State.ACTIVE), on=["7:0"]),
        Found(
            mounts.Mount(at="/srv", root="/", type="ext4", options=("rw",), state=State.ACTIVE),
            on=[Ref(number="7:0", content="ext4")],
        ),
    )
    disks = list(there.graph.of(Disk))
    draft = Draft(there, take=disks)
    files = draft.add(filesystems.Filesystem(type="ext4" if kept else "xfs", label="x"), on=disks)
    draft.add(mounts.Mount(at="/"), on=[files])
    plan = schedule(there, draft.wanted())
    if kept:
        assert not plan.actions
        assert not shortcomings(there.graph, plan.wanted)
    else:
        assert [each.summary for each in plan.actions][:3] == [
            "unmount /srv",
            "detach the loop device of /mnt/guest",
            "unmount /mnt",
        ]
