"""Wanting disks blank, and having them forget every byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.flow.apply import apply, as_it_is
from pre_nixos.flow.blank import blank
from pre_nixos.flow.journal import read_journal
from pre_nixos.flow.outcome import Failed, Refused
from pre_nixos.flow.probe import probe
from pre_nixos.flow.schedule import schedule
from pre_nixos.host.api import Outcome
from pre_nixos.model.action import Verb
from pre_nixos.model.draft import Draft, Erasure, InvalidLayout
from pre_nixos.model.identity import Found
from pre_nixos.model.machine import Machine
from pre_nixos.model.plan import Plan
from pre_nixos.model.step import Discard, Zero
from tests.unit.flow.test_schedule import TOYS, old_stack
from tests.unit.flow.world import World, as_host
from tests.unit.toys import Pool, disk, machine

if TYPE_CHECKING:
    from collections.abc import Sequence


def there(*more: Found) -> Machine:
    return machine(Found(disk("a")), Found(disk("b")), *old_stack(), *more)


def world(erase: Erasure | None, *names: str) -> tuple[World, Plan]:
    found = there()
    wanted = blank(found, names or ["SERIAL-A"], erase=erase)
    made = World(found, wanted)
    return made, schedule(probe(as_host(made), registry=TOYS), wanted, registry=TOYS)


def run(made: World, plan: Plan, **more: object) -> pn.Report:
    return apply(plan, consent=plan.digest, host=as_host(made), registry=TOYS, **more)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - whatever a test wants to give


def verbs(plan: Plan) -> Sequence[Verb]:
    return [each.verb for each in plan.actions]


def test_what_stands_on_the_named_disks_goes_and_nothing_else() -> None:
    made, plan = world(None)
    assert verbs(plan) == [Verb.DEACTIVATE, Verb.TEARDOWN]
    assert plan.wanted.takes == plan.wanted.named
    assert len(plan.wanted.takes) == 1
    run(made, plan)
    again = schedule(probe(as_host(made), registry=TOYS), plan.wanted, registry=TOYS)
    assert not again.actions


@pytest.mark.parametrize("erase", Erasure)
def test_erasing_comes_last_and_is_simulated(erase: Erasure) -> None:
    _, plan = world(erase)
    assert verbs(plan) == [Verb.DEACTIVATE, Verb.TEARDOWN, Verb.ERASE]
    assert plan.edges == ((0, 1), (1, 2))
    assert plan.result() == plan.wanted.graph or set(plan.result()) == set(plan.wanted.graph)
    assert plan.actions[-1].touches == plan.wanted.takes


def test_every_byte_is_overwritten_once_in_stretches_one_can_stop_between() -> None:
    _, plan = world(Erasure.OVERWRITE)
    (size,) = (each.device.size for each in plan.before.layers() if each.device and each.id in plan.wanted.takes)
    stretches = [each.ranges[0] for each in plan.actions[-1].steps if isinstance(each, Zero)]
    assert stretches[0].start == 0
    assert [each.start + each.length for each in stretches[:-1]] == [each.start for each in stretches[1:]]
    assert stretches[-1].start + stretches[-1].length == size
    assert 1 < len(stretches) <= 256


def test_consent_to_wiping_is_no_consent_to_erasing() -> None:
    digests = {world(each)[1].digest for each in (None, *Erasure)}
    assert len(digests) == 3


def test_what_was_erased_before_a_stop_is_not_erased_again() -> None:
    made, plan = world(Erasure.DISCARD, "SERIAL-A", "SERIAL-B")
    # The second disk makes trouble, so the run ends after the first is done.
    calls: list[int] = []

    def second() -> Outcome:
        calls.append(1)
        return Outcome(ok=False, detail="no") if len(calls) > 1 else Outcome(ok=True, wrote=True)

    made.does[Discard] = second
    with pytest.raises(Failed):
        run(made, plan)
    erased = read_journal(as_host(made)).erased
    assert len(erased) == 1
    now = schedule(probe(as_host(made), registry=TOYS), plan.wanted, registry=TOYS)
    assert [each.target for each in now.actions if each.verb is Verb.ERASE] == sorted(
        set(plan.wanted.takes) - set(erased)
    )
    made.does.clear()
    run(made, now)
    # Over and done with: whoever asks for it now wants it done.
    fresh = schedule(probe(as_host(made), registry=TOYS), plan.wanted, registry=TOYS)
    assert verbs(fresh) == [Verb.ERASE, Verb.ERASE]


def test_erasing_stops_between_two_stretches() -> None:
    made, plan = world(Erasure.OVERWRITE)
    done: list[int] = []

    def stretch() -> Outcome:
        done.append(1)
        return Outcome(ok=True, wrote=True)

    made.does[Zero] = stretch
    with pytest.raises(Failed, match="Stopped, as asked"):
        run(made, plan, cancel=lambda: len(done) >= 2)
    assert len(done) == 2


def test_a_run_killed_after_the_last_thing_it_did_is_forgotten_by_one_that_finds_nothing_to_do() -> None:
    class Killed(BaseException):
        pass

    made, plan = world(None)

    def die() -> Outcome:
        made.broken.clear()
        made.run(Verb.TEARDOWN, plan.actions[-1].target)
        raise Killed

    made.broken[plan.actions[-1].id] = die
    with pytest.raises(Killed):
        run(made, plan)
    assert read_journal(as_host(made)).unfinished
    machine = probe(as_host(made), registry=TOYS)
    now = schedule(machine, plan.wanted, registry=TOYS)
    assert not now.actions
    assert as_it_is(now, machine, as_host(made)) is None
    run(made, now)
    journal = read_journal(as_host(made))
    assert (journal.unfinished, journal.open) == ((), None)
    settled = as_it_is(now, machine, as_host(made))
    assert settled is not None
    assert (settled.problem, settled.actions) == ("", 0)


def test_what_is_not_as_wanted_is_not_found_so() -> None:
    made, plan = world(None)
    assert as_it_is(plan, probe(as_host(made), registry=TOYS), as_host(made)) is None


def test_a_disk_that_cannot_discard_is_told_before_anything_is_touched() -> None:
    made, plan = world(Erasure.DISCARD)
    made.discards = False
    with pytest.raises(Refused, match="cannot be told to discard"):
        run(made, plan)
    assert made.did == []


def test_nothing_is_erased_that_something_is_wanted_on() -> None:
    found = there()
    draft = Draft(found, take=found.disks)
    draft.add(Pool(name="new", level=1), on=list(found.disks))
    import msgspec

    wanted = msgspec.structs.replace(draft.wanted(), erase=Erasure.DISCARD)
    assert any("to be erased" in each.text for each in schedule(found, wanted, registry=TOYS).objections)


@pytest.mark.parametrize("names", [["nobody"], [], ["sda"], ["/dev/sda"]])
def test_names_that_are_no_disk_are_refused(names: list[str]) -> None:
    with pytest.raises(InvalidLayout):
        blank(there(), names)
