"""What is wanted and there is not lost by a change nobody meant to cost anything."""

from __future__ import annotations

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.gpt import Partition, Table
from pre_nixos.backends.lvm import Group, Volume
from pre_nixos.flow.apply import apply
from pre_nixos.flow.probe import probe
from pre_nixos.flow.schedule import schedule
from pre_nixos.host.api import Outcome
from pre_nixos.model.difference import Fate
from pre_nixos.model.draft import Draft, Wanted
from pre_nixos.model.identity import Found
from pre_nixos.model.layer import Disk, State
from pre_nixos.model.machine import Machine
from tests.unit.flow.test_schedule import TOYS, disks_of, old_stack, wanted_pool
from tests.unit.flow.world import World, as_host
from tests.unit.policies.finished import after
from tests.unit.policies.servers import TB, hdds, server
from tests.unit.toys import Pool, Slot, Stuff, disk, machine

STUFF = "toy.pool:new/s/toy.stuff"


def there(**fields: object) -> Machine:
    return machine(Found(disk("a")), Found(disk("b")), *old_stack(name="new", **fields))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - whatever a test wants to say


def plan(found: Machine, wanted: Wanted) -> pn.Plan:
    return schedule(found, wanted, registry=TOYS)


def test_another_level_would_lose_what_is_wanted_on_it_and_is_refused_by_name() -> None:
    found = there()
    now = plan(found, wanted_pool(found, disks_of(found)[0], level=2))
    (said,) = map(str, now.objections)
    assert said == (
        "pool new would have to be made anew, because the level of a pool cannot be changed; with it would be lost: "
        "stuff. Leave it as it is, or say that it may be replaced (--replace): toy.pool:new"
    )


@pytest.mark.parametrize("named", ["toy.pool:new", "disk:naa.500000000000000a"])
def test_what_is_named_or_stands_on_what_is_named_may_go(named: str) -> None:
    found = there()
    wanted = wanted_pool(found, disks_of(found)[0], level=2)
    now = plan(found, wanted.replacing(named))
    assert now.objections == ()
    assert now.reasons["toy.pool:new"].fate is Fate.REPLACED
    assert now.digest != plan(found, wanted).digest


def test_naming_something_else_is_no_permission() -> None:
    found = there()
    wanted = wanted_pool(found, disks_of(found)[0], level=2)
    assert plan(found, wanted.replacing(STUFF, "toy.pool:old", "disk:naa.500000000000000b")).objections


def test_what_is_closed_counts_as_what_is_wanted_in_it() -> None:
    found = there(state=State.INACTIVE)
    assert plan(found, wanted_pool(found, disks_of(found)[0], level=2)).objections


def test_content_that_cannot_become_what_is_wanted_in_its_very_place_is_refused() -> None:
    found = there()
    draft = Draft(found, take=disks_of(found)[:1])
    slot = draft.add(Slot(name="s"), on=[draft.add(Pool(name="new", level=1), on=disks_of(found)[:1])])
    draft.add(Stuff(label="another"), on=[slot])
    assert [each.subject for each in plan(found, draft.wanted()).objections] == [STUFF]


def test_content_of_another_label_is_that_of_an_earlier_installation() -> None:
    found = there()
    draft = Draft(found, take=disks_of(found)[:1])
    pool = draft.add(Pool(name="new", level=2), on=disks_of(found)[:1])
    for name in "stu":
        draft.add(Stuff(label="mine"), on=[draft.add(Slot(name=name), on=[pool])])
    assert plan(found, draft.wanted()).objections == ()


def test_another_device_below_is_no_reason_to_lose_what_is_above() -> None:
    found = there()
    assert [each.subject for each in plan(found, wanted_pool(found, *disks_of(found))).objections] == ["toy.pool:new"]


def test_content_in_the_place_of_something_else_is_refused() -> None:
    found = there()
    draft = Draft(found, take=disks_of(found)[:1])
    slot = draft.add(Slot(name="s"), on=[draft.add(Pool(name="new", level=1), on=disks_of(found)[:1])])
    draft.add(Pool(name="inner", level=1), on=[slot])
    assert [each.subject for each in plan(found, draft.wanted()).objections] == [STUFF]


