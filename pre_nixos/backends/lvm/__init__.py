"""LVM: volume groups and the volumes in them."""

from __future__ import annotations

from pre_nixos.backends.lvm.activate import switch_off, switch_on
from pre_nixos.backends.lvm.disko import read_group, read_member, write_group
from pre_nixos.backends.lvm.format import make
from pre_nixos.backends.lvm.kinds import Group, Orphan, Volume
from pre_nixos.backends.lvm.modify import change
from pre_nixos.backends.lvm.nixos import activated_at_boot, needed_for_it
from pre_nixos.backends.lvm.objections import object_to
from pre_nixos.backends.lvm.probe import find
from pre_nixos.backends.lvm.teardown import remove, remove_orphan
from pre_nixos.plugin import Backend, hooks, implements


@implements(hooks.backend)
def backend() -> Backend:
    """Own groups, volumes and stray physical volumes."""
    return Backend(kinds=[Group, Volume, Orphan], tools=["lvm"], disko_types=["lvm_pv"], disko_sections=["lvm_vg"])


__all__ = [
    "Group",
    "Orphan",
    "Volume",
    "activated_at_boot",
    "backend",
    "change",
    "find",
    "make",
    "needed_for_it",
    "object_to",
    "read_group",
    "read_member",
    "remove",
    "remove_orphan",
    "switch_off",
    "switch_on",
    "write_group",
]
