"""Removing for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.dmcrypt.kinds import Luks, Plain
from pre_nixos.plugin import MIB, TAIL, WINDOWS, Action, Node, Range, RequireFree, Verb, Zero, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph

HEADERS = Range(start=0, length=136 * MIB)
"""Both headers and every keyslot at the largest cryptsetup makes them: twice 4 MiB, and 128 MiB of keyslots."""


@for_kind(hooks.teardown, Luks)
def erase(layer: Luks, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both headers and every keyslot, also where a damaged header no longer says how far they reach."""
    return _cleared(layer, graph, (HEADERS, TAIL))


@for_kind(hooks.teardown, Plain)
def erase_plain(layer: Plain, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends, so that what is left does not look like data that somebody may want."""
    return _cleared(layer, graph, WINDOWS)


def _cleared(layer: Luks | Plain, graph: DeviceGraph, ranges: tuple[Range, ...]) -> Sequence[Action]:
    devices = graph.devices(layer)
    nodes = [Node(layer=each.id) for each in devices]
    free = [RequireFree(target=node) for node in nodes]
    clear = [Zero(target=node, ranges=ranges) for node in nodes]
    summary = f"remove {layer.describe()} from {', '.join(graph.called(each) for each in devices)}"
    return [Action(verb=Verb.TEARDOWN, target=layer.id, summary=summary, steps=(*free, *clear), destroys=(layer.id,))]
