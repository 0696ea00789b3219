"""What a hostile eye found: each of these once lost, hid or misjudged something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pre_nixos.flow.journal import read_journal
from pre_nixos.flow.outcome import Event, Planned, Refused
from pre_nixos.flow.probe import probe
from pre_nixos.flow.schedule import schedule
from pre_nixos.host.api import Outcome
from pre_nixos.model.action import Verb
from pre_nixos.model.draft import Draft
from pre_nixos.model.identity import Found, Ref
from pre_nixos.model.layer import Health, State
from tests.unit.flow.test_apply import run, world
from tests.unit.flow.test_schedule import TOYS, disks_of, old_stack
from tests.unit.flow.world import as_host
from tests.unit.toys import Pool, Slot, Stuff, disk, machine

if TYPE_CHECKING:
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.layer import Disk
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan


def pool_on(there: Machine, *disks: Disk, name: str = "old") -> Wanted:
    draft = Draft(there, take=disks)
    draft.add(Pool(name=name, level=1), on=disks)
    return draft.wanted()


def test_what_stands_on_no_disk_is_nobodys_to_replace_though_it_has_the_wanted_name() -> None:
    there = machine(
        Found(disk("a")),
        Found(Slot(name="ram", state=State.ACTIVE)),
        Found(Pool(name="old", level=1, uuid="u", state=State.ACTIVE), on=[Ref(kind="toy.slot", name="ram")]),
    )
    plan = schedule(there, pool_on(there, *disks_of(there)), registry=TOYS)
    assert [each.verb for each in plan.actions] == [Verb.FORMAT]
    assert "which stays, has the name old." in " ".join(map(str, plan.objections))


def short_of_a_member(health: Health, level: int = 1) -> Plan:
    old = Pool(name="old", level=level, uuid="u", state=State.ACTIVE, health=health)
    there = machine(Found(disk("a")), Found(disk("b")), Found(old, on=["8:0"]))
    return schedule(there, pool_on(there, *disks_of(there)), registry=TOYS)


@pytest.mark.parametrize("health", [Health.DEGRADED, Health.FAILED])
def test_what_lacks_a_member_is_not_made_anew(health: Health) -> None:
    plan = short_of_a_member(health)
    assert plan.actions == ()
    assert "would lose what is on it" in " ".join(map(str, plan.objections))
    assert not any(plan.losses().values())


def test_what_lacks_a_member_and_is_otherwise_than_wanted_is_made_anew() -> None:
    assert [each.verb for each in short_of_a_member(Health.DEGRADED, level=5).actions][-1] is Verb.FORMAT


def test_nothing_to_do_is_no_success_if_it_is_not_as_wanted() -> None:
    made, plan = world(*old_stack())
    run(made, plan)
    pool = msgspec.structs.replace(made.graph["toy.pool:new"], health=Health.DEGRADED, remark="a disk is gone")
    made.graph = made.graph.plus([(pool, made.graph.on(pool.id))])
    again = schedule(probe(as_host(made), registry=TOYS), plan.wanted, registry=TOYS)
    assert again.actions == ()
    with pytest.raises(Refused, match="a disk is gone"):
        run(made, again)


def test_what_turned_up_on_a_blank_disk_after_consent_stays() -> None:
    made, plan = world()

    def store(event: Event) -> None:
        if isinstance(event, Planned) and event.round == 1:
            made.graft(machine(Found(disk("a")), Found(Stuff(label="mine", state=State.ACTIVE), on=["8:0"])))

    first = plan.actions[0].id
    made.broken[first] = lambda: Outcome(ok=False, refused=True, detail="it is not blank")
    with pytest.raises(Refused, match="nobody was asked about"):
        run(made, plan, observer=store)
    assert made.did == [first]
    # And what was agreed to then cannot be taken up again.
    assert read_journal(as_host(made)).open is None


def test_whoever_is_asked_is_asked_about_what_is_there_when_they_have_answered() -> None:
    made, plan = world(*old_stack())

    def think_long(shown: Plan) -> bool:
        made.graft(machine(Found(disk("a")), *old_stack(name="other")))
        return bool(shown.actions)

    with pytest.raises(Refused, match="has changed since"):
        run(made, plan, think_long)
    assert made.did == []


def test_names_may_have_the_sign_that_tells_namesakes_apart() -> None:
    there = machine(Found(disk("a", wwn=None, serial="A#1")))
    assert schedule(there, pool_on(there, *disks_of(there), name="pool #1"), registry=TOYS).objections == ()


def test_disks_that_cannot_be_told_apart_are_objected_to_and_no_fault_of_the_draft() -> None:
    there = machine(Found(disk("a", wwn="naa.1")), Found(disk("b", wwn="naa.1")))
    plan = schedule(there, pool_on(there, disks_of(there)[0]), registry=TOYS)
    assert "shows up more than once" in " ".join(map(str, plan.objections))
