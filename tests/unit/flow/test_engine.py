"""Somebody else's program makes what is wanted: one action, everything proven before, everything looked at after.

The program is a stand-in that is really started, with the arguments, environment and output of a real one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.flow.apply import apply
from pre_nixos.flow.outcome import Event, Failed, Refused, Said
from pre_nixos.flow.probe import probe
from pre_nixos.flow.schedule import schedule
from pre_nixos.flow.stopping import ROUNDS
from pre_nixos.flow.verify import verify
from pre_nixos.host.local import LocalHost
from pre_nixos.host.questions import LookAround
from pre_nixos.model.action import Verb
from pre_nixos.model.draft import Engine, Wanted
from pre_nixos.model.identity import Found
from pre_nixos.model.layer import State
from pre_nixos.model.machine import Machine
from pre_nixos.model.plan import Plan
from pre_nixos.model.step import (
    MIB,
    Node,
    Range,
    RequireBlank,
    RequireClear,
    RequireFree,
    Run,
    WriteFile,
    WriteTable,
    Zero,
)
from tests.unit.flow.test_schedule import TOYS, disks_of, old_stack, wanted_pool
from tests.unit.flow.world import World, as_host
from tests.unit.test_schemas import ROOT, built_in
from tests.unit.toys import Pool, disk, machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pre_nixos.host.api import Deed, Outcome
    from pre_nixos.host.questions import Question
    from pre_nixos.model.step import Step

STAND_IN = """#!/bin/sh
here=$(dirname "$0")
case "$*" in *--dry-run*) echo "$*" >> "$here/tried"; echo looking; . "$here/trial"; exit ;; esac
printf '%s\\n' "$*" "NIX_PATH=$NIX_PATH" "$(env | cut -d= -f1 | sort | tr '\\n' ' ')" >> "$here/asked"
echo "making tables"
echo "a warning" >&2
next=$(head -n 1 "$here/ends"); sed -i 1d "$here/ends"
case $next in
  hang) exec sleep 60 ;;
  fail) echo "mkfs: no space" >&2; exit 5 ;;
