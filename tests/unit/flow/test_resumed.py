"""After a run was killed: what the next one trusts, and what the old consent still covers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.flow.apply import apply
from pre_nixos.flow.consent import Doings, not_covered
from pre_nixos.flow.journal import Began, Consented, Ended, Journal, Withdrawn, read_journal
from pre_nixos.flow.outcome import Refused
from pre_nixos.flow.probe import probe
from pre_nixos.flow.schedule import schedule
from pre_nixos.flow.verify import verify
from pre_nixos.host.api import Outcome
from pre_nixos.model.action import Verb
from pre_nixos.model.difference import Fate, Verdict
from pre_nixos.model.draft import Draft, Wanted
from pre_nixos.model.identity import Found, Ref
from pre_nixos.model.layer import State, Unrecognised
from tests.unit.flow.test_schedule import TOYS, disks_of, old_stack
from tests.unit.flow.world import World, as_host
from tests.unit.toys import Pool, Slot, Stuff, Use, disk, machine, slot_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan

POOL = "toy.pool:new"
STUFF = Found(Stuff(label="somebody's work", state=State.ACTIVE), on=["250:7"])


class Killed(BaseException):
    """What ends a run at once, with nothing after it."""


def two_slots(there: Machine) -> Wanted:
    (one,) = disks_of(there)
    draft = Draft(there, take=[one])
    pool = draft.add(Pool(name="new", level=1), on=[one])
    for name, at in (("s", "/mnt"), ("t", "/mnt/t")):
        stuff = draft.add(Stuff(label="precious"), on=[draft.add(Slot(name=name), on=[pool])])
        draft.add(Use(at=at), on=[stuff])
    return draft.wanted()


def planned(made: World) -> Plan:
    return schedule(probe(as_host(made), registry=TOYS), made.wanted, registry=TOYS)


def growing() -> tuple[World, Plan]:
    """A pool with one slot in use, to which a second one is to be added: nothing is lost by that."""
    there = machine(Found(disk("a")), *old_stack(name="new"))
    made = World(there, two_slots(there))
    plan = planned(made)
    assert not any(plan.losses().values())
    return made, plan


def run(made: World, plan: Plan, consent: str = "") -> pn.Report:
    return apply(plan, consent=consent or plan.digest, host=as_host(made), registry=TOYS)


def killed_at(made: World, plan: Plan, victim: str, *, after: bool) -> None:
    """Kill a run in the middle of an action, before or after it came to anything."""

    def kill() -> Outcome:
        made.broken.clear()
        if after:
            verb, _, target = victim.partition(" ")
            made.run(Verb(verb), target)
        raise Killed

    made.broken[victim] = kill
    with pytest.raises(Killed):
        run(made, plan)


def put(made: World, *found: Found) -> None:
    """Have somebody add something by hand, with their own tools."""
    entries = [Found(each, on=_refs(made, each.id)) for each in made.graph.layers()]
    made.graft(machine(*entries, *found))


def _refs(made: World, id_: str) -> Sequence[str | Ref]:
    refs: list[str | Ref] = []
    for below in made.graph.under(made.graph[id_]):
        if below.device is not None:
            refs.append(below.device.number)
        elif below.label_for_uuid():
            refs.append(Ref(kind=below.kind, uuid=below.label_for_uuid()))
        else:
            (device,) = made.graph.devices(below)
            refs.append(Ref(number=device.device.number if device.device else "", content="toystuff"))
    return refs


@pytest.mark.parametrize("after", [False, True])
def test_a_part_that_was_being_added_is_settled_by_the_next_run(*, after: bool) -> None:
    made, plan = growing()
    killed_at(made, plan, f"modify {POOL}", after=after)
    assert read_journal(as_host(made)).unfinished == (f"{POOL}/t",)
    again = planned(made)
    assert not again.objections
    report = run(made, again)
    assert report.problem == ""
    assert len(report.rounds) == 1
    assert not verify(made.wanted, as_host(made), registry=TOYS)
    assert read_journal(as_host(made)).unfinished == ()
    assert not planned(made).actions
    assert not [each for each in made.did if each.startswith("teardown")], "nothing had to go for it"


def test_what_is_in_a_part_that_was_being_added_may_be_what_was_there_before() -> None:
    made, plan = growing()
    killed_at(made, plan, f"modify {POOL}", after=True)
    (slot,) = (each for each in made.graph.layers() if each.id == f"{POOL}/t")
    assert slot.device is not None
    put(made, Found(Stuff(label="precious", state=State.ACTIVE), on=[slot.device.number]))
    again = planned(made)
    (objection,) = again.objections
    assert f"an earlier run was stopped while it was at work on {POOL}/t below it; it would be" in objection.text


def test_a_part_that_is_wanted_empty_is_settled_by_looking() -> None:
    there = machine(Found(disk("a")), *old_stack(name="new"))
    (one,) = disks_of(there)
    draft = Draft(there, take=[one])
    pool = draft.add(Pool(name="new", level=1), on=[one])
    draft.add(Stuff(label="precious"), on=[draft.add(Slot(name="s"), on=[pool])])
    draft.add(Slot(name="t"), on=[pool])
    made = World(there, draft.wanted())
    killed_at(made, planned(made), f"modify {POOL}", after=True)
    again = planned(made)
    assert not again.actions
    run(made, again)
    assert read_journal(as_host(made)).unfinished == ()


def somebodys(made: World) -> Sequence[Found]:
    """Give a further slot of the pool, with somebody's work in it."""
    (pool,) = made.graph.of(Pool)
    slot = Slot(name="extra", state=State.ACTIVE, device=slot_device(7))
    return Found(slot, on=[Ref(kind="toy.pool", uuid=pool.uuid)]), STUFF


