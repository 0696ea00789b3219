"""Changing an array: not yet in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mdraid.kinds import Array
from pre_nixos.plugin import Replace, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import Action, DeviceGraph


@for_kind(hooks.modify, Array)
def change(old: Array, new: Array, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Say why it has to be made anew: md could reshape it, in hours and with a backup file, and this does not."""
    del before, after
    return Replace(why="; ".join(str(each) for each in new.mismatches(old)))
