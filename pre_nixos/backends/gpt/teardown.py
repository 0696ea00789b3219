"""Removing a table and its partitions, so that nothing of what was in them comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.gpt.format import landing_zones, placed
from pre_nixos.backends.gpt.kinds import Partition, Table
from pre_nixos.plugin import WINDOWS, Action, Node, RequireFree, Step, Verb, WriteTable, Zero, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph, Layer, Range


@for_kind(hooks.teardown, Table)
def remove(layer: Table, graph: DeviceGraph) -> Sequence[Action]:
    """Take the partitions out of the kernel, then clear both ends of each, and of the disk."""
    parts = graph.parts_of_kind(layer, Partition)
    device = graph.devices(layer)[0]
    count = "1 partition" if len(parts) == 1 else f"{len(parts)} partitions"
    return [
        Action(
            verb=Verb.TEARDOWN,
            target=layer.id,
            summary=f"remove the GPT with {count} from {device.title}",
            steps=removal(device, landing_zones(placed(parts))),
            destroys=(layer.id, *(each.id for each in parts)),
        )
    ]


def removal(device: Layer, zones: tuple[Range, ...]) -> tuple[Step, ...]:
    """Give the steps that remove a partition table of any kind, given where its partitions begin and end.

    Writing an empty table is what takes the old partitions out of the kernel; a busy one stops it before anything is
    written.
    """
    node = Node(layer=device.id)
    steps: list[Step] = [RequireFree(target=node)]
    if "partition" not in (device.mark() or {}):
        steps.append(WriteTable(target=node))
    if zones:
        steps.append(Zero(target=node, ranges=zones))
    return (*steps, Zero(target=node, ranges=WINDOWS))
