"""How apply ends, whatever happens on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.flow.apply import apply
from pre_nixos.flow.journal import JOURNAL, read_journal
from pre_nixos.flow.outcome import ActionBegan, Event, Failed, Refused
from pre_nixos.flow.probe import probe
from pre_nixos.flow.propose import propose
from pre_nixos.flow.schedule import schedule
from pre_nixos.flow.verify import verify
from pre_nixos.host.api import Outcome
from pre_nixos.host.questions import User, Users
from pre_nixos.model.draft import InvalidLayout
from pre_nixos.model.identity import Found
from pre_nixos.model.layer import State
from pre_nixos.model.machine import Machine
from pre_nixos.model.plan import Plan
from tests.unit.flow.test_schedule import TOYS, disks_of, old_stack, wanted_pool
from tests.unit.flow.world import World, as_host
from tests.unit.toys import Stuff, disk, machine

if TYPE_CHECKING:
    from collections.abc import Callable

MAKE_STUFF = "format toy.pool:new/s/toy.stuff"


def world(*found: Found, level: int = 1) -> tuple[World, Plan]:
    there = machine(Found(disk("a")), *found)
    wanted = wanted_pool(there, *disks_of(there), level=level)
    made = World(there, wanted)
    return made, schedule(probe(as_host(made), registry=TOYS), wanted, registry=TOYS)


def run(made: World, plan: Plan, consent: object = None, **more: object) -> pn.Report:
    given = plan.digest if consent is None else consent
    return apply(plan, consent=given, host=as_host(made), registry=TOYS, **more)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - tests give wrong ones on purpose


def test_an_old_stack_becomes_the_wanted_one_and_a_second_run_does_nothing() -> None:
    made, plan = world(*old_stack())
    events: list[Event] = []
    report = run(made, plan, observer=events.append)
    assert report.problem == ""
    assert [each.action for each in events if isinstance(each, ActionBegan)] == [each.id for each in plan.actions]
    assert not verify(plan.wanted, as_host(made), registry=TOYS)
    again = schedule(probe(as_host(made), registry=TOYS), plan.wanted, registry=TOYS)
    assert again.actions == ()
    before = list(made.did)
    assert run(made, again).actions == 0
    assert made.did == before
    assert made.held_off == [False, True, False, False]


def not_root(made: World) -> None:
    made.root = False


def locked(made: World) -> None:
    made.locked_by = "apply, process 7"


def stale(made: World) -> None:
    made.graft(machine(Found(disk("a")), *old_stack(name="other")))


def another_machine(made: World) -> None:
    made.graft(machine(Found(disk("b"))))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (not_root, "Only root"),
        (locked, "locked by apply, process 7"),
        (stale, "has changed since"),
        (another_machine, "is not on this machine"),
    ],
)
def test_nothing_is_touched_when_it_is_refused(spoil: Callable[[World], None], says: str) -> None:
    made, plan = world(*old_stack())
    spoil(made)
    with pytest.raises(Refused, match=says):
        run(made, plan)
    assert made.did == []
    assert JOURNAL not in made.files


def disagree(plan: Plan) -> bool:
    return not plan.digest


@pytest.mark.parametrize("consent", ["", "0123456789abcdef", "yes", disagree], ids=["none", "other", "yes", "no"])
def test_a_consent_for_anything_else_is_none(consent: object) -> None:
    made, plan = world(*old_stack())
    with pytest.raises(Refused):
        run(made, plan, consent)
    assert made.did == []


def test_a_plan_edited_by_hand_is_refused() -> None:
    made, plan = world(*old_stack())
    edited = msgspec.structs.replace(plan, actions=plan.actions[:-1])
    with pytest.raises(Refused, match="edited"):
        run(made, edited)
    assert made.did == []


def test_a_plan_with_objections_is_refused() -> None:
    there = machine(Found(disk("a")))
    wanted = propose(there, "pool", {"name": "cursed"}, registry=TOYS)
    made = World(there, wanted)
    with pytest.raises(Refused, match="cursed"):
        run(made, schedule(probe(as_host(made), registry=TOYS), wanted, registry=TOYS))
    assert made.did == []


def test_a_guard_is_asked_at_the_moment_before() -> None:
    made, plan = world(*old_stack())

    def object_later() -> None:
        made.files["/toy/objection"] = "no"

    made.broken[plan.actions[0].id] = object_later
    with pytest.raises(Failed, match="not the moment") as caught:
        run(made, plan)
    assert set(made.did) == {plan.actions[0].id}
    assert caught.value.report.rounds[0].done[0].action == plan.actions[0].id


@pytest.mark.parametrize(
    ("user", "says"),
    [
        (User(how="file", what="postgres", pid=7), "process 7 (postgres) has a file open on it"),
        (User(how="open", what="dd", pid=8), "process 8 (dd) has the device open"),
        (User(how="mount", what="/srv", pid=9), "mounted at /srv in the mount namespace of process 9"),
        (User(how="export", what="nvmet one"), "serves it to others as nvmet one"),
        (User(how="exclusive", what="cannot be told: EIO"), "cannot be told"),
        (User(how="something new", what="else"), "something new"),
    ],
)
def test_what_cannot_be_released_is_found_before_anything_is(user: User, says: str) -> None:
    made, plan = world(*old_stack())
    made.users = Users(users=(user,))
    with pytest.raises(Refused) as caught:
        run(made, plan)
    assert says in str(caught.value)
    assert "slot s" in str(caught.value)
    assert made.did == []


@pytest.mark.parametrize(
    "user",
    [User(how="open", what="(udev-worker)", pid=7), User(how="holder", what="dm-0")],
)
def test_what_the_plan_ends_or_what_passes_is_no_obstacle(user: User) -> None:
    made, plan = world(*old_stack())
    made.users = Users(users=(user,))
    assert run(made, plan).problem == ""


@pytest.mark.parametrize("how", ["mount", "loop"])
def test_what_no_action_ends_is_an_obstacle(how: str) -> None:
    made, plan = world(*old_stack())
    made.users = Users(users=(User(how=how, what="/elsewhere"),))
    with pytest.raises(Refused, match="is in use"):
        run(made, plan)
    assert made.did == []


def test_a_disk_that_is_no_longer_the_one_held_stops_everything() -> None:
    made, plan = world()
    made.held = Outcome(ok=False, detail="the disk was exchanged")
    with pytest.raises(Refused, match="exchanged"):
        run(made, plan)
    assert made.did == []


def test_a_failure_means_look_again_and_go_on() -> None:
    made, plan = world(*old_stack())
    times = iter([Outcome(ok=False, detail="mkstuff: busy", wrote=True)])
    made.broken[MAKE_STUFF] = lambda: next(times, None)
    report = run(made, plan)
    assert len(report.rounds) == 2
    assert "busy" in report.rounds[0].problem
    assert not verify(plan.wanted, as_host(made), registry=TOYS)


def test_what_comes_back_in_the_middle_is_torn_down_as_well() -> None:
    made, plan = world(*old_stack())

    def resurface() -> Outcome:
        del made.broken["format toy.pool:new"]
        made.graft(machine(Found(disk("a")), *old_stack(name="md126", minor=9, uuid="uuid-old-1")))
        return Outcome(ok=False, detail="device busy", wrote=True)

    made.broken["format toy.pool:new"] = resurface
    report = run(made, plan)
    assert "teardown toy.pool:md126" in made.did
    assert report.problem == ""
    assert [len(each.done) for each in report.rounds] == [2, 5]


def test_what_never_works_ends_with_a_report() -> None:
    made, plan = world()
    made.broken[MAKE_STUFF] = lambda: Outcome(ok=False, detail="mkstuff: no", wrote=True)
    with pytest.raises(Failed, match="mkstuff: no") as caught:
        run(made, plan)
    report = caught.value.report
    assert len(report.rounds) == 2  # the second failed at once, just like the first: there is no point in a third
    assert report.shortcomings
    assert report.advice


def test_stopping_happens_between_actions_and_says_where_things_stand() -> None:
    made, plan = world(*old_stack())
    with pytest.raises(Failed, match="Stopped, as asked") as caught:
        run(made, plan, cancel=lambda: len(made.did) >= 2)
    assert len(made.did) == 2
    assert len(caught.value.report.rounds[0].done) == 2


def test_a_killed_run_goes_on_under_the_same_consent() -> None:
    class Killed(BaseException):
        pass

    def kill() -> Outcome:
        raise Killed

    for position in range(4):
        made, plan = world(*old_stack())
        victim = plan.actions[position].id
        made.broken[victim] = kill
        with pytest.raises(Killed):
            run(made, plan)
        del made.broken[victim]
        again = schedule(probe(as_host(made), registry=TOYS), plan.wanted, registry=TOYS)
        report = run(made, again, plan.digest)
        assert report.problem == ""
        assert not verify(plan.wanted, as_host(made), registry=TOYS)
        there = probe(as_host(made), registry=TOYS)
        other = schedule(there, wanted_pool(there, *disks_of(there), name="third"), registry=TOYS)
        with pytest.raises(Refused):
            run(made, other, plan.digest)


def test_what_a_killed_run_was_making_is_not_trusted() -> None:
    class Killed(BaseException):
        pass

    made, plan = world()

    def half() -> Outcome:
        made.broken.clear()
        made.run(plan.actions[1].verb, plan.actions[1].target)
        raise Killed

    made.broken[MAKE_STUFF] = half
    with pytest.raises(Killed):
        run(made, plan)
    there = probe(as_host(made), registry=TOYS)
    assert there.unfinished == ("toy.pool:new/s/toy.stuff",)
    again = schedule(there, plan.wanted, registry=TOYS)
    assert again.actions[0].id == "teardown toy.pool:new/s/toy.stuff"
    run(made, again)
    assert read_journal(as_host(made)).unfinished == ()


def test_what_a_killed_run_was_removing_and_is_gone_is_forgotten() -> None:
    class Killed(BaseException):
        pass

    made, plan = world(*old_stack())

    def half() -> Outcome:
        made.broken.clear()
        made.run(plan.actions[1].verb, plan.actions[1].target)
        raise Killed

    made.broken["teardown toy.pool:old"] = half
    with pytest.raises(Killed):
        run(made, plan)
    assert read_journal(as_host(made)).unfinished == ("toy.pool:old", "toy.pool:old/s")
    run(made, schedule(probe(as_host(made), registry=TOYS), plan.wanted, registry=TOYS))
    assert read_journal(as_host(made)).unfinished == ()


def test_what_was_refused_before_anything_was_written_is_what_it_was() -> None:
    made, plan = world(*old_stack())
    made.broken["teardown toy.pool:old"] = lambda: Outcome(ok=False, detail="somebody has it open")
    with pytest.raises((Failed, Refused)):
        run(made, plan)
    assert read_journal(as_host(made)).unfinished == ()
    made.broken["teardown toy.pool:old"] = lambda: Outcome(ok=False, wrote=True, detail="half of it is gone")
    with pytest.raises(Failed):
        run(made, schedule(probe(as_host(made), registry=TOYS), plan.wanted, registry=TOYS))
    assert read_journal(as_host(made)).unfinished == ("toy.pool:old", "toy.pool:old/s")


def asleep(*, label: str) -> tuple[World, Plan]:
    """A pool that is there but inactive, and what will come to light when it is activated."""
    made, plan = world(*old_stack(name="new", state=State.INACTIVE))

    def wake() -> Outcome:
        del made.broken["activate toy.pool:new"]
        found = [
            Found(disk("a")),
            *old_stack(name="new")[:2],
            Found(Stuff(label=label, state=State.ACTIVE), on=["250:1"]),
        ]
        made.graft(machine(*found))
        return Outcome(ok=True)

    made.broken["activate toy.pool:new"] = wake
    return made, plan


def test_what_comes_to_light_as_wanted_is_kept() -> None:
    made, plan = asleep(label="precious")
    assert plan.looks_again
    report = run(made, plan)
    assert report.problem == ""
    assert not [each for each in made.did if each.startswith(("format", "teardown"))]


def test_what_comes_to_light_and_would_have_to_go_needs_a_consent_of_its_own() -> None:
    made, plan = asleep(label="somebody else's")
    with pytest.raises(Refused, match="nobody was asked about"):
        run(made, plan)
    assert made.did == ["activate toy.pool:new"]


def test_somebody_who_is_asked_again_may_agree() -> None:
    made, plan = asleep(label="somebody else's")
    shown: list[Plan] = []

    def agree(each: Plan) -> bool:
        shown.append(each)
        return True

    report = run(made, plan, agree)
    assert report.problem == ""
    assert len(shown) == 2
    assert [each.id for lost in shown[1].losses().values() for each in lost] == ["toy.pool:new/s/toy.stuff"]


@pytest.mark.parametrize(
    ("policy", "options", "says"),
    [
        ("pol", {}, "did you mean 'pool'?"),
        ("zzz", {}, "there are: pool"),
        ("pool", {"nam": "x"}, "did you mean 'name'?"),
        ("pool", {"disks": "many"}, "option disks: 'many' is not a whole number"),
        ("pool", {"disks": 9}, "at least 9 disks, and 1 fits"),
    ],
)
def test_wishes_that_make_no_sense_are_answered_in_words(policy: str, options: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidLayout) as caught:
        propose(machine(Found(disk("a"))), policy, options, registry=TOYS)
    assert says in str(caught.value)


def test_a_machine_without_disks_is_told_so() -> None:
    with pytest.raises(InvalidLayout, match="none"):
        propose(Machine(graph=machine().graph), "pool", registry=TOYS)