@pytest.mark.parametrize("victim", [Verb.MODIFY, Verb.FORMAT, Verb.ACTIVATE])
@pytest.mark.parametrize("after", [False, True])
def test_a_consent_that_lost_nothing_does_not_cover_what_somebody_made_since(victim: Verb, *, after: bool) -> None:
    made, plan = growing()
    killed_at(made, plan, next(each.id for each in plan.actions if each.verb is victim), after=after)
    put(made, *somebodys(made))
    before, did = made.graph, list(made.did)
    with pytest.raises(Refused, match=r"extra.*nobody was asked about"):
        run(made, planned(made), plan.digest)
    assert made.graph == before
    assert made.did == did


def test_without_anything_new_the_old_consent_goes_on() -> None:
    for position in range(4):
        for after in (False, True):
            there = machine(Found(disk("a")), *old_stack())
            made = World(there, two_slots(there))
            plan = planned(made)
            killed_at(made, plan, plan.actions[position].id, after=after)
            report = run(made, planned(made), plan.digest)
            assert report.problem == "", (position, after)
            assert not planned(made).actions


def test_what_was_finished_is_not_open_to_be_lost_for_a_run_that_was_stopped_later() -> None:
    there = machine(Found(disk("a")))
    made = World(there, two_slots(there))
    plan = planned(made)
    killed_at(made, plan, plan.actions[-1].id, after=False)
    put(made, *somebodys(made))
    with pytest.raises(Refused, match=r"extra.*nobody was asked about"):
        run(made, planned(made), plan.digest)


def test_the_journal_knows_what_was_left_in_the_middle_of_something() -> None:
    consent = Consented(digest="d", purpose="p", takes=("disk:a",))
    making = Began(verb=Verb.FORMAT, target="array", on=("one", "two"))
    removing = Began(verb=Verb.TEARDOWN, target="old", on=("three",))
    half = Journal([consent, making, removing])
    assert half.at_work_on(Verb.FORMAT) == {"one", "two"}
    assert half.at_work_on(Verb.TEARDOWN) == {"three"}
    assert not Journal([consent, making, Withdrawn(target="array")]).at_work_on(Verb.FORMAT)
    ended = Ended(verb=Verb.TEARDOWN, target="old", on=("three",), gone=("old", "old/x"))
    done = Journal([consent, making, removing, ended])
    assert (done.at_work_on(Verb.TEARDOWN), done.removed) == (frozenset(), {"old", "old/x"})
    fresh = Journal([consent, making, removing, ended, consent])
    assert (fresh.at_work_on(Verb.FORMAT), fresh.removed) == (frozenset(), set())


