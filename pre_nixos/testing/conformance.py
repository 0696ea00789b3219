"""What every plan must keep to, whoever's backends made its actions; for the tests of a plugin.

def test_my_backend() -> None:
plan = schedule(machine, wanted)
assert not faults_of(plan)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.model.action import Verb
from pre_nixos.model.difference import shortcomings
from pre_nixos.model.plan import BrokenPlan
from pre_nixos.model.step import Run, WriteTable, Zero, nodes_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pre_nixos.model.action import Action
    from pre_nixos.model.plan import Plan

KERNEL_NAME = re.compile(
    r"/dev/(?:[hsv]d[a-z]+\d*|x?vd[a-z]+\d*|nvme\d+(?:n\d+)?(?:p\d+)?|md\d+(?:p\d+)?|dm-\d+|loop\d+(?:p\d+)?|mmcblk\d+(?:p\d+)?)\b"
)
"""Paths that mean another device tomorrow."""
UDEV_LINK = re.compile(r"/dev/(?:disk|block)/")
"""Paths that mean whatever udev last made them mean."""


def faults_of(plan: Plan) -> Sequence[str]:
    """List everything in a plan that no plan may have; empty if it keeps to the rules."""
    return [*_of_its_actions(plan), *_of_its_end(plan)]


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
        if action.verb.loses_nothing and isinstance(step, Zero | WriteTable):
            yield f"{action.id} says it loses nothing, and has a step {type(step).__name__}"
        for word in step.argv if isinstance(step, Run) else ():
            if isinstance(word, str) and (KERNEL_NAME.search(word) or UDEV_LINK.search(word)):
                yield f"{action.id} has {word} on a command line: name the layer, as a Node"


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
