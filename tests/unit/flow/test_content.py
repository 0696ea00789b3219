"""What came to be on a device after it was agreed what goes: it is asked for again, and not removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pre_nixos.flow.apply import apply
from pre_nixos.flow.journal import JOURNAL
from pre_nixos.flow.outcome import Event, Failed, Noted, Refused
from pre_nixos.flow.patience import Patience, ask_again
from pre_nixos.flow.probe import probe
from pre_nixos.flow.schedule import schedule
from pre_nixos.host.api import Outcome
from pre_nixos.host.questions import Content, Signature, Verdict
from pre_nixos.model.identity import Found
from pre_nixos.model.step import RequireBlank
from tests.unit.flow.test_schedule import TOYS, old_stack, wanted_pool
from tests.unit.flow.world import World, as_host
from tests.unit.toys import disk, machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.model.plan import Plan

HASTE = Patience(tries=5, pause=0.0)
A = "8:0"


def content(verdict: Verdict, *types: str) -> Content:
    signatures = tuple(Signature(type=each, uuid=f"of-{each}") for each in types)
    return Content(number=A, verdict=verdict, size=1 << 30, signatures=signatures, error="" if types else "EIO")


KNOWN, UNREADABLE = content(Verdict.KNOWN, "toy"), content(Verdict.UNREADABLE)


def world(*answers: Content) -> tuple[World, Plan]:
    there = machine(Found(disk("a")), *old_stack())
    wanted = wanted_pool(there, *there.disks)
    made = World(there, wanted)
    plan = schedule(probe(as_host(made), registry=TOYS), wanted, registry=TOYS)
    made.holds[A] = list(answers)
    return made, plan


def run(made: World, plan: Plan, events: list[Event] | None = None) -> None:
    told = events if events is not None else []
    apply(plan, consent=plan.digest, host=as_host(made), registry=TOYS, patience=HASTE, observer=told.append)


def teardowns(made: World) -> Sequence[str]:
    return [each for each in made.did if each.startswith("teardown")]


def test_a_signature_that_was_not_there_stops_what_would_have_removed_it() -> None:
    made, plan = world(content(Verdict.KNOWN, "toy", "ext4"))
    with pytest.raises(Failed, match=r"holds .*ext4.* now, which was not there"):
        run(made, plan)
    assert teardowns(made) == []


def test_a_device_that_is_gone_or_says_nothing_is_not_blank() -> None:
    made, plan = world(content(Verdict.GONE))
    with pytest.raises(Failed, match="is gone, or nothing could be learnt"):
        run(made, plan)
    assert teardowns(made) == []


def test_what_cannot_be_read_for_a_moment_is_waited_for_and_that_is_written_down() -> None:
    made, plan = world(UNREADABLE, UNREADABLE, content(Verdict.BLANK))
    events: list[Event] = []
    run(made, plan, events)
    assert any(isinstance(each, Noted) and "allowed after 3 tries" in each.text for each in events)
    assert '"entry":"audited"' in made.files[JOURNAL]


def test_what_stays_unreadable_is_refused_after_so_many_tries_and_that_is_written_down() -> None:
    made, plan = world(UNREADABLE)
    with pytest.raises(Failed, match="cannot be read"):
        run(made, plan)
    assert teardowns(made) == []
    assert "refused after 5 tries" in made.files[JOURNAL]


@pytest.mark.parametrize(("failures", "tries"), [(0, 1), (4, 5), (1000, 10)])
def test_a_step_that_may_pass_is_tried_again(failures: int, tries: int) -> None:
    made, plan = world()
    calls: list[int] = []

    def blank() -> Outcome:
        calls.append(1)
        ok = len(calls) > failures
        return Outcome(ok=ok, refused=not ok, passing=not ok, detail="" if ok else "not proven blank: EIO")

    made.does[RequireBlank] = blank
    if failures < 5:
        run(made, plan)
    else:
        with pytest.raises((Failed, Refused), match="EIO"):
            run(made, plan)
    assert len(calls) >= tries


def test_nobody_waits_once_somebody_wants_to_stop() -> None:
    asked = ask_again(Patience(tries=5, pause=60.0), lambda: "no", lambda _: True, lambda: True)
    assert (asked.answer, asked.tries) == ("no", 1)


def test_a_failure_leaves_both_states_and_the_report_on_the_machine() -> None:
    made, plan = world(UNREADABLE)
    with pytest.raises(Failed) as caught:
        run(made, plan)
    place = caught.value.report.diagnostics
    assert place == f"/var/log/pre-nixos/failed-{plan.digest}"
    kept = {path: text for path, text in made.files.items() if path.startswith(place)}
    assert sorted(kept) == [f"{place}/{name}.json" for name in ("after", "before", "report")]
    for name in ("before", "after"):
        assert msgspec.json.decode(kept[f"{place}/{name}.json"])["format"] == "pre-nixos recording"