def data_on(found: Machine, where: Disk, label: str, *others: Disk) -> Wanted:
    """A group for data on one disk, in a partition with this label, and an empty one on each other."""
    draft = Draft(found, take=[where, *others])
    for each, name in ((where, "large"), *((other, f"large_{count}") for count, other in enumerate(others, 1))):
        part = Partition(number=1, size="rest", type="lvm", label=label if each is where else name)
        group = draft.add(Group(name=name), on=[draft.add(part, on=[draft.add(Table(), on=[each])])])
        if each is where:
            volume = draft.add(Volume(name="data", size="1GiB"), on=[group])
            draft.add(Filesystem(type="ext4", label="data"), on=[volume])
    return draft.wanted()


def test_content_whose_name_goes_to_another_disk_with_all_its_labels_is_not_lost_by_that() -> None:
    old, new = hdds(TB, 2 * TB)
    found = server([old, new])
    found = after(found, data_on(found, old, "large"))
    moved = data_on(found, new, "large", old)
    (said,) = pn.schedule(found, moved).objections
    assert said.subject == "lvm.group:large"
    assert "with it would be lost: ext4 'data'" in str(said)
    assert not pn.schedule(found, moved.replacing("lvm.group:large")).objections


def test_content_of_an_earlier_installation_goes_by_consent_also_from_another_disk() -> None:
    old, new = hdds(TB, 2 * TB)
    found = server([old, new])
    found = after(found, data_on(found, old, "theirs"))
    now = pn.schedule(found, data_on(found, new, "large", old))
    assert now.objections == ()
    assert any(now.losses().values())


def test_what_nobody_wants_goes_by_consent_alone() -> None:
    found = machine(Found(disk("a")), *old_stack())
    now = plan(found, wanted_pool(found, *disks_of(found)))
    assert now.objections == ()
    assert any(now.losses().values())


def test_what_an_earlier_run_was_making_may_be_made_anew() -> None:
    found = msgspec.structs.replace(there(), unfinished=(STUFF,))
    now = plan(found, wanted_pool(found, disks_of(found)[0]))
    assert now.objections == ()
    assert now.reasons[STUFF].fate is Fate.REPLACED


def test_what_an_earlier_run_was_only_removing_is_not_lost_unasked() -> None:
    """That run may have been stopped before it wrote anything, and whoever wants it back wants what is in it."""
    found = msgspec.structs.replace(there(), unfinished=(STUFF,), leaving=(STUFF,))
    wanted = wanted_pool(found, disks_of(found)[0])
    now = plan(found, wanted)
    (objection,) = now.objections
    assert "because an earlier run was stopped while it was at work on this" in objection.text
    assert objection.remedy.startswith("Use it yourself if it is whole")
    assert plan(found, wanted.replacing(STUFF)).objections == ()


def test_what_comes_back_in_the_place_of_what_is_being_made_goes_again() -> None:
    """It was not there when the plan was made, and what it was made of went by consent."""
    there = machine(Found(disk("a")), *old_stack())
    wanted = wanted_pool(there, *disks_of(there))
    made = World(there, wanted)
    now = schedule(probe(as_host(made), registry=TOYS), wanted, registry=TOYS)

    def haunted() -> Outcome:
        made.broken.clear()
        ghost = Pool(id="toy.pool:md126", name="md126", uuid="uuid-old-1", state=State.INACTIVE)
        inside = Slot(id="toy.pool:md126/s", name="s", state=State.INACTIVE)
        made.graph = made.graph.plus([(ghost, ("toy.pool:new/s",)), (inside, (ghost.id,))])
        return Outcome(ok=False, wrote=True, detail="it is not blank")

    made.broken[f"format {STUFF}"] = haunted
    report = apply(now, consent=now.digest, host=as_host(made), registry=TOYS)
    assert report.problem == ""
    assert len(report.rounds) == 2
