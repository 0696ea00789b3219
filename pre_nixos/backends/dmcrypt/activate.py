"""Opening LUKS volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.dmcrypt.kinds import Luks
from pre_nixos.plugin import Action, Await, Node, Run, Secret, Verb, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph, Step


@for_kind(hooks.activate, Luks)
def open_volume(layer: Luks, graph: DeviceGraph) -> Sequence[Action]:
    """Open it with its first key."""
    device = graph.devices(layer)[0]
    steps = tuple(opening(layer, Node(layer=device.id)))
    summary = f"open {layer.describe().partition(',')[0]} on {graph.called(device)} as {layer.mapper}"
    return [Action(verb=Verb.ACTIVATE, target=layer.id, summary=summary, steps=steps)]


def opening(layer: Luks, node: Node) -> Sequence[Step]:
    """Give the steps that open it."""
    how = ("--allow-discards",) if layer.allow_discards else ()
    if layer.bypass_workqueues:
        how = (*how, "--perf-no_read_workqueue", "--perf-no_write_workqueue")
    # Of what was added to its header since, such as a token, nothing is to be tried instead of the key.
    argv = ("cryptsetup", "open", "--type", "luks", *how, "--key-file", "-", *layer.open_arguments)
    return [
        Run(argv=(*argv, "--", node, layer.mapper or ""), stdin=Secret(reference=(layer.keys or ("",))[0])),
        Await(target=Node(layer=layer.id)),
    ]