esac
printf 'mounting'
"""


class TheirWorld(World):
    """A world in which the program is started, and then has made what is wanted, or something else."""

    def __init__(self, there: Machine, wanted: Wanted) -> None:
        super().__init__(there, wanted)
        self.local = LocalHost()
        self.leaves: list[Callable[[], None]] = []
        """What is there after each start of the program, if it is not what is wanted."""

    def ask(self, question: Question[Any]) -> Any:
        answer = super().ask(question)
        if isinstance(question, LookAround):
            found = self.local.ask(question).tools
            return msgspec.structs.replace(answer, tools={**answer.tools, **found})
        return answer

    def listen(self, to: Callable[[str], None] | None) -> None:
        self.local.listen(to)

    def do(self, work: Step | Deed, places: Mapping[str, str], secrets: Mapping[str, str]) -> Outcome:
        if not isinstance(work, Run) or work.argv[0] != "env":
            return super().do(work, places, secrets)
        if "--dry-run" in work.argv:
            return self.local.do(work, places, secrets)
        self.done.append(work)
        outcome = self.local.do(work, places, secrets)
        if self.leaves:
            self.leaves.pop(0)()
        elif outcome.ok:
            self.graph = self._alive(self.graph.plus((each, self.wanted.graph.on(each.id)) for each in self.missing()))
        return outcome

    def missing(self) -> Sequence[Any]:
        return [each for each in self.wanted.graph.layers() if each.id not in self.graph]


class Bench:
    """A world, the program, and the plan to have it make a pool."""

    def __init__(self, directory: Path, *found: Found, ends: Sequence[str] = (), trial: str = ":", **more: Any) -> None:
        self.directory = directory
        self.program = directory / "disko"
        self.program.write_text(STAND_IN)
        self.program.chmod(0o755)
        (directory / "ends").write_text("".join(f"{each}\n" for each in ends))
        (directory / "trial").write_text(f"{trial}\n")
        program = ("env", "NIX_PATH=nixpkgs=/pkgs", str(self.program))
        path = "/logs/disko.nix"
        engine = Engine(
            name="disko",
            argv=(*program, "--mode", "all", path),
            path=path,
            content="{ }\n",
            trial=(*program, "--dry-run", path),
            **cast("dict[str, Any]", {"timeout": 20.0, **more}),
        )
        there = machine(Found(disk("a")), *found)
        self.wanted = msgspec.structs.replace(wanted_pool(there, *disks_of(there)), engine=engine)
        self.world = TheirWorld(there, self.wanted)
        self.events: list[Event] = []

    def plan(self) -> Plan:
        return schedule(probe(as_host(self.world), registry=TOYS), self.wanted, registry=TOYS)

    def run(self) -> pn.Report:
        plan = self.plan()
        return apply(plan, consent=plan.digest, host=as_host(self.world), registry=TOYS, observer=self.events.append)

    @property
    def asked(self) -> list[str]:
        return (self.directory / "asked").read_text().splitlines()[::3]

    @property
    def touched(self) -> Sequence[str]:
        """What was done to the world by anybody."""
        return [*self.world.did, *(self.asked if (self.directory / "asked").exists() else ())]

    @property
    def said(self) -> list[str]:
        return [each.text for each in self.events if isinstance(each, Said)]


def test_one_action_takes_the_place_of_all_that_make_and_use(tmp_path: Path) -> None:
    bench = Bench(tmp_path, *old_stack())
    plan = bench.plan()
    assert not plan.objections
    *before, handing = plan.actions
    assert {each.verb for each in before} == {Verb.DEACTIVATE, Verb.TEARDOWN}
    (one,) = disks_of(probe(as_host(bench.world), registry=TOYS))
    node = Node(layer=one.id)
    assert [type(each).__name__ for each in handing.steps] == [
        "RequireFree",
        "RequireBlank",
        "MakeDirectory",
        "WriteFile",
        "Run",
    ]
    assert handing.steps[:2] == (RequireFree(target=node), RequireBlank(target=node))
    assert handing.proves_blank(one.id)
    assert handing.touches == (one.id,)
    assert {handing.target, *handing.makes, one.id} == set(bench.wanted.graph)
    assert set(plan.result()) == set(bench.wanted.graph)


def test_who_agrees_agrees_to_the_description(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    plan = bench.plan()
    assert any(isinstance(step, WriteFile) and step.content == "{ }\n" for step in plan.actions[-1].steps)
    engine = bench.wanted.engine
    assert engine is not None
    other = msgspec.structs.replace(bench.wanted, engine=msgspec.structs.replace(engine, content="{ a = 1; }\n"))
    native = msgspec.structs.replace(bench.wanted, engine=None)
    machine_ = probe(as_host(bench.world), registry=TOYS)
    assert len({schedule(machine_, each, registry=TOYS).digest for each in (bench.wanted, other, native)}) == 3


def test_it_is_run_and_heard_and_what_it_made_is_looked_at(tmp_path: Path) -> None:
    bench = Bench(tmp_path, *old_stack())
    report = bench.run()
    assert report.problem == ""
    assert bench.asked == ["--mode all /logs/disko.nix"]
    environment = (tmp_path / "asked").read_text().splitlines()
    assert environment[1] == "NIX_PATH=nixpkgs=/pkgs"
    assert "SSH" not in environment[2]
    assert sorted(bench.said) == ["a warning", "looking", "making tables", "mounting"]
    assert bench.world.files["/logs/disko.nix"] == "{ }\n"
    assert not verify(bench.wanted, as_host(bench.world), registry=TOYS)
    # Assembly is held off meanwhile.
    assert bench.world.held_off == [False, True, False]
    assert bench.plan().actions == ()
    assert bench.run().actions == 0
    assert len(bench.asked) == 1


def left_behind(bench: Bench) -> Callable[[], None]:
    """Half a pool, of a name nobody asked for."""
    return lambda: bench.world.graft(machine(Found(disk("a")), *old_stack(name="new", uuid="uuid-half")))


def test_what_it_left_when_it_failed_is_removed_before_it_runs_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ends=["fail"])
    bench.world.leaves = [left_behind(bench)]
    report = bench.run()
    assert report.problem == ""
    first, second = report.rounds
    assert "status 5" in first.problem
    assert "mkfs: no space" in first.problem
    assert [each.verb for each in second.plan.actions] == [
        Verb.DEACTIVATE,
        Verb.TEARDOWN,
        Verb.FORMAT,
    ]
    assert len(bench.asked) == 2


class KilledError(BaseException):
    """What no handler expects."""


def test_a_run_that_was_killed_meanwhile_is_taken_up_again_by_the_same_consent(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    digest = bench.plan().digest

    def killed() -> None:
        left_behind(bench)()
        raise KilledError

    bench.world.leaves = [killed]
    with pytest.raises(KilledError):
        bench.run()
    plan = bench.plan()
    assert plan.digest != digest
    assert not plan.objections
    assert {Verb.TEARDOWN, Verb.FORMAT} <= {each.verb for each in plan.actions}
    report = apply(plan, consent=digest, host=as_host(bench.world), registry=TOYS)
    assert report.problem == ""
    assert len(bench.asked) == 2


def test_a_program_that_always_fails_is_not_run_for_ever(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ends=["fail"] * 9)
    bench.world.leaves = [left_behind(bench) for _ in range(9)]
    with pytest.raises(Failed, match="status 5") as failed:
        bench.run()
    assert 2 <= len(bench.asked) <= ROUNDS
    assert "Run the same command again" in failed.value.report.advice
    quick = Bench(tmp_path, ends=["fail"] * 9)
    with pytest.raises(Failed, match="status 5"):
        quick.run()


def test_a_program_that_hangs_is_stopped(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ends=["hang"] * 9, timeout=0.5)
    with pytest.raises(Failed, match=r"stopped after 0\.5 s without an end; it may have written"):
        bench.run()


def test_a_program_that_is_not_there_is_a_failure_in_words(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.program.unlink()
    with pytest.raises(Refused, match=r"needs programs that are not here: .*/disko\. Install them first"):
        bench.run()
    assert not bench.touched


def test_what_it_makes_otherwise_is_not_made_again_and_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    def another() -> None:
        pool = Pool(name="new", level=5, uuid="u", state=State.ACTIVE)
        bench.world.graft(machine(Found(disk("a")), Found(pool, on=["8:0"])))

    bench.world.leaves = [another]
    with pytest.raises(Failed, match="came to a good end, and what it made is not what is wanted"):
        bench.run()
    assert len(bench.asked) == 1


def test_what_is_only_to_be_used_is_not_handed_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run()
    bench.world.graph = bench.world.graph.without([each for each in bench.world.graph if each.endswith("/mnt")])
    plan = bench.plan()
    assert {each.verb for each in plan.actions} == {Verb.ACTIVATE}
    assert "disko" not in str(plan.actions)


def test_what_is_wanted_and_there_is_not_lost_to_it_unless_that_is_said(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run()
    graph = bench.wanted.graph
    second = Pool(name="second", level=1, id="toy.pool:second", state=State.ACTIVE)
    two = msgspec.structs.replace(bench.wanted, graph=graph.plus([(second, graph.on("toy.pool:new"))]))
    there = probe(as_host(bench.world), registry=TOYS)
    plan = schedule(there, two, registry=TOYS)
    assert ["disko makes everything on these disks or nothing" in str(each) for each in plan.objections] == [True]
    allowed = schedule(there, two.replacing("toy.pool:new"), registry=TOYS)
    assert not allowed.objections
    assert [each.verb for each in allowed.actions if each.target == "toy.pool:new"][-1] is Verb.FORMAT


def server(policy: str, options: Mapping[str, object], engine: Engine | None) -> Plan:
    there = pn.load_machine(str(ROOT / "tests/unit/machines/dirty-server.json"))
    wanted = pn.propose(there, policy, options, registry=built_in())
    return schedule(there, msgspec.structs.replace(wanted, engine=engine), registry=built_in())


ENGINE = Engine(name="disko", argv=("env", "disko", "/x.nix"), path="/x.nix", content="{ }\n")


def test_every_place_is_cleared_in_which_something_old_could_be_recognised() -> None:
    native = server("tiered", {"careful": True}, None)
    plan = server("tiered", {"careful": True}, ENGINE)
    assert not plan.objections
    (handing,) = [each for each in plan.actions if each.verb is Verb.FORMAT]
    assert {each.verb for each in plan.actions} == {Verb.DEACTIVATE, Verb.TEARDOWN, Verb.FORMAT}
    zones = {each.target.layer: each.ranges for each in handing.steps if isinstance(each, Zero)}
    assert set(zones) == set(handing.touches) == set(plan.wanted.takes)
    for action in native.actions:
        for step in action.steps:
            if isinstance(step, Zero) and step.target.layer in zones and action.verb is Verb.FORMAT:
                assert all(_within(each, zones[step.target.layer]) for each in step.ranges)
    for table in (step for action in native.actions for step in action.steps if isinstance(step, WriteTable)):
        for entry in table.entries:
            deep = Range(start=entry.start, length=min(entry.length, 146 * MIB))
            assert _within(deep, zones[table.target.layer])
    for disk_, ranges in zones.items():
        node = Node(layer=disk_)
        place = handing.steps.index(Zero(target=node, ranges=ranges))
        assert handing.steps[place - 2 : place] == (RequireFree(target=node), RequireBlank(target=node))
        assert handing.steps[place + 1] == RequireClear(target=node, ranges=ranges)
    assert set(plan.result()) == set(native.result())


def _within(piece: Range, ranges: Sequence[Range]) -> bool:
    return any(each.start <= piece.start and piece.start + piece.length <= each.start + each.length for each in ranges)


def test_a_secret_that_only_we_could_get_is_refused() -> None:
    options = {"disks": ["S45PNA0M51234a"], "firmware": "uefi"}
    asked = server("impermanence", options, ENGINE)
    assert ["disko reads keys from files alone" in str(each) for each in asked.objections] == [True]
    filed = server("impermanence", options | {"keys": ["file:/run/key"]}, ENGINE)
    assert not filed.objections


def test_a_plan_with_it_is_written_and_read(tmp_path: Path) -> None:
    from pre_nixos.flow.documents import dump_plan, load_plan

    plan = server("tiered", {}, ENGINE)
    file = tmp_path / "plan.json"
    file.write_bytes(dump_plan(plan, registry=built_in()))
    assert load_plan(str(file), registry=built_in()) == plan
    assert json.loads(file.read_text())["content"]["wanted"]["engine"]["name"] == "disko"