def test_what_is_made_on_a_part_proves_it() -> None:
    adding = Began(verb=Verb.MODIFY, target="table", parts=("table/2",))
    making = Began(verb=Verb.FORMAT, target="table/2/fs", on=("table/2",))
    ended = Ended(verb=Verb.FORMAT, target="table/2/fs", on=("table/2",))
    assert Journal([adding, making]).unfinished == ("table/2", "table/2/fs")
    assert Journal([adding, making, ended]).unfinished == ()


def test_suspicion_stays_with_the_disks_it_was_about() -> None:
    there = machine(Found(disk("a")), Found(disk("b")), *old_stack(name="new"))
    one, other = disks_of(there)
    elsewhere = Began(verb=Verb.FORMAT, target=POOL, touches=(other.id,))
    here = Began(verb=Verb.FORMAT, target=POOL, touches=(one.id,))
    consent = Consented(digest="d", purpose="p", takes=(), suspects=(POOL,))
    assert Journal([elsewhere]).unfinished == (POOL,)
    assert Journal([elsewhere]).suspects(there.graph) == ()
    assert Journal([elsewhere, consent]).suspects(there.graph) == ()
    assert Journal([here]).suspects(there.graph) == (POOL,)
    assert Journal([elsewhere]).suspects(there.graph.without([POOL])) == (POOL,), "it may turn up yet"


def half_made() -> tuple[World, Plan, str]:
    """Give a world in which a run was killed while it made something that nobody could tell from what is whole."""
    there = machine(Found(disk("a")), *old_stack(name="new"))
    made = World(there, two_slots(there))
    plan = planned(made)
    stuff = f"{POOL}/t/toy.stuff"
    killed_at(made, plan, f"format {stuff}", after=True)
    return made, plan, stuff


def test_what_somebody_has_come_to_use_is_whole_and_theirs() -> None:
    made, plan, stuff = half_made()
    assert planned(made).reasons[stuff].fate is Fate.REPLACED
    (device,) = made.graph.devices(made.graph[stuff])
    assert device.device is not None
    put(
        made, Found(Use(at="/elsewhere", state=State.ACTIVE), on=[Ref(number=device.device.number, content="toystuff")])
    )
    again = planned(made)
    assert again.reasons[stuff].fate is Fate.KEPT
    assert not [each for each in again.actions if each.verb in {Verb.TEARDOWN, Verb.FORMAT}]
    run(made, again, plan.digest)
    assert not [each for each in made.did if each.startswith(("teardown", "deactivate"))]


def test_where_something_was_begun_to_be_made_only_what_nobody_can_read_may_go() -> None:
    made, plan, stuff = half_made()
    journal, supports = read_journal(as_host(made)), planned(made).before.on(stuff)
    assert journal.open is not None
    doings = Doings.of(journal, probe(as_host(made), registry=TOYS))
    doings.made.clear()
    for layer, covered in ((Unrecognised(what="data"), True), (Stuff(label="precious"), False)):
        graph = plan.before.plus([(made.graph[supports[0]], (POOL,))])
        graph = graph.plus([(msgspec.structs.replace(layer, id="x", state=State.ACTIVE), supports)])
        gone = Verdict(layer="x", fate=Fate.GONE, why="nobody asked for it")
        now = msgspec.structs.replace(plan, before=graph, reasons={"x": gone})
        assert (not not_covered(now, journal.open.agreed, doings)) is covered
