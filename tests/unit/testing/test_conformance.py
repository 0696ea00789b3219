"""Real machines, real backends: every plan keeps to the rules, and a plan that does not is caught."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.flow.documents import MACHINE, dump_machine, dump_plan
from pre_nixos.hooks.registry import installed
from pre_nixos.model.action import Action, Verb
from pre_nixos.model.codec import decode
from pre_nixos.model.step import Discard, Node, Run, Step, WriteTable, Zero
from pre_nixos.testing import faults_of

MACHINES = sorted((Path(__file__).parents[1] / "machines").glob("*.json"))


def plan_for(machine: pn.Machine, **options: object) -> pn.Plan:
    return pn.schedule(machine, pn.propose(machine, "tiered", options))


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.stem)
@pytest.mark.parametrize("careful", [False, True])
def test_plans_for_real_machines_keep_to_the_rules(path: Path, careful: bool) -> None:  # noqa: FBT001 - a parameter
    plan = plan_for(pn.load_machine(str(path)), careful=careful)
    assert plan.actions
    assert not faults_of(plan)


def shuffled(machine: pn.Machine) -> pn.Machine:
    """Give the same machine after a boot in which every kernel name and number came out differently."""
    text = dump_machine(machine).decode()
    names = sorted(set(re.findall(r'"name": "((?:sd|nvme|md|dm-)[a-z0-9-]*)"', text)))
    numbers = sorted(set(re.findall(r'"number": "([0-9]+:[0-9]+)"', text)))
    new_names = dict(zip(names, [f"zz{count}" for count in reversed(range(len(names)))], strict=True))
    new_numbers = dict(zip(numbers, [f"99:{count}" for count in reversed(range(len(numbers)))], strict=True))
    text = re.sub(r'"name": "((?:sd|nvme|md|dm-)[a-z0-9-]*)"', lambda found: f'"name": "{new_names[found[1]]}"', text)
    text = re.sub(r'"number": "([0-9]+:[0-9]+)"', lambda found: f'"number": "{new_numbers[found[1]]}"', text)
    text = re.sub(r'"diskseq": [0-9]+', '"diskseq": 77', text)
    return decode(text.encode(), pn.Machine, format=MACHINE, kinds=installed().kinds)


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.stem)
def test_other_kernel_names_give_the_same_plan_byte_for_byte(path: Path) -> None:
    machine = pn.load_machine(str(path))
    other = shuffled(machine)
    assert dump_machine(other) != dump_machine(machine)
    assert dump_plan(plan_for(other)) == dump_plan(plan_for(machine))


def spoiled(plan: pn.Plan, verb: Verb, *steps: Step, touches: tuple[str, ...] = ()) -> pn.Plan:
    """Give the plan with other steps in its first action of this verb."""

    def spoil(action: Action) -> Action:
        return msgspec.structs.replace(action, steps=steps, touches=touches or action.touches)

    first = next(position for position, each in enumerate(plan.actions) if each.verb is verb)
    actions = [spoil(each) if position == first else each for position, each in enumerate(plan.actions)]
    return msgspec.structs.replace(plan, actions=tuple(actions))


@pytest.fixture
def plan() -> pn.Plan:
    return plan_for(pn.load_machine(str(MACHINES[0])))


@pytest.mark.parametrize(
    "path", ["/dev/sda1", "/dev/md127", "/dev/nvme0n1p2", "/dev/dm-3", "/dev/disk/by-partlabel/esp"]
)
def test_a_path_of_the_day_is_a_fault(plan: pn.Plan, path: str) -> None:
    assert any(path in each for each in faults_of(spoiled(plan, Verb.ACTIVATE, Run(argv=("mount", path)))))


def test_a_format_without_proof_is_a_fault(plan: pn.Plan) -> None:
    assert any("without having proved" in each for each in faults_of(spoiled(plan, Verb.FORMAT)))


def test_writing_before_the_proof_is_a_fault(plan: pn.Plan) -> None:
    made = next(each for each in plan.actions if each.verb is Verb.FORMAT)
    backwards = tuple(reversed(made.steps))
    assert any("without having proved" in each for each in faults_of(spoiled(plan, Verb.FORMAT, *backwards)))


@pytest.mark.parametrize("step", [Zero, WriteTable])
def test_destroying_where_nothing_is_to_be_lost_is_a_fault(plan: pn.Plan, step: type[Zero | WriteTable]) -> None:
    node = Node(layer=plan.wanted.takes[0])
    written: Step = Zero(target=node, ranges=()) if step is Zero else WriteTable(target=node)
    assert any("loses nothing" in each for each in faults_of(spoiled(plan, Verb.DEACTIVATE, written)))


def test_a_program_that_its_plugin_does_not_name_is_a_fault(plan: pn.Plan) -> None:
    table = next(each for each in plan.actions if each.target.endswith("/gpt") and each.verb is Verb.FORMAT)
    alone = msgspec.structs.replace(plan, actions=(table,), edges=())
    fault = f"{table.id} runs mkvault, which plugin gpt does not name: add it to Backend(tools=[...])"
    assert fault in faults_of(spoiled(alone, Verb.FORMAT, *table.steps, Run(argv=("mkvault",))))
    assert fault not in faults_of(alone)
    assert fault in faults_of(spoiled(alone, Verb.FORMAT, *table.steps, Run(argv=("env", "LANG=C", "mkvault"))))


def test_making_what_is_said_to_be_activated_only_is_a_fault(plan: pn.Plan) -> None:
    made = next(each for each in plan.actions if each.verb is Verb.FORMAT)
    actions = [msgspec.structs.replace(each, verb=Verb.ACTIVATE) if each is made else each for each in plan.actions]
    faults = faults_of(msgspec.structs.replace(plan, actions=tuple(actions)))
    assert f"{made.target} is to be made, and no action with verb=Verb.FORMAT does so" in faults
    assert not [each for each in faults_of(plan) if "is to be made" in each]


def test_discarding_where_nothing_is_to_be_lost_is_a_fault(plan: pn.Plan) -> None:
    step = Discard(target=Node(layer=plan.wanted.takes[0]))
    assert any("has a step Discard" in each for each in faults_of(spoiled(plan, Verb.ACTIVATE, step)))


def test_a_layer_from_nowhere_is_a_fault(plan: pn.Plan) -> None:
    assert any(
        "neither there" in each for each in faults_of(spoiled(plan, Verb.ACTIVATE, Run(argv=(Node(layer="x"),))))
    )


def test_a_disk_that_was_not_taken_is_a_fault(plan: pn.Plan) -> None:
    assert any("not taken: disk:x" in each for each in faults_of(spoiled(plan, Verb.TEARDOWN, touches=("disk:x",))))


def test_the_wrong_order_is_a_fault(plan: pn.Plan) -> None:
    backwards = msgspec.structs.replace(plan, actions=tuple(reversed(plan.actions)))
    assert any("comes after" in each for each in faults_of(backwards))
    assert any("do not fit together" in each for each in faults_of(backwards))
