"""Removing for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.clearing import cleared
from pre_nixos.backends.dmcrypt.kinds import Luks, Plain
from pre_nixos.plugin import MIB, TAIL, Action, Range, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph

HEADERS = Range(start=0, length=136 * MIB)
"""Both headers and every keyslot at the largest cryptsetup makes them: twice 4 MiB, and 128 MiB of keyslots."""


@for_kind(hooks.teardown, Luks)
def erase(layer: Luks, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both headers and every keyslot, also where a damaged header no longer says how far they reach."""
    return cleared(layer, graph, layer.describe(), (HEADERS, TAIL))


@for_kind(hooks.teardown, Plain)
def erase_plain(layer: Plain, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends, so that what is left does not look like data that somebody may want."""
    return cleared(layer, graph, layer.describe())
