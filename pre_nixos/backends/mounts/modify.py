"""Changing the options of what is mounted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mounts.kinds import Mount
from pre_nixos.backends.mounts.options import missing, of_the_mount
from pre_nixos.plugin import Action, Attach, Node, Replace, Verb, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph

TAKING = frozenset({"ext4", "ext3", "ext2", "btrfs", "xfs", "tmpfs"})
"""Types that take options of their own while they are mounted; others are silent about those they ignore."""


@for_kind(hooks.modify, Mount)
def remount(old: Mount, new: Mount, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Give it the options it lacks while it is in use; anything else takes unmounting, which loses nothing."""
    del before
    mismatches = new.mismatches(old)
    lacking = missing(new.options or (), old.options or ())
    can = old.type in TAKING or all(map(of_the_mount, lacking))
    fixed = any(each.partition("=")[0] in {"subvol", "subvolid"} for each in lacking)
    if [each.field for each in mismatches] != ["options"] or not can or fixed or old.namespace or old.type is None:
        return Replace(why="; ".join(str(each) for each in mismatches))
    target = Node(layer=after.devices(new)[0].id) if after.devices(new) else None
    step = Attach(target=target, at=new.place, type=old.type, options=lacking, remount=True)
    summary = f"mount {new.place} with {','.join(lacking)} from now on"
    return [Action(verb=Verb.MODIFY, target=new.id, summary=summary, steps=(step,))]
