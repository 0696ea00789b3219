"""Removing areas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.clearing import cleared
from pre_nixos.backends.swap.kinds import Area
from pre_nixos.plugin import Action, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.teardown, Area)
def remove(layer: Area, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends of the device, and read them back."""
    return cleared(layer, graph, layer.describe())
