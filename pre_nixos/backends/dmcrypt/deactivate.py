"""Closing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.dmcrypt.kinds import Luks, Plain
from pre_nixos.plugin import Action, Await, Node, RequireFree, Run, Verb, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.deactivate, Luks)
def close(layer: Luks, graph: DeviceGraph) -> Sequence[Action]:
    """Close it; its key leaves the kernel's memory."""
    return _close(layer, layer.mapper or "", graph)


@for_kind(hooks.deactivate, Plain)
def close_plain(layer: Plain, graph: DeviceGraph) -> Sequence[Action]:
    """Close it; its key leaves the kernel's memory."""
    return _close(layer, layer.mapper or "", graph)


def _close(layer: Luks | Plain, mapper: str, graph: DeviceGraph) -> Sequence[Action]:
    node = Node(layer=layer.id)
    below = ", ".join(graph.called(each) for each in graph.under(layer)) or "nothing"
    # One that stands still cannot be opened to see whether it is free; cryptsetup refuses if it is not.
    free = () if layer.suspended else (RequireFree(target=node),)
    steps = (*free, Run(argv=("cryptsetup", "close", "--", mapper)), Await(target=node, present=False))
    return [Action(verb=Verb.DEACTIVATE, target=layer.id, summary=f"close {mapper} on {below}", steps=steps)]
