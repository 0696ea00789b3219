"""Beginning to swap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.swap.kinds import File, Use, using
from pre_nixos.plugin import Action, Exact, Node, SwapToFile, Verb, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.activate, Use)
def switch_on(layer: Use, graph: DeviceGraph) -> Sequence[Action]:
    """Use the device below as swap."""
    device = graph.devices(layer)[0]
    step = using(layer, Node(layer=device.id))
    return [Action(verb=Verb.ACTIVATE, target=layer.id, summary=f"use {graph.called(device)} as swap", steps=(step,))]


@for_kind(hooks.activate, File)
def file_on(layer: File, graph: DeviceGraph) -> Sequence[Action]:
    """Use a file as swap, made whole if it is not there; what else may be at its place is left alone."""
    del graph
    summary = f"use the file {layer.place} as swap"
    return [Action(verb=Verb.ACTIVATE, target=layer.id, summary=summary, steps=(using_file(layer),))]


def using_file(file: File) -> SwapToFile:
    """Use a file as swap."""
    size = file.size.bytes if isinstance(file.size, Exact) else 0
    return SwapToFile(path=file.place, size=size, priority=file.priority)
