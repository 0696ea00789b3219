"""Changing an array.

One that was assembled in part is started whole, one whose recovery is frozen is let go on, and one whose members have
grown takes that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mdraid.activate import ACTION, assembly, stopping
from pre_nixos.backends.mdraid.kinds import RECOVERY, STATE, Array
from pre_nixos.plugin import (
    WINDOW,
    Action,
    Node,
    Range,
    Replace,
    RequireSize,
    SetAttribute,
    Verb,
    Zero,
    for_kind,
    growth,
    hooks,
    human,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.modify, Array)
def change(old: Array, new: Array, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Say why it has to be made anew: md could reshape it, in hours and with a backup file, and this does not."""
    mismatches = new.mismatches(old)
    fields = {each.field for each in mismatches}
    if fields - {STATE, RECOVERY, "unused"}:
        return Replace(why="; ".join(str(each) for each in mismatches if each.field not in {RECOVERY, "unused"}))
    if RECOVERY in fields:  # only then does it show what is to be done, and md lets nothing grow before that is over
        free = SetAttribute(target=Node(layer=new.id), attribute=ACTION, value="idle")
        summary = f"let array {new.name} synchronise again, which is frozen"
        return [Action(verb=Verb.MODIFY, target=new.id, summary=summary, steps=(free,))]
    if old.unused:
        return [_growing(old, new, before, after)]
    steps = (*stopping(old), *assembly(old, before))
    return [
        Action(verb=Verb.MODIFY, target=new.id, summary=f"start array {new.name} with all its members", steps=steps)
    ]


def _growing(old: Array, new: Array, before: DeviceGraph, after: DeviceGraph) -> Action:
    """Grow an array, and clear where its end will lie: at least there, and never before where it ends now."""
    size = before.space(old)
    tail = Range(start=max(size, after.space(new) - WINDOW), length=2 * WINDOW)
    clearing = Zero(target=Node(layer=new.id), ranges=(tail,), added=True)
    return Action(
        verb=Verb.MODIFY,
        target=new.id,
        summary=f"grow array {new.name} by {human(old.unused)} of every member",
        # Somebody may have grown it since, and have put something where it ends now.
        steps=(
            RequireSize(target=Node(layer=new.id), size=size),
            *new.grown(after),
            clearing,
            *growth(new.id, before, after),
        ),
    )
