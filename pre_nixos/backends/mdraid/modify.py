"""Changing an array: one that was assembled in part is started whole, anything else is not yet done in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mdraid.activate import assembly, stopping
from pre_nixos.backends.mdraid.kinds import STATE, Array
from pre_nixos.plugin import Action, Replace, Verb, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.modify, Array)
def change(old: Array, new: Array, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Say why it has to be made anew: md could reshape it, in hours and with a backup file, and this does not."""
    del after
    mismatches = new.mismatches(old)
    if any(each.field != STATE for each in mismatches):
        return Replace(why="; ".join(str(each) for each in mismatches))
    steps = (*stopping(old), *assembly(old, before))
    return [
        Action(verb=Verb.MODIFY, target=new.id, summary=f"start array {new.name} with all its members", steps=steps)
    ]
