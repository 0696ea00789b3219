"""Removing an array for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mdraid.kinds import Array, Container
from pre_nixos.plugin import WINDOWS, Action, Node, RequireFree, Verb, Zero, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph, Layer, Step

MONITOR = "mdmon"
"""The program that keeps a container's metadata; it ends with the container."""


@for_kind(hooks.teardown, Array)
def remove(layer: Array, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends of every member: all versions of the superblock, and the bitmap, lie there."""
    return [_clearing(layer, graph, f"array {layer.name}")]


@for_kind(hooks.teardown, Container)
def remove_container(layer: Container, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends of every disk: the firmware's metadata is anchored at the end."""
    return [_clearing(layer, graph, f"the {layer.metadata} container and the arrays in it", served_by=(MONITOR,))]


def _clearing(layer: Layer, graph: DeviceGraph, what: str, *, served_by: tuple[str, ...] = ()) -> Action:
    devices = graph.devices(layer)
    nodes = [Node(layer=device.id) for device in devices]
    steps: list[Step] = [RequireFree(target=node, passing=served_by) for node in nodes]
    steps += [Zero(target=node, ranges=WINDOWS) for node in nodes]
    named = ", ".join(graph.called(device) for device in devices)
    return Action(
        verb=Verb.TEARDOWN,
        target=layer.id,
        summary=f"remove {what} from {named}",
        steps=tuple(steps),
        destroys=(layer.id,),
    )
