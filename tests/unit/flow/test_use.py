"""Using what is there, and ending that: plans that cannot lose anything, whatever they are pointed at."""

from __future__ import annotations

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.flow.apply import apply
from pre_nixos.flow.journal import read_journal
from pre_nixos.flow.outcome import Failed, Refused
from pre_nixos.flow.preflight import obstacles
from pre_nixos.flow.probe import probe
from pre_nixos.flow.restraint import released
from pre_nixos.flow.schedule import schedule
from pre_nixos.host.api import Outcome
from pre_nixos.host.questions import User, Users
from pre_nixos.model.action import Action, Verb
from pre_nixos.model.difference import Fate, shortcomings
from pre_nixos.model.draft import Draft, Wanted
from pre_nixos.model.identity import Found, Ref
from pre_nixos.model.layer import State
from pre_nixos.model.plan import Plan
from tests.unit.flow.test_schedule import TOYS, disks_of, old_stack, wanted_pool
from tests.unit.flow.world import World, as_host
from tests.unit.toys import Pool, Slot, Stuff, Use, disk, machine

MOUNT = frozenset({Verb.ACTIVATE})
UNMOUNT = frozenset({Verb.DEACTIVATE})
STUFF = "toy.pool:new/s/toy.stuff"
MAKE_STUFF = f"format {STUFF}"


def world(*found: Found, level: int = 1) -> tuple[World, Wanted]:
    there = machine(Found(disk("a")), *found)
    wanted = wanted_pool(there, *disks_of(there), level=level)
    return World(there, wanted), wanted


def plan(made: World, wanted: Wanted, only: frozenset[Verb] = MOUNT) -> Plan:
    return schedule(probe(as_host(made), registry=TOYS), wanted, only=only, registry=TOYS)


def run(made: World, now: Plan) -> pn.Report:
    return apply(now, consent=now.digest, host=as_host(made), registry=TOYS)


def used(made: World) -> list[str]:
    return [each.title for each in made.graph.of(Use)]


def test_what_sleeps_is_woken_and_used_and_a_second_time_nothing_is_done() -> None:
    made, wanted = world(*old_stack(name="new", state=State.INACTIVE))

    def wake() -> Outcome:
        awake = machine(Found(disk("a")), *old_stack(name="new"))
        made.graft(awake)
        return Outcome(ok=True, wrote=True)

    made.broken["activate toy.pool:new"] = wake
    report = run(made, plan(made, wanted))
    assert made.did == ["activate toy.pool:new", f"activate {STUFF}//mnt"]
    assert len(report.rounds) == 2
    assert not plan(made, wanted).actions
    assert run(made, plan(made, wanted)).actions == 0
    assert read_journal(as_host(made)).open is None


def test_whoever_has_the_name_of_what_is_ended_is_no_reason_not_to_end_it() -> None:
    there = machine(Found(disk("a")), Found(disk("b")), *old_stack(on=("8:16",), name="new"))
    wanted = wanted_pool(there, disks_of(there)[0])
    assert schedule(there, wanted, only=MOUNT, registry=TOYS).objections
    assert not schedule(there, released(wanted, registry=TOYS), only=UNMOUNT, registry=TOYS).objections


def test_what_is_on_another_disk_is_not_ended_whatever_it_is_called() -> None:
    use = Found(Use(at="/mnt", state=State.ACTIVE), on=[Ref(number="250:1", content="toystuff")])
    there = machine(Found(disk("a")), Found(disk("b")), *old_stack(on=("8:16",), name="new"), use)
    mine = disks_of(there)[0]
    wanted = wanted_pool(there, mine)
    made = World(there, wanted)
    assert used(made) == ["use /mnt"]
    now = plan(made, released(wanted, registry=TOYS), UNMOUNT)
    assert now.actions == ()


