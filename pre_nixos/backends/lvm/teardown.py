"""Removing groups for good, without asking LVM: what is left of a damaged group goes the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.clearing import cleared
from pre_nixos.backends.lvm.kinds import Group, Orphan
from pre_nixos.plugin import Action, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.teardown, Group)
def remove(layer: Group, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends of every device it stands on: labels, and both copies of the metadata, lie there."""
    return cleared(layer, graph, f"volume group {layer.name}")


@for_kind(hooks.teardown, Orphan)
def remove_orphan(layer: Orphan, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends of its device."""
    return cleared(layer, graph, "a physical volume that is in no group")
