"""Changing swap in place: labels and UUIDs of areas, how devices and files are used, how large files are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.swap.activate import using, using_file
from pre_nixos.backends.swap.deactivate import ending
from pre_nixos.backends.swap.kinds import Area, File, Use
from pre_nixos.plugin import Action, Node, Replace, Run, Step, SwapOff, Verb, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.modify, Area)
def change(old: Area, new: Area, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Write another label or UUID, also while it is in use: the kernel has read them, and does not write them."""
    del before
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
    steps = (Run(argv=("swaplabel", *label, *uuid, Node(layer=device.id))),)
    summary = f"change the swap on {after.called(device)}: {', '.join(said)}"
    return [Action(verb=Verb.MODIFY, target=new.id, summary=summary, steps=steps)]


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
    remade = [Run(argv=("rm", "--", new.place))] if any(each.field == "size" for each in mismatches) else []
    steps: tuple[Step, ...] = (ending(new), *remade, using_file(new))
    summary = f"use the file {new.place} as swap otherwise: {'; '.join(str(each) for each in mismatches)}"
    return [Action(verb=Verb.MODIFY, target=new.id, summary=summary, steps=steps)]