def test_nothing_is_ever_made_or_removed() -> None:
    for found in ([], old_stack(), old_stack(name="new", state=State.INACTIVE)):
        made, wanted = world(*found, level=2)
        before = made.graph
        now = plan(made, wanted)
        assert not now.actions
        assert not any(now.losses().values())
        assert {each.fate for each in now.reasons.values()} <= {Fate.KEPT, Fate.LEFT}
        with pytest.raises(Refused, match="without making, changing or removing") as caught:
            run(made, now)
        assert any("toy.pool:new" in each for each in caught.value.reasons)
        assert made.did == []
        assert made.graph == before


def test_what_a_killed_run_was_making_is_not_used_and_its_consent_is_not_touched() -> None:
    class Killed(BaseException):
        pass

    made, wanted = world()
    first = schedule(probe(as_host(made), registry=TOYS), wanted, registry=TOYS)

    def half() -> Outcome:
        made.broken.clear()
        made.run(Verb.FORMAT, STUFF)
        raise Killed

    made.broken[MAKE_STUFF] = half
    with pytest.raises(Killed):
        run(made, first)
    with pytest.raises(Refused, match="stopped while it was at work on"):
        run(made, plan(made, wanted))
    journal = read_journal(as_host(made))
    assert used(made) == []
    assert journal.unfinished == (STUFF,)
    assert journal.open is not None
    again = schedule(probe(as_host(made), registry=TOYS), wanted, registry=TOYS)
    assert again.actions[0].id == f"teardown {STUFF}"
    apply(again, consent=first.digest, host=as_host(made), registry=TOYS)


def test_a_stopped_run_with_all_it_needs_may_be_used_and_stays_stopped() -> None:
    made, wanted = world(*old_stack(name="new"))
    first = schedule(probe(as_host(made), registry=TOYS), wanted, registry=TOYS)
    made.broken[f"activate {STUFF}//mnt"] = lambda: Outcome(ok=False, wrote=True, detail="no")
    with pytest.raises(Failed):
        run(made, first)
    made.broken.clear()
    stopped = read_journal(as_host(made)).open
    run(made, plan(made, wanted))
    assert read_journal(as_host(made)).open == stopped
    assert stopped is not None


def test_using_ends_in_the_reverse_order_and_only_what_is_ours() -> None:
    made, wanted = world(*old_stack(name="new"), *old_stack(minor=2))
    run(made, plan(made, wanted))
    resting = released(wanted, registry=TOYS)
    made.did.clear()
    now = plan(made, resting, UNMOUNT)
    assert [each.id for each in now.actions] == [f"deactivate {STUFF}//mnt", "deactivate toy.pool:new"]
    assert not now.objections
    assert list(now.simulate())
    run(made, now)
    assert made.graph["toy.pool:old"].state is State.ACTIVE
    assert not shortcomings(probe(as_host(made), registry=TOYS).graph, resting, only=UNMOUNT)
    assert not plan(made, resting, UNMOUNT).actions
    assert run(made, plan(made, resting, UNMOUNT)).actions == 0


@pytest.mark.parametrize(
    ("place", "problem"), [("/mnt", []), ("/elsewhere", ["mounted at /elsewhere, or a part of what is."])]
)
def test_another_use_of_the_same_is_no_reason_against_ending_one(place: str, problem: list[str]) -> None:
    made, wanted = world(*old_stack(name="new"))
    run(made, plan(made, wanted))
    machine = probe(as_host(made), registry=TOYS)
    made.graph = machine.graph.plus([(Use(at="/bound", id=f"{STUFF}//bound", state=State.ACTIVE), (STUFF,))])
    made.users = Users(users=(User(how="mount", what="/bound"), User(how="mount", what=place)))
    there = probe(as_host(made), registry=TOYS)
    ends = Action(verb=Verb.DEACTIVATE, target=f"{STUFF}//bound", summary="end it", steps=())
    goes = Action(verb=Verb.TEARDOWN, target=STUFF, summary="remove it", steps=())
    now = Plan(before=there.graph, wanted=wanted, actions=(ends,))
    assert [each.partition(": it is ")[2] for each in obstacles(now, there, as_host(made))][:1] == problem
    taken_out = Action(verb=Verb.MODIFY, target="toy.pool:new", summary="take it out", steps=(), destroys=(STUFF,))
    for more in (goes, taken_out):
        both = Plan(before=there.graph, wanted=wanted, actions=(ends, more))
        assert obstacles(both, there, as_host(made)), "it is no longer only one use that ends"


