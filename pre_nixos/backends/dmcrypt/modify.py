"""Changing LUKS volumes in place: their name, their label, their size, and keys that are added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.dmcrypt.format import adding
from pre_nixos.backends.dmcrypt.kinds import Luks, resizing
from pre_nixos.plugin import Action, Await, Node, Replace, Run, Verb, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph, Step

IN_PLACE = frozenset({"mapper", "label", "keys", "unused"})


@for_kind(hooks.modify, Luks)
def change(old: Luks, new: Luks, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Change what can be changed while everything in it stays; for anything else it would be made anew."""
    del before
    mismatches = new.mismatches(old)
    fields = {each.field for each in mismatches}
    if not fields or not fields <= IN_PLACE or ("label" in fields and old.version != "2"):
        return Replace(why="; ".join(str(each) for each in mismatches))
    node = Node(layer=after.devices(new)[0].id)
    steps: list[Step] = []
    said: list[str] = []
    if "label" in fields:
        # The subsystem goes with the label in one order, and nobody said anything of it.
        steps.append(Run(argv=("cryptsetup", "config", "--batch-mode", "--label", new.label or "", node)))
        said.append(f"label it {new.label}")
    if "keys" in fields:
        steps += [adding(new, new.keys[0], each, node) for each in new.keys[old.slots :]]
        said.append(f"give it {len(new.keys) - old.slots} more of its {len(new.keys)} keys")
    if "mapper" in fields:
        steps += [
            Run(argv=("dmsetup", "rename", "--", old.mapper or "", new.mapper or "")),
            Await(target=Node(layer=new.id)),
        ]
        said.append(f"rename {old.mapper} to {new.mapper}")
    if "unused" in fields:
        steps.append(resizing(new))
        said.append("grow it to all of its device")
    on = after.called(after.devices(new)[0])
    summary = f"change LUKS{old.version or ''} on {on}: {', '.join(said)}"
    return [Action(verb=Verb.MODIFY, target=new.id, summary=summary, steps=tuple(steps))]
