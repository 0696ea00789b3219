"""Changing the options of what is mounted, and the mode of its directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mounts.kinds import Mount
from pre_nixos.backends.mounts.options import FIXED, of_the_mount
from pre_nixos.plugin import Action, Attach, MakeDirectory, Node, Replace, Verb, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph, Step

TAKING = frozenset({"ext4", "ext3", "ext2", "btrfs", "tmpfs"})
"""Types that take options of their own while they are mounted; others are silent about those they ignore."""


@for_kind(hooks.modify, Mount)
def remount(old: Mount, new: Mount, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Give it what it lacks while it is in use; anything else takes unmounting, which loses nothing."""
    del before
    mismatches = new.mismatches(old)
    lacking = new.lacking(old)
    can = old.type in TAKING or all(map(of_the_mount, lacking))
    fixed = any(each.partition("=")[0] in FIXED for each in lacking)
    fields = {each.field for each in mismatches}
    if not fields or not fields <= {"options", "mode"} or not can or fixed or old.namespace or old.type is None:
        return Replace(why="; ".join(str(each) for each in mismatches))
    steps: list[Step] = []
    said: list[str] = []
    if "options" in fields:
        target = Node(layer=after.devices(new)[0].id) if after.devices(new) else None
        steps.append(Attach(target=target, at=new.place, type=old.type, options=lacking, remount=True))
        said.append(f"mount {new.place} with {','.join(lacking)} from now on")
    if "mode" in fields:
        steps.append(MakeDirectory(path=new.place, mode=new.mode))
        said.append(f"give {new.place} the mode {new.mode:04o}")
    return [Action(verb=Verb.MODIFY, target=new.id, summary=", and ".join(said), steps=tuple(steps))]