def test_what_somebody_else_uses_stays_in_use() -> None:
    found = old_stack(name="new")
    device = found[1].layer.device
    assert device is not None
    other = Found(Use(at="/srv", state=State.ACTIVE), on=[Ref(number=device.number, content="toystuff")])
    made, wanted = world(*found, other)
    run(made, plan(made, wanted))
    now = plan(made, released(wanted, registry=TOYS), UNMOUNT)
    assert any("/srv" in str(each) for each in now.objections)
    made.did.clear()
    with pytest.raises(Refused, match="/srv"):
        run(made, now)
    assert made.did == []


def outer_and_inner(state: State) -> tuple[World, Wanted]:
    """A use inside of another, whose pool is there from the beginning."""
    boot = old_stack(on=("8:16",), name="boot", minor=2)
    there = machine(Found(disk("a")), Found(disk("b")), *old_stack(name="new", state=state), *boot)
    mine, other = disks_of(there)
    draft = Draft(there, take=[mine, other])
    for name, at, on in (("boot", "/mnt/boot", other), ("new", "/mnt", mine)):
        pool = draft.add(Pool(name=name, level=1), on=[on])
        stuff = draft.add(Stuff(label="precious"), on=[draft.add(Slot(name="s"), on=[pool])])
        draft.add(Use(at=at), on=[stuff])
    return World(there, draft.wanted()), draft.wanted()


@pytest.mark.parametrize("only", [MOUNT, frozenset(Verb)])
def test_what_is_inside_waits_for_what_is_around_it(only: frozenset[Verb]) -> None:
    made, wanted = outer_and_inner(State.INACTIVE)
    now = plan(made, wanted, only)
    assert [each.id for each in now.actions] == ["activate toy.pool:new"]
    assert now.looks_again
    awake, _ = outer_and_inner(State.ACTIVE)
    assert [each.target.rpartition("/toy.stuff/")[2] for each in plan(awake, wanted, only).actions] == [
        "/mnt",
        "/mnt/boot",
    ]


def test_what_is_inside_of_what_is_missing_is_left() -> None:
    made, wanted = outer_and_inner(State.INACTIVE)
    made.graft(machine(*(Found(disk(each)) for each in "ab"), *old_stack(on=("8:16",), name="boot", minor=2)))
    now = plan(made, wanted)
    assert not now.actions
    assert not now.looks_again
    assert "is inside of" in now.reasons["toy.pool:boot/s/toy.stuff//mnt/boot"].why


def test_what_is_merely_not_quite_as_wanted_is_used_as_it_is() -> None:
    """A slot of another colour would be changed in place, which is not for those to do who only use it."""
    made, wanted = world(*old_stack(name="new"))
    coloured = wanted.graph.with_each(
        lambda each: msgspec.structs.replace(each, colour="red") if isinstance(each, Slot) else each
    )
    wanted = msgspec.structs.replace(wanted, graph=coloured)
    whole = plan(made, wanted, frozenset(Verb))
    assert [each.verb for each in whole.actions] == [Verb.MODIFY, Verb.ACTIVATE]
    assert [each.verb for each in plan(made, wanted).actions] == [Verb.ACTIVATE]
    run(made, plan(made, wanted))
    assert len(used(made)) == 1


def test_consent_to_using_is_none_to_making() -> None:
    made, wanted = world()
    whole = schedule(probe(as_host(made), registry=TOYS), wanted, registry=TOYS)
    assert plan(made, wanted).digest != whole.digest
    with pytest.raises(Refused):
        apply(whole, consent=plan(made, wanted).digest, host=as_host(made), registry=TOYS)
    assert made.did == []
