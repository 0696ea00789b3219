"""Removing a btrfs for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.btrfs.kinds import Btrfs
from pre_nixos.plugin import MIB, WINDOWS, Action, Node, Range, RequireFree, Run, Verb, Zero, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph

MIRRORS = (Range(start=64 * MIB, length=4096), Range(start=256 * 1024 * MIB, length=4096))
"""Further copies of the superblock, which libblkid does not look at and recovery tools do."""


@for_kind(hooks.teardown, Btrfs)
def remove(layer: Btrfs, graph: DeviceGraph) -> Sequence[Action]:
    """Clear every copy of the superblock on every device, and make the kernel forget that they belonged together."""
    devices = graph.devices(layer)
    nodes = [Node(layer=each.id) for each in devices]
    # The kernel remembers devices of filesystems that have several, and can only forget what it remembers.
    forget = (
        (Run(argv=("btrfs", "device", "scan", *nodes)), Run(argv=("btrfs", "device", "scan", "--forget", *nodes)))
        if layer.devices > 1
        else ()
    )
    steps = (
        *(RequireFree(target=node) for node in nodes),
        *forget,
        *(Zero(target=node, ranges=(*WINDOWS, *MIRRORS)) for node in nodes),
    )
    summary = f"remove {layer.describe()} from {', '.join(graph.called(each) for each in devices)}"
    return [Action(verb=Verb.TEARDOWN, target=layer.id, summary=summary, steps=steps, destroys=(layer.id,))]
