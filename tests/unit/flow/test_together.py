"""Several disks at a time: what may be, and how it ends."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre_nixos.flow.apply import apply
from pre_nixos.flow.blank import blank
from pre_nixos.flow.journal import Began, Journal, Withdrawn, read_journal
from pre_nixos.flow.outcome import ActionBegan, ActionEnded, Event
from pre_nixos.flow.probe import probe
from pre_nixos.flow.schedule import schedule
from pre_nixos.flow.together import batches
from pre_nixos.host.api import Outcome
from pre_nixos.model.action import Action, Verb
from pre_nixos.model.draft import Erasure, Wanted
from pre_nixos.model.graph import DeviceGraph
from pre_nixos.model.identity import Found
from pre_nixos.model.plan import Plan
from pre_nixos.model.step import Discard, Node, RequireFree, Run, WriteFile, Zero
from tests.unit.flow.test_schedule import TOYS
from tests.unit.flow.world import World, as_host
from tests.unit.toys import disk, machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.model.step import Step

LONG = 20.0
"""Seconds that nothing here takes."""


def action(touches: str, *steps: Step) -> Action:
    quiet = (RequireFree(target=Node(layer="a")), Discard(target=Node(layer="a")))
    return Action(verb=Verb.ERASE, target=touches, summary="", steps=steps or quiet, touches=tuple(touches))


def divided(actions: Sequence[Action], *edges: tuple[int, int], jobs: int = 2) -> list[str]:
    plan = Plan(before=DeviceGraph(), wanted=Wanted(graph=DeviceGraph()), actions=tuple(actions), edges=edges)
    return ["|".join(each.target for _, each in batch) for batch in batches(plan, jobs)]


def test_disks_that_have_nothing_to_do_with_each_other_go_together() -> None:
    assert divided([action("a"), action("b"), action("cd"), action("ce"), action("f")]) == ["a|b|cd", "ce|f"]


def test_nothing_is_made_while_something_is_still_to_be_removed() -> None:
    removing = [msgspec.structs.replace(action(each), verb=Verb.TEARDOWN) for each in "ab"]
    making = [msgspec.structs.replace(action(each), verb=Verb.FORMAT) for each in "cd"]
    assert divided([*removing, *making], jobs=4) == ["a|b", "c|d"]


def test_only_one_at_a_time_if_nobody_asked_for_more() -> None:
    assert divided([action("a"), action("b")], jobs=1) == ["a", "b"]


def test_what_needs_another_waits_for_it() -> None:
    assert divided([action("a"), action("b"), action("c"), action("d")], (1, 2), (0, 3)) == ["a|b", "c|d"]


@pytest.mark.parametrize(
    "step", [Run(argv=("true",)), WriteFile(path="/x", content=""), Run(argv=("x", Node(layer="b")))]
)
def test_what_may_have_to_do_with_more_than_its_disk_runs_alone(step: Step) -> None:
    assert divided([action("a"), action("b", step), action("c"), action("d")]) == ["a", "b", "c|d"]


def test_what_touches_no_disk_runs_alone() -> None:
    assert divided([action(""), action("b"), action(""), action("")]) == ["", "b", "", ""]


@given(
    st.lists(st.tuples(st.sets(st.sampled_from("abcd"), max_size=2), st.booleans()), max_size=8),
    st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7))),
    st.integers(1, 4),
)
def test_nothing_is_left_out_moved_or_begun_before_what_it_needs(
    given_: list[tuple[set[str], bool]], pairs: set[tuple[int, int]], jobs: int
) -> None:
    actions = [action("".join(sorted(disks)), *([Run(argv=("x",))] if loud else [])) for disks, loud in given_]
    edges = tuple(sorted((low, high) for low, high in pairs if low < high < len(actions)))
    plan = Plan(before=DeviceGraph(), wanted=Wanted(graph=DeviceGraph()), actions=tuple(actions), edges=edges)
    found = list(batches(plan, jobs))
    assert [each for batch in found for each in batch] == list(enumerate(actions, 1))
    for batch in found:
        places = {position - 1 for position, _ in batch}
        assert not any(low in places and high in places for low, high in edges)
        disks = [each for _, member in batch for each in member.touches]
        assert len(disks) == len(set(disks))


def erasing(names: str) -> tuple[World, Plan]:
    found = machine(*(Found(disk(name)) for name in names))
    wanted = blank(found, [f"SERIAL-{name.upper()}" for name in names], erase=Erasure.DISCARD)
    made = World(found, wanted)
    return made, schedule(probe(as_host(made), registry=TOYS), wanted, registry=TOYS)


def test_disks_are_erased_at_the_same_time() -> None:
    made, plan = erasing("ab")
    both = threading.Barrier(2, timeout=LONG)

    def wait_for_the_other() -> Outcome:
        both.wait()  # which raises if nobody else comes
        return Outcome(ok=True, wrote=True)

    made.does[Discard] = wait_for_the_other
    events: list[Event] = []
    report = apply(plan, consent=plan.digest, host=as_host(made), registry=TOYS, jobs=2, observer=events.append)
    assert [each.action for each in report.rounds[0].done] == [each.id for each in plan.actions]
    began = [isinstance(each, ActionBegan) for each in events if isinstance(each, ActionBegan | ActionEnded)]
    assert began == [True, True, False, False]
    assert read_journal(as_host(made)).open is None


def test_never_more_than_was_said() -> None:
    made, plan = erasing("abcde")
    at_work, most, turn = set[int](), [0], threading.Lock()
    two = threading.Barrier(2)

    def count() -> Outcome:
        with turn:
            at_work.add(threading.get_ident())
            most[0] = max(most[0], len(at_work))
        with suppress(threading.BrokenBarrierError):
            two.wait(timeout=0.2)  # gives a third one time to come
        with turn:
            at_work.discard(threading.get_ident())
        return Outcome(ok=True, wrote=True)

    made.does[Discard] = count
    apply(plan, consent=plan.digest, host=as_host(made), registry=TOYS, jobs=2)
    assert most == [2]


def test_when_one_fails_those_that_run_end_and_no_other_begins() -> None:
    made, plan = erasing("abc")
    first, turn, over = threading.Barrier(2, timeout=LONG), threading.Lock(), threading.Event()
    count = [0]

    def fail_the_first() -> Outcome:
        with turn:
            count[0] += 1
            mine = count[0]
        if mine <= 2:
            first.wait()
        if mine == 2:
            assert over.wait(LONG)
        return Outcome(ok=mine != 1, detail="the disk is gone", wrote=True)

    made.does[Discard] = fail_the_first

    def observe(event: Event) -> None:
        if isinstance(event, ActionEnded) and not event.ok:
            over.set()

    report = apply(plan, consent=plan.digest, host=as_host(made), registry=TOYS, jobs=2, observer=observe)
    failed, again = report.rounds
    assert "the disk is gone" in failed.problem
    assert len(failed.done) == 1, "the other one that ran was brought to its end, and the third not begun"
    assert len(again.done) == 2
    assert count[0] == 4


def test_a_defect_in_one_is_not_swallowed() -> None:
    made, plan = erasing("ab")

    def broken() -> Outcome:
        raise ZeroDivisionError

    made.does[Discard] = broken
    with pytest.raises(ZeroDivisionError):
        apply(plan, consent=plan.digest, host=as_host(made), registry=TOYS, jobs=2)


def test_what_was_withdrawn_is_said_by_name_not_by_order() -> None:
    journal = Journal(
        [
            Began(verb=Verb.TEARDOWN, target="one", parts=("one/1",)),
            Began(verb=Verb.TEARDOWN, target="two", parts=("two/1",)),
            Withdrawn(target="one"),
        ]
    )
    assert journal.unfinished == ("two", "two/1")


def test_overwriting_asks_the_guards_before_each_stretch_also_at_the_same_time() -> None:
    found = machine(Found(disk("a")), Found(disk("b")))
    wanted = blank(found, ["SERIAL-A", "SERIAL-B"], erase=Erasure.OVERWRITE)
    made = World(found, wanted)
    plan = schedule(probe(as_host(made), registry=TOYS), wanted, registry=TOYS)
    made.does[Zero] = lambda: Outcome(ok=True, wrote=True)
    apply(plan, consent=plan.digest, host=as_host(made), registry=TOYS, jobs=2)
    asked = sum(type(each).__name__ == "CheckHeld" for each in made.done)
    assert asked >= sum(len(each.steps) for each in plan.actions)
