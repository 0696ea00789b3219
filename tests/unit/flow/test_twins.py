"""Of several things of one name, the one that is where it is wanted is the one that is meant."""

from __future__ import annotations

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.backends import btrfs, filesystems
from pre_nixos.flow.schedule import schedule
from pre_nixos.model.difference import Fate, shortcomings
from pre_nixos.model.draft import Draft
from pre_nixos.model.identity import Found, Ref
from pre_nixos.model.layer import State
from tests.unit.flow.test_schedule import TOYS, disks_of, old_stack, wanted_pool
from tests.unit.toys import Pool, Slot, Stuff, Use, disk, machine, slot_device

A, B, C, D = "8:0", "8:16", "8:32", "8:48"
OURS = "toy.pool:new"


def server(*found: Found) -> pn.Machine:
    return machine(*(Found(disk(letter)) for letter in "abcd"), *found)


def wanted_by(there: pn.Machine, *letters: int) -> pn.Wanted:
    disks = disks_of(there)
    return msgspec.structs.replace(
        wanted_pool(there, disks[0], use=False), takes=tuple(disks[each].id for each in letters)
    )


def stack(on: str, minor: int, state: State = State.ACTIVE) -> list[Found]:
    return old_stack(on=(on,), name="new", minor=minor, state=state)


@pytest.mark.parametrize("others", [(B,), (B, C)])
def test_ours_is_as_wanted_whoever_has_its_name_elsewhere(others: tuple[str, ...]) -> None:
    twins = [each for minor, on in enumerate(others, 2) for each in stack(on, minor)]
    there = server(*stack(A, 1), *twins)
    assert OURS not in there.graph
    wanted = wanted_by(there, 0)
    plan = schedule(there, wanted, registry=TOYS)
    assert not plan.actions
    assert not plan.objections
    assert {each.fate for each in plan.reasons.values()} == {Fate.KEPT}
    assert not shortcomings(there.graph, wanted)


def test_on_a_disk_that_is_taken_only_the_other_goes() -> None:
    there = server(*stack(A, 1), *stack(B, 2))
    plan = schedule(there, wanted_by(there, 0, 1), registry=TOYS)
    assert not plan.objections
    assert [each.uuid for lost in plan.losses().values() for each in lost if isinstance(each, Pool)] == ["uuid-new-2"]
    assert {each for action in plan.actions for each in action.touches} == {disks_of(there)[1].id}


def test_its_use_is_its_own_too() -> None:
    mount = Found(Use(at="/mnt", state=State.ACTIVE), on=[Ref(number="250:1", content="toystuff")])
    there = server(*stack(A, 1), mount, *stack(B, 2))
    wanted = wanted_pool(there, disks_of(there)[0])
    assert not schedule(there, wanted, registry=TOYS).actions


def test_what_has_lost_a_disk_is_meant_rather_than_what_is_elsewhere() -> None:
    there = server(*stack(A, 1), *stack(C, 2))
    wanted = wanted_pool(there, *disks_of(there)[:2], use=False)
    plan = schedule(there, wanted, registry=TOYS)
    assert plan.reasons[OURS].fate is Fate.REPLACED
    assert "it stands on disk:naa.500000000000000a, wanted on" in plan.explain(OURS)
    assert any("would have to be made anew" in str(each) for each in plan.objections)


def test_where_none_can_be_told_to_be_meant_none_is_lost_without_a_word() -> None:
    signature = filesystems.Filesystem(type="ext4", label="x", state=State.ACTIVE)
    twice = [Found(msgspec.structs.replace(signature, uuid=each), on=[A]) for each in ("e", "f")]
    there = server(*twice)
    draft = Draft(there, take=disks_of(there)[:1])
    draft.add(filesystems.Filesystem(type="ext4", label="x"), on=disks_of(there)[:1])
    said = [str(each) for each in schedule(there, draft.wanted()).objections]
    assert len([each for each in said if "would have to go" in each]) == len(twice), said


def test_a_filesystem_over_several_disks_has_no_name_at_all() -> None:
    ours = btrfs.Btrfs(label="ours", uuid="11111111-1111-4111-8111-111111111111", devices=2, state=State.ACTIVE)
    other = msgspec.structs.replace(ours, label="other", uuid="22222222-2222-4222-8222-222222222222")
    there = server(Found(ours, on=[A, B]), Found(other, on=[C, D]))
    draft = Draft(there, take=disks_of(there)[:2])
    draft.add(btrfs.Btrfs(label="ours"), on=disks_of(there)[:2])
    plan = schedule(there, draft.wanted())
    assert not plan.actions
    assert not plan.objections


def test_twins_in_twins_are_told_apart_by_what_they_are_in() -> None:
    def inside(uuid: str, minor: int, name: str) -> list[Found]:
        slot = Found(
            Slot(name=name, state=State.ACTIVE, device=slot_device(minor)), on=[Ref(kind="toy.pool", uuid=uuid)]
        )
        return [
            slot,
            *(Found(Stuff(label=each, state=State.ACTIVE), on=[f"250:{minor}"]) for each in ("precious", "x")),
        ]

    pools = [
        Found(Pool(name="new", level=1, uuid=each, state=State.ACTIVE), on=[on]) for each, on in (("u", A), ("v", B))
    ]
    there = server(*pools, *inside("u", 1, "s"), *inside("v", 2, "s"))
    graph = there.against(wanted_by(there, 0)).graph
    assert {OURS, f"{OURS}/s", f"{OURS}/s/toy.stuff"} <= set(graph)
    assert graph.disks(f"{OURS}/s/toy.stuff") == {disks_of(there)[0].id}
    meant = graph[f"{OURS}/s/toy.stuff"]
    assert isinstance(meant, Stuff)
    assert meant.label == "precious"
