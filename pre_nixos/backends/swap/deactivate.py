"""Ending it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.swap.kinds import File, Use
from pre_nixos.plugin import Action, Node, Run, SwapOff, Verb, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.deactivate, Use)
def switch_off(layer: Use, graph: DeviceGraph) -> Sequence[Action]:
    """Stop using the device below as swap; what is in it goes back to memory."""
    device = graph.devices(layer)[0]
    step = SwapOff(target=Node(layer=device.id))
    summary = f"stop using {graph.called(device)} as swap"
    return [Action(verb=Verb.DEACTIVATE, target=layer.id, summary=summary, steps=(step,))]


@for_kind(hooks.deactivate, File)
def file_off(layer: File, graph: DeviceGraph) -> Sequence[Action]:
    """Stop using a file as swap."""
    del graph
    summary = f"stop using the file {layer.place} as swap"
    return [Action(verb=Verb.DEACTIVATE, target=layer.id, summary=summary, steps=(ending(layer),))]


def ending(file: File) -> Run:
    """Stop using a file; what is in it goes back to memory."""
    return Run(argv=("swapoff", file.place))
