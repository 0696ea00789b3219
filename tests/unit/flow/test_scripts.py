"""Scripts: shown whole, agreed to by the byte, run at their moment, and never run again for nothing."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre_nixos.flow.documents import dump_plan, load_plan
from pre_nixos.flow.journal import JOURNAL, read_journal
from pre_nixos.flow.outcome import Failed, Refused
from pre_nixos.flow.probe import probe
from pre_nixos.flow.restraint import released
from pre_nixos.flow.schedule import schedule
from pre_nixos.flow.verify import verify
from pre_nixos.host.api import CheckHeld, Outcome
from pre_nixos.model.action import Action, Verb
from pre_nixos.model.draft import Draft
from pre_nixos.model.identity import Found
from pre_nixos.model.plan import consent_digest
from pre_nixos.model.script import SHELL, Moment, Script, runs_script, step_of, text_of
from pre_nixos.model.step import Node, RequireBlank, Run
from tests.unit.flow import world as worlds
from tests.unit.flow.test_apply import run
from tests.unit.flow.test_schedule import TOYS, disks_of, old_stack, wanted_pool
from tests.unit.flow.world import World, as_host
from tests.unit.toys import Pool, Slot, Stuff, Use, disk, machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pre_nixos.host.api import Deed
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.plan import Plan
    from pre_nixos.model.step import Step

POOL, SLOT, STUFF = "toy.pool:new", "toy.pool:new/s", "toy.pool:new/s/toy.stuff"
USE = f"{STUFF}//mnt"
NASTY = "-x $HOME `id` \"q\" 'q' %s %(n)s ${x} $(y) \\ \t*?\n\nnäh \N{SNOWMAN}\r\n#\n"


@pytest.fixture(autouse=True)
def _a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worlds, "TOOLS", {**worlds.TOOLS, "bash": "/bin/bash"})


class Scripted(World):
    """A world in which scripts only leave a trace, or fail."""

    failing: str = ""

    def do(self, work: Step | Deed, places: Mapping[str, str], secrets: Mapping[str, str]) -> Outcome:
        text = text_of(work) if isinstance(work, Run) else None
        if text is None:
            return super().do(work, places, secrets)
        self.done.append(work)
        self.did.append(text)
        if text == self.failing:
            return Outcome(ok=False, wrote=True, processes=1, detail=f"status 1; it may have written: {text} said so")
        return Outcome(ok=True, wrote=True, processes=1)


def script(layer: str, moment: Moment, text: str = "") -> Script:
    return Script(layer=layer, moment=moment, text=text or f"{moment} {layer}")


EVERY = [script(layer, moment) for layer in (POOL, SLOT, STUFF, USE) for moment in Moment]


def scripted(wanted: Wanted, *scripts: Script) -> Wanted:
    return msgspec.structs.replace(wanted, scripts=scripts)


def world(*scripts: Script, found: Sequence[Found] = ()) -> tuple[Scripted, Plan]:
    there = machine(Found(disk("a")), *found)
    wanted = scripted(wanted_pool(there, *disks_of(there)), *scripts)
    made = Scripted(there, wanted)
    return made, plan_for(made, wanted)


def plan_for(made: World, wanted: Wanted) -> Plan:
    return schedule(probe(as_host(made), registry=TOYS), wanted, registry=TOYS)


def kept(document: str | bytes, folder: Path) -> Plan:
    path = folder / "plan.json"
    path.write_bytes(document if isinstance(document, bytes) else document.encode())
    return load_plan(str(path), registry=TOYS)


def texts(action: Action) -> list[str]:
    return [text_of(step) or type(step).__name__ for step in action.steps]


def test_each_comes_at_its_moment() -> None:
    _, plan = world(*EVERY)
    assert {each.id: texts(each) for each in plan.actions} == {
        f"format {POOL}": [
            "RequireBlank",
            f"before-making {POOL}",
            f"before-making {SLOT}",
            "RequireBlank",
            "Run",
            f"after-making {SLOT}",
            f"after-making {POOL}",
            f"before-use {POOL}",
            f"before-use {SLOT}",
            f"after-use {SLOT}",
            f"after-use {POOL}",
        ],
        f"format {STUFF}": [
            "RequireBlank",
            f"before-making {STUFF}",
            "RequireBlank",
            "Run",
            f"after-making {STUFF}",
            f"before-use {STUFF}",
            f"after-use {STUFF}",
        ],
        f"activate {USE}": [f"before-use {USE}", "Run", f"after-use {USE}"],
    }


def test_what_is_released_and_made_anew_has_those_of_both() -> None:
    there = machine(Found(disk("a")), *old_stack(name="new"), Found(Use(at="/mnt"), on=["250:1"]))
    wanted = scripted(wanted_pool(there, *disks_of(there), level=5), *EVERY)
    plan = schedule(there, wanted, registry=TOYS)
    released = [texts(each) for each in plan.actions if each.verb is Verb.DEACTIVATE]
    assert released[-1] == [
        f"before-release {SLOT}",
        f"before-release {POOL}",
        "Run",
        f"after-release {POOL}",
        f"after-release {SLOT}",
    ]
    assert not [each for each in plan.actions if each.verb is Verb.TEARDOWN and runs_script(each)]


def test_only_what_is_new_in_what_is_changed_has_one_run() -> None:
    there = machine(Found(disk("a")), *old_stack(name="new"))
    draft = Draft(there, take=disks_of(there))
    pool = draft.add(Pool(name="new", level=1), on=disks_of(there))
    draft.add(Stuff(label="precious"), on=[draft.add(Slot(name="s"), on=[pool])])
    draft.add(Stuff(), on=[draft.add(Slot(name="t"), on=[pool])])
    new = [script("toy.pool:new/t", moment) for moment in Moment] + [
        script("toy.pool:new/t/toy.stuff", Moment.AFTER_MAKING)
    ]
    plan = schedule(there, scripted(draft.wanted(), *EVERY, *new), registry=TOYS)
    assert {each.id: texts(each) for each in plan.actions} == {
        f"modify {POOL}": [
            "before-making toy.pool:new/t",
            "Run",
            "after-making toy.pool:new/t",
            "before-use toy.pool:new/t",
            "after-use toy.pool:new/t",
        ],
        "format toy.pool:new/t/toy.stuff": ["RequireBlank", "Run", "after-making toy.pool:new/t/toy.stuff"],
    }


def test_after_a_script_nothing_is_taken_for_blank_that_was_not_looked_at_again() -> None:
    node = Node(layer="a")
    proof, shell, make = RequireBlank(target=node), step_of(script("a", Moment.BEFORE_MAKING)), Run(argv=("mk", node))

    def proves(*steps: Step) -> bool:
        return Action(verb=Verb.FORMAT, target="x", summary="", steps=steps).proves_blank("a")

    assert proves(proof, make, shell)
    assert proves(proof, shell, proof, make)
    assert not proves(proof, shell, make)
    assert not proves(shell, make, proof)
    _, plan = world(*EVERY)
    for action in plan.actions[:2]:
        (device, *_) = plan.wanted.graph.devices(plan.wanted.graph[action.target])
        assert action.proves_blank(device.id)


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"), min_size=1))
def test_every_byte_is_in_the_digest(one: str, other: str) -> None:
    there = machine(Found(disk("a")))
    wanted = wanted_pool(there, *disks_of(there))
    digests = {
        text: consent_digest(scripted(wanted, script(POOL, Moment.AFTER_MAKING, text)), {}) for text in (one, other)
    }
    assert (digests[one] == digests[other]) is (one == other)
    assert consent_digest(wanted, {}) not in digests.values()


def test_the_moment_the_layer_and_the_order_are_in_the_digest() -> None:
    there = machine(Found(disk("a")))
    wanted = wanted_pool(there, *disks_of(there))
    one, two = script(POOL, Moment.AFTER_MAKING, "x"), script(POOL, Moment.BEFORE_USE, "x")
    several = [(one,), (two,), (one, two), (two, one), (script(STUFF, Moment.AFTER_MAKING, "x"),), ()]
    assert len({consent_digest(scripted(wanted, *each), {}) for each in several}) == len(several)


def test_a_consent_without_scripts_is_none_for_a_plan_with_them() -> None:
    _, without = world()
    made, plan = world(script(USE, Moment.AFTER_USE, "rm -rf /"))
    with pytest.raises(Refused, match="not for this plan"):
        run(made, plan, without.digest)
    assert made.did == []


@pytest.mark.parametrize("where", ["steps", "wanted", "both"])
def test_a_saved_plan_whose_script_was_altered_is_refused(where: str, tmp_path: Path) -> None:
    made, plan = world(script(STUFF, Moment.AFTER_MAKING, "echo kind"))
    document = json.loads(dump_plan(plan, registry=TOYS))
    assert json.dumps(document).count("echo kind") == 2
    part = {"steps": "actions", "wanted": "wanted"}.get(where)
    content = document["content"]
    for each in [part] if part else ["actions", "wanted"]:
        content[each] = json.loads(json.dumps(content[each]).replace("echo kind", "echo cruel"))
    altered = kept(json.dumps(document), tmp_path)
    with pytest.raises(Refused, match=r"edited|not for this plan"):
        run(made, altered, plan.digest)
    assert made.did == []
    assert run(made, kept(dump_plan(plan, registry=TOYS), tmp_path)).problem == ""
    assert "echo kind" in made.did


def test_a_second_run_runs_none() -> None:
    made, plan = world(*EVERY)
    assert run(made, plan).problem == ""
    never = {f"{moment} {USE}" for moment in (Moment.BEFORE_MAKING, Moment.AFTER_MAKING)}
    assert set(made.did) >= {each.text for each in EVERY if not each.moment.is_release} - never
    before = list(made.did)
    again = plan_for(made, plan.wanted)
    assert again.actions == ()
    assert run(made, again).actions == 0
    assert made.did == before


@pytest.mark.parametrize(
    ("layer", "moment"),
    [(STUFF, Moment.BEFORE_MAKING), (STUFF, Moment.AFTER_MAKING), (USE, Moment.BEFORE_USE), (USE, Moment.AFTER_USE)],
)
def test_one_that_fails_is_not_tried_again_but_runs_when_all_is_run_again(layer: str, moment: Moment) -> None:
    made, plan = world(*EVERY)
    made.failing = f"{moment} {layer}"
    with pytest.raises(Failed) as caught:
        run(made, plan)
    report = caught.value.report
    assert f"{made.failing} said so" in report.problem
    assert len(report.rounds) == 1
    assert report.rounds[0].failed.endswith(layer)
    assert made.did[-1] == made.failing
    assert report.advice.startswith("Whatever its scripts did aside, nothing beyond the disks")
    text, made.failing = made.failing, ""
    made.did.clear()
    again = plan_for(made, plan.wanted)
    assert run(made, again).problem == ""
    assert made.did.count(text) == 1
    assert not verify(plan.wanted, as_host(made), registry=TOYS)
    assert read_journal(as_host(made)).unfinished == ()
    assert plan_for(made, plan.wanted).actions == ()


def test_one_that_was_killed_after_the_mount_is_run_again_without_any_loss() -> None:
    made, plan = world(script(USE, Moment.AFTER_USE, "leave a trace"))
    made.failing = "leave a trace"
    with pytest.raises(Failed):
        run(made, plan)
    assert read_journal(as_host(made)).unfinished == (USE,)
    again = plan_for(made, plan.wanted)
    assert [each.id for each in again.actions] == [f"deactivate {USE}", f"activate {USE}"]
    assert not any(each for lost in again.losses().values() for each in lost if not each.ephemeral)


def test_what_loses_nothing_is_asked_whether_the_disks_are_the_same_if_a_script_is_in_it() -> None:
    made, plan = world(script(USE, Moment.BEFORE_USE))
    begin = f"activate {USE}"
    assert run(made, plan).problem == ""
    checks = [position for position, each in enumerate(made.done) if isinstance(each, CheckHeld)]
    use = next(
        position
        for position, each in enumerate(made.done)
        if isinstance(each, Run) and begin.split(maxsplit=1)[0] in each.argv
    )
    assert len(checks) == 3
    assert checks[-1] < use
    assert begin in made.did
    assert '"again":true' in made.files[JOURNAL]


def test_without_a_shell_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    made, plan = world(script(USE, Moment.AFTER_USE))
    monkeypatch.setattr(worlds, "TOOLS", {"toy": "/toy"})
    with pytest.raises(Refused, match="needs programs that are not here: bash"):
        run(made, plan)
    assert made.did == []


@pytest.mark.parametrize("text", [NASTY, "-", "-c", "+x", "--", "\n", "$1", "a\\"])
def test_a_script_is_one_word_to_the_byte(text: str, tmp_path: Path) -> None:
    step = step_of(script(POOL, Moment.AFTER_MAKING, text))
    assert step.argv == (*SHELL, text)
    assert text_of(step) == text
    made, plan = world(script(POOL, Moment.AFTER_MAKING, text))
    assert text in texts(kept(dump_plan(plan, registry=TOYS), tmp_path).actions[0])
    assert text in texts(plan.actions[0])
    assert run(made, plan).problem == ""
    assert text in made.did


def test_other_programs_are_no_scripts() -> None:
    assert text_of(Run(argv=("bash", "-c", "x"))) is None
    assert text_of(Run(argv=(*SHELL, Node(layer="x")))) is None
    assert text_of(Run(argv=SHELL)) is None
    assert text_of(RequireBlank(target=Node(layer="x"))) is None


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("echo ä '$x' \"%s\" *; false; echo no", 1, "ä $x %s *\n"),
        ("echo $unset; echo no", 1, ""),
        ("-x nothing", 127, ""),
        ("echo $0 $#", 0, "bash 0\n"),
    ],
)
def test_what_the_shell_makes_of_one(text: str, status: int, said: str, tmp_path: Path) -> None:
    argv = [str(each) for each in step_of(script(POOL, Moment.AFTER_MAKING, text)).argv]
    ran = subprocess.run(argv, capture_output=True, cwd=tmp_path, check=False)
    assert (ran.returncode, ran.stdout.decode()) == (status, said)


def test_what_only_mounts_and_unmounts_runs_those_of_that(tmp_path: Path) -> None:
    there = machine(Found(disk("a")), *old_stack(name="new"))
    wanted = scripted(wanted_pool(there, *disks_of(there)), *EVERY)
    made = Scripted(there, wanted)
    plan = schedule(probe(as_host(made), registry=TOYS), wanted, only={Verb.ACTIVATE}, registry=TOYS)
    assert [texts(each) for each in plan.actions] == [[f"before-use {USE}", "Run", f"after-use {USE}"]]
    assert run(made, kept(dump_plan(plan, registry=TOYS), tmp_path)).problem == ""
    ending = released(wanted, registry=TOYS)
    plan = schedule(probe(as_host(made), registry=TOYS), ending, only={Verb.DEACTIVATE}, registry=TOYS)
    assert texts(plan.actions[0]) == [f"before-release {USE}", "Run", f"after-release {USE}"]


def test_one_that_fails_while_mounting_runs_once_that_was_unmounted() -> None:
    there = machine(Found(disk("a")), *old_stack(name="new"))
    wanted = scripted(wanted_pool(there, *disks_of(there)), script(USE, Moment.AFTER_USE, "trace"))
    made = Scripted(there, wanted)
    made.failing = "trace"

    def use(*, end: bool = False) -> str:
        meant = released(wanted, registry=TOYS) if end else wanted
        only = {Verb.DEACTIVATE if end else Verb.ACTIVATE}
        plan = schedule(probe(as_host(made), registry=TOYS), meant, only=only, registry=TOYS)
        try:
            return run(made, plan).problem
        except Failed as failed:
            return failed.report.problem

    assert "trace said so" in use()
    made.failing = ""
    made.did.clear()
    with pytest.raises(Refused, match="was stopped while it was at work on this"):
        use()
    assert use(end=True) == ""
    assert use() == ""
    assert made.did.count("trace") == 1
    assert read_journal(as_host(made)).unfinished == ()
