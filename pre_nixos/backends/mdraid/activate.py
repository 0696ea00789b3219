"""Assembling and stopping arrays, which loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mdraid.format import path_of
from pre_nixos.backends.mdraid.health import AT_WORK, FROZEN
from pre_nixos.backends.mdraid.kinds import Array, Container, Subarray
from pre_nixos.plugin import Action, Await, Node, Run, SetAttribute, Verb, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph, Layer, Step

PATIENCE = 15.0
"""Seconds."""
ACTION = "md/sync_action"
"""Where the kernel says what it does to an array beside its work, and is told."""


@for_kind(hooks.activate, Array)
def assemble(layer: Array, graph: DeviceGraph) -> Sequence[Action]:
    """Assemble it from the members it stands on, and from no others."""
    return [
        Action(
            verb=Verb.ACTIVATE, target=layer.id, summary=f"assemble array {layer.name}", steps=assembly(layer, graph)
        )
    ]


def assembly(layer: Array, graph: DeviceGraph) -> tuple[Step, ...]:
    """Give the steps that assemble an array.

    All of its members must be there when it is done; one that was known to be incomplete when this was planned is
    started so.
    """
    devices = graph.devices(layer)
    argv = ["mdadm", "--assemble", path_of(layer), "--config=none"]
    argv += [f"--uuid={layer.uuid}"] if layer.uuid else []
    argv += ["--run"] if layer.members is not None and len(devices) < layer.members else []
    return (
        Run(argv=(*argv, *(Node(layer=each.id) for each in devices))),
        Await(target=Node(layer=layer.id)),
    )


@for_kind(hooks.deactivate, Array)
def stop(layer: Array, graph: DeviceGraph) -> Sequence[Action]:
    """Stop it; recovery that runs is frozen first, for it can hold up the end.

    Whether it runs is told by then, not now: it ends by itself, and the plan is the same.
    """
    del graph
    freeze: tuple[Step, ...] = ()
    if layer.raid.is_redundant:
        at_work = tuple(sorted(AT_WORK))
        freeze = (SetAttribute(target=Node(layer=layer.id), attribute=ACTION, value=FROZEN, instead_of=at_work),)
    steps = (*freeze, *stopping(layer))
    return [Action(verb=Verb.DEACTIVATE, target=layer.id, summary=f"stop array {layer.name}", steps=steps)]


@for_kind(hooks.deactivate, Container)
def stop_container(layer: Container, graph: DeviceGraph) -> Sequence[Action]:
    """Stop the arrays in it, then it."""
    inside = graph.parts_of_kind(layer, Subarray)
    steps = tuple(step for each in [*inside, layer] for step in stopping(each))
    summary = f"stop the {layer.metadata} container and what is in it"
    return [Action(verb=Verb.DEACTIVATE, target=layer.id, summary=summary, steps=steps)]


def stopping(layer: Layer) -> tuple[Step, ...]:
    """Give the steps that stop what has a node."""
    node = Node(layer=layer.id)
    # What keeps an array from stopping does not go away by waiting. Where its monitor was faster, mdadm fails at an
    # array that has stopped.
    return (
        Run(argv=("mdadm", "--stop", node), timeout=PATIENCE, ends=node),
        Await(target=node, present=False, timeout=PATIENCE),
    )
