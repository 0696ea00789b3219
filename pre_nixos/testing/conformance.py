"""What every plan must keep to, whoever's backends made its actions; for the tests of a plugin.

def test_my_backend() -> None:
plan = pre_nixos.schedule(machine, wanted)
assert not faults_of(plan)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.hooks.registry import installed
from pre_nixos.model.action import Verb
from pre_nixos.model.difference import shortcomings
from pre_nixos.model.plan import BrokenPlan
from pre_nixos.model.script import text_of
from pre_nixos.model.step import Discard, Run, WriteTable, Zero, nodes_in, programs_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pre_nixos.hooks.registry import Registry
    from pre_nixos.model.action import Action
    from pre_nixos.model.plan import Plan

KERNEL_NAME = re.compile(
    r"/dev/(?:[hsv]d[a-z]+\d*|x?vd[a-z]+\d*|nvme\d+(?:n\d+)?(?:p\d+)?|md\d+(?:p\d+)?|dm-\d+|loop\d+(?:p\d+)?|mmcblk\d+(?:p\d+)?)\b"
)
"""Paths that mean another device tomorrow."""
UDEV_LINK = re.compile(r"/dev/(?:disk|block)/")
"""Paths that mean whatever udev last made them mean."""


def faults_of(plan: Plan, *, registry: Registry | None = None) -> Sequence[str]:
    """List everything in a plan that no plan may have; empty if it keeps to the rules.

    The registry is the one the plan was made with, if that is not everything that is installed.
    """
    registry = registry or installed()
    return [*_of_its_actions(plan), *_of_its_programs(plan, registry), *_of_what_is_made(plan), *_of_its_end(plan)]


def _of_its_actions(plan: Plan) -> Iterator[str]:
    released = False
    removed = False
    for action in plan.actions:
        yield from _of_action(action, plan)
        if action.verb is Verb.DEACTIVATE and released:
            yield f"{action.id} comes after something was removed or made"
        if action.verb is Verb.TEARDOWN and removed:
            yield f"{action.id} comes after something was made"
        released = released or action.verb is not Verb.DEACTIVATE
        removed = removed or action.verb not in {Verb.DEACTIVATE, Verb.TEARDOWN}
    for first, second in plan.edges:
        if first >= second:
            yield f"action {second} needs action {first}, which does not come before it"


def _of_action(action: Action, plan: Plan) -> Iterator[str]:
    strangers = set(action.touches) - set(plan.wanted.takes)
    if strangers:
        yield f"{action.id} touches disks that were not taken: {', '.join(sorted(strangers))}"
    if action.verb is Verb.FORMAT:
        for device in plan.wanted.graph.devices(plan.wanted.graph[action.target]):
            if not action.proves_blank(device.id):
                yield f"{action.id} writes to {device.id} without having proved it blank"
    yield from _of_steps(action, plan)


def _of_steps(action: Action, plan: Plan) -> Iterator[str]:
    for step in action.steps:
        for layer in nodes_in(step):
            if layer not in plan.before and layer not in plan.wanted.graph:
                yield f"{action.id} names {layer}, which is neither there nor wanted"
        if action.verb.loses_nothing and isinstance(step, Zero | WriteTable | Discard):
            yield f"{action.id} says it loses nothing, and has a step {type(step).__name__}"
        for word in step.argv if isinstance(step, Run) else ():
            if isinstance(word, str) and (KERNEL_NAME.search(word) or UDEV_LINK.search(word)):
                yield f"{action.id} has {word} on a command line: name the layer, as a Node"


def _of_its_programs(plan: Plan, registry: Registry) -> Iterator[str]:
    """A machine without a program is told so before anything begins, if only its owner has named that program."""
    for action in plan.actions:
        graph = plan.before if action.verb.looks_back else plan.wanted.graph
        if action.target not in graph:
            continue
        owner = registry.owners.get(graph[action.target].kind)
        # What stands on something that grows grows with it, by its own owner's programs.
        kinds = {graph[each].kind for each in (action.target, *graph.above(action.target))}
        named = {tool for kind in kinds if kind in registry.owners for tool in registry.tools[registry.owners[kind]]}
        steps = [step for step in action.steps if text_of(step) is None]
        for program in dict.fromkeys(program for step in steps for program in programs_in(step)):
            if owner is not None and program not in named:
                yield f"{action.id} runs {program}, which plugin {owner} does not name: add it to Backend(tools=[...])"


def _of_what_is_made(plan: Plan) -> Iterator[str]:
    """Guards are asked, and what goes is read once more, before what says that it makes something; else not."""
    graph = plan.wanted.graph
    if plan.objections or plan.wanted.engine is not None or Verb.FORMAT not in plan.only:
        return
    made = {each for action in plan.actions if action.verb is Verb.FORMAT for each in (action.target, *action.makes)}
    for id_, verdict in plan.reasons.items():
        layer = graph.get(id_)
        if layer is None or not verdict.fate.makes or layer.ephemeral or id_ in made:
            continue
        if graph.container(layer) is None:
            yield f"{id_} is to be made, and no action with verb=Verb.FORMAT does so"


def _of_its_end(plan: Plan) -> Iterator[str]:
    if plan.objections:
        return
    try:
        end = plan.result()
    except BrokenPlan as error:
        yield f"its actions do not fit together: {error}"
        return
    if not plan.looks_again:
        yield from (f"at its end, {each}" for each in shortcomings(end, plan.wanted))
