"""Removing groups for good, without asking LVM: what is left of a damaged group goes the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.lvm.kinds import Group, Orphan
from pre_nixos.plugin import WINDOWS, Action, Node, RequireFree, Verb, Zero, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph, Layer, Step


@for_kind(hooks.teardown, Group)
def remove(layer: Group, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends of every device it stands on: labels, and both copies of the metadata, lie there."""
    return [_clearing(layer, graph, f"volume group {layer.name}")]


@for_kind(hooks.teardown, Orphan)
def remove_orphan(layer: Orphan, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends of its device."""
    return [_clearing(layer, graph, "a physical volume that is in no group")]


def _clearing(layer: Layer, graph: DeviceGraph, what: str) -> Action:
    devices = graph.devices(layer)
    nodes = [Node(layer=device.id) for device in devices]
    steps: list[Step] = [RequireFree(target=node) for node in nodes]
    steps += [Zero(target=node, ranges=WINDOWS) for node in nodes]
    named = ", ".join(graph.called(device) for device in devices)
    return Action(
        verb=Verb.TEARDOWN,
        target=layer.id,
        summary=f"remove {what} from {named}",
        steps=tuple(steps),
        destroys=(layer.id,),
    )
