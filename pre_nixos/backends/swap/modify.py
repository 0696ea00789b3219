"""Changing swap in place: labels and UUIDs of areas, how devices and files are used, how large files are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.swap.activate import using_file
from pre_nixos.backends.swap.deactivate import ending
from pre_nixos.backends.swap.kinds import READY, Area, File, Use, using
from pre_nixos.plugin import Action, Grow, Node, Replace, RequireRoom, Run, Step, SwapOff, Verb, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.modify, Area)
def change(old: Area, new: Area, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Write another label, UUID or size. While it is in use nobody can, so that use ends, and begins again."""
    mismatches = new.mismatches(old)
    fields = {each.field for each in mismatches}
    if old.hibernated or not fields:
        # As long as a system sleeps in it there is no area in the way in which it could be changed.
        return Replace(why="; ".join(str(each) for each in mismatches))
    device = after.devices(new)[0]
    label = ("--label", new.label or "") if "label" in fields else ()
    uuid = ("--uuid", new.uuid or "") if "uuid" in fields else ()
    said = [f"label it {new.label}"] if label else []
    said += [f"give it the UUID {new.uuid}"] if uuid else []
    node = Node(layer=device.id)
    steps: list[Step] = [Run(argv=("swaplabel", *label, *uuid, node))] if said else []
    if "unused" in fields:
        said.append("take in all of it")
        steps.append(Grow(target=node, type=READY))
    used = [each for each in map(before.__getitem__, before.standing_on(old.id)) if isinstance(each, Use)]
    if used:
        use = after.get(used[0].id)
        again = using(use if isinstance(use, Use) else used[0], node)
        steps = [SwapOff(target=node), *steps, again]
    summary = f"change the swap on {after.called(device)}: {', '.join(said)}"
    return [Action(verb=Verb.MODIFY, target=new.id, summary=summary, steps=tuple(steps))]


@for_kind(hooks.modify, Use)
def use_otherwise(old: Use, new: Use, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Stop using a device and begin again; what is in it goes back to memory meanwhile."""
    del before
    device = after.devices(new)[0]
    node = Node(layer=device.id)
    said = "; ".join(str(each) for each in new.mismatches(old))
    summary = f"use {after.called(device)} as swap otherwise: {said}"
    steps = (SwapOff(target=node), using(new, node))
    return [Action(verb=Verb.MODIFY, target=new.id, summary=summary, steps=steps)]


@for_kind(hooks.modify, File)
def use_file_otherwise(old: File, new: File, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Stop using a file, and begin again, with another one in its place if it is to be of another size."""
    del before, after
    mismatches = new.mismatches(old)
    again = using_file(new)
    steps: tuple[Step, ...] = (ending(new), again)
    if any(each.field == "size" for each in mismatches):
        room = RequireRoom(path=again.path, size=again.size)
        steps = (room, ending(new), Run(argv=("rm", "--", new.place)), again)
    summary = f"use the file {new.place} as swap otherwise: {'; '.join(str(each) for each in mismatches)}"
    return [Action(verb=Verb.MODIFY, target=new.id, summary=summary, steps=steps)]
