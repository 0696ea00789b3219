"""Removing what is known by nothing but its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import WINDOWS, Action, Node, RequireFree, Verb, Zero

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph, Layer, Range


def cleared(
    layer: Layer,
    graph: DeviceGraph,
    what: str,
    ranges: tuple[Range, ...] = WINDOWS,
    *,
    served_by: tuple[str, ...] = (),
) -> Sequence[Action]:
    """Clear these ranges of every device it stands on, once all of them are free, and read them back.

    The programs that serve it end with it, and are waited for.
    """
    devices = graph.devices(layer)
    nodes = [Node(layer=each.id) for each in devices]
    free = [RequireFree(target=node, passing=served_by) for node in nodes]
    clear = [Zero(target=node, ranges=ranges) for node in nodes]
    summary = f"remove {what} from {', '.join(graph.called(each) for each in devices)}"
    return [Action(verb=Verb.TEARDOWN, target=layer.id, summary=summary, steps=(*free, *clear), destroys=(layer.id,))]
