"""Making areas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.swap.kinds import Area, making
from pre_nixos.plugin import Action, Node, RequireBlank, RequireFree, Verb, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.format, Area)
def make(layer: Area, graph: DeviceGraph) -> Sequence[Action]:
    """Run mkswap on a device that was just proven blank."""
    device = graph.devices(layer)[0]
    node = Node(layer=device.id)
    steps = (RequireFree(target=node), RequireBlank(target=node), making(layer, node))
    named = f" labelled {layer.label}" if layer.label else ""
    return [
        Action(verb=Verb.FORMAT, target=layer.id, summary=f"make swap{named} on {graph.called(device)}", steps=steps)
    ]
