"""Changing encrypted devices in place: names, labels, sizes, keys that are added, and how they are open.

What speaks against that is a reason to make one anew, which loses what is in it. So whatever only concerns how it is
open must be among what is changed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pre_nixos.backends.dmcrypt.activate import options
from pre_nixos.backends.dmcrypt.format import PATIENCE, adding, cost
from pre_nixos.backends.dmcrypt.kinds import Luks, Plain, resizing
from pre_nixos.plugin import Action, Await, Node, Replace, Run, Secret, Verb, for_kind, growth, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph, Step

HOW_OPEN = frozenset({"allow_discards", "bypass_workqueues"})
IN_PLACE = frozenset({"mapper", "label", "keys", "unused", *HOW_OPEN})
COST = frozenset({"pbkdf", "pbkdf_iterations", "pbkdf_memory", "pbkdf_parallel"})
SECOND_VERSION = frozenset({"label", *COST})
"""What the first version has not, or only one of."""


@for_kind(hooks.modify, Luks)
def change(old: Luks, new: Luks, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Change what can be changed while everything in it stays; for anything else it would be made anew."""
    mismatches = new.mismatches(old)
    fields = {each.field for each in mismatches}
    if not fields or not fields <= IN_PLACE | SECOND_VERSION or (fields & SECOND_VERSION and old.version != "2"):
        return Replace(why="; ".join(str(each) for each in mismatches))
    node = Node(layer=after.devices(new)[0].id)
    steps: list[Step] = []
    said: list[str] = []
    if "label" in fields:
        # The subsystem goes with the label in one order, and nobody said anything of it.
        steps.append(Run(argv=("cryptsetup", "config", "--batch-mode", "--label", new.label or "", node)))
        said.append(f"label it {new.label}")
    if fields & COST:
        steps.append(_converting(old, new, node))
        how = [new.pbkdf] if "pbkdf" in fields else []
        how += [
            f"{each.field.removeprefix('pbkdf_')} {each.wanted}"
            for each in mismatches
            if each.field in COST - {"pbkdf"}
        ]
        said.append(f"protect its first key with {', '.join(filter(None, how))}")
    if "keys" in fields:
        steps += [adding(new, new.keys[0], each, node) for each in new.keys[old.slots :]]
        said.append(f"give it {len(new.keys) - old.slots} more of its {len(new.keys)} keys")
    if "mapper" in fields:
        steps += _renaming(old, new)
        said.append(f"rename {old.mapper} to {new.mapper}")
    if fields & HOW_OPEN:
        steps.append(_refreshing(old, new))
        said += [_now(each, getattr(new, each)) for each in sorted(fields & HOW_OPEN)]
    if "unused" in fields:
        steps += [resizing(new), *growth(new.id, before, after)]
        said.append("grow it to all of its device")
    on = after.called(after.devices(new)[0])
    summary = f"change LUKS{old.version or ''} on {on}: {', '.join(said)}"
    return [Action(verb=Verb.MODIFY, target=new.id, summary=summary, steps=tuple(steps))]


def _renaming(old: Luks | Plain, new: Luks | Plain) -> Sequence[Step]:
    """Give an open mapping another name; it stays in use."""
    rename = Run(argv=("dmsetup", "rename", "--", old.mapper or "", new.mapper or ""))
    return [rename, Await(target=Node(layer=new.id))]


def _refreshing(old: Luks, new: Luks) -> Run:
    """Have an open volume be open in another way; it stays in use, and what nobody asked for stays as it is."""
    how = options(
        discards=old.allow_discards if new.allow_discards is None else new.allow_discards,
        unqueued=old.bypass_workqueues if new.bypass_workqueues is None else new.bypass_workqueues,
    )
    argv = ("cryptsetup", "refresh", *how, "--key-file", "-", "--", new.mapper or old.mapper or "")
    return Run(argv=argv, stdin=Secret(reference=(new.keys or ("",))[0]))


def _converting(old: Luks, new: Luks, node: Node) -> Run:
    """Have the slot of the first key made anew in another way; the key stays what it is."""
    way = cost(msgspec.structs.replace(new, pbkdf=new.pbkdf or old.pbkdf))
    argv = ("cryptsetup", "luksConvertKey", "--batch-mode", *way, "--key-file", "-")
    return Run(argv=(*argv, node), stdin=Secret(reference=(new.keys or ("",))[0]), timeout=PATIENCE)


def _now(field: str, wanted: object) -> str:
    what = {"allow_discards": "discards", "bypass_workqueues": "work past its queues"}[field]
    return f"{'let' if wanted else 'no longer let'} {what} through"


@for_kind(hooks.modify, Plain)
def change_plain(old: Plain, new: Plain, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Give it another name; without the key there is nothing else that can be changed."""
    del before
    mismatches = new.mismatches(old)
    if {each.field for each in mismatches} != {"mapper"}:
        why = "; ".join(str(each) for each in mismatches)
        return Replace(why=f"{why}; nobody has the key that it would take to open it otherwise")
    on = after.called(after.devices(new)[0])
    summary = f"rename {old.mapper} on {on} to {new.mapper}"
    return [Action(verb=Verb.MODIFY, target=new.id, summary=summary, steps=tuple(_renaming(old, new)))]
