"""Making a btrfs with all its subvolumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.arguments import harmless
from pre_nixos.backends.btrfs.kinds import OPTIONS, Btrfs, Subvolume, in_order
from pre_nixos.plugin import (
    Action,
    MakeSubvolumes,
    NewSubvolume,
    Node,
    RequireBlank,
    RequireFree,
    Run,
    Verb,
    for_kind,
    hooks,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph, Step


@for_kind(hooks.format, Btrfs)
def make(layer: Btrfs, graph: DeviceGraph) -> Sequence[Action]:
    """Prove every device blank, make the filesystem, then all subvolumes at once."""
    devices = graph.devices(layer)
    nodes = [Node(layer=each.id) for each in devices]
    said = {"-L": layer.label, "-U": layer.uuid, "-d": layer.data, "-m": layer.metadata}
    how = [word for option, value in said.items() if value is not None for word in (option, value)]
    steps: list[Step] = [
        *(RequireFree(target=node) for node in nodes),
        *(RequireBlank(target=node) for node in nodes),
        # The devices were proven blank, so forcing overrides nothing.
        Run(argv=("mkfs.btrfs", "-q", "-f", *how, *nodes, *harmless(layer.arguments, OPTIONS))),
    ]
    parts = graph.parts_of_kind(layer, Subvolume)
    if parts:
        steps.append(making(parts, nodes[0]))
    label = f" labelled {layer.label}" if layer.label else ""
    inside = f" with {', '.join(each.name for each in parts)}" if parts else ""
    summary = f"make btrfs{label}{inside} on {', '.join(graph.called(each) for each in devices)}"
    return [Action(verb=Verb.FORMAT, target=layer.id, summary=summary, steps=tuple(steps))]


def making(subvolumes: Sequence[Subvolume], node: Node) -> MakeSubvolumes:
    """Make some subvolumes in a filesystem that is there."""
    new = tuple(
        NewSubvolume(path=each.name, origin=each.origin, read_only=bool(each.read_only))
        for each in in_order(subvolumes)
    )
    return MakeSubvolumes(target=node, subvolumes=new)
