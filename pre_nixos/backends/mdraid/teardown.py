"""Removing an array for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.clearing import cleared
from pre_nixos.backends.mdraid.kinds import MONITOR, Array, Container
from pre_nixos.plugin import Action, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.teardown, Array)
def remove(layer: Array, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends of every member: all versions of the superblock, and the bitmap, lie there."""
    return cleared(layer, graph, f"array {layer.name}")


@for_kind(hooks.teardown, Container)
def remove_container(layer: Container, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends of every disk: the firmware's metadata is anchored at the end."""
    return cleared(layer, graph, f"the {layer.metadata} container and the arrays in it", served_by=(MONITOR,))
