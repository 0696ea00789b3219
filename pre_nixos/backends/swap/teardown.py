"""Removing areas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.swap.kinds import Area
from pre_nixos.plugin import WINDOWS, Action, Node, RequireFree, Verb, Zero, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.teardown, Area)
def remove(layer: Area, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends of the device, and read them back."""
    device = graph.devices(layer)[0]
    node = Node(layer=device.id)
    return [
        Action(
            verb=Verb.TEARDOWN,
            target=layer.id,
            summary=f"remove {layer.describe()} from {graph.called(device)}",
            steps=(RequireFree(target=node), Zero(target=node, ranges=WINDOWS)),
            destroys=(layer.id,),
        )
    ]
