"""Mounts: where filesystems are mounted, in our own mount namespace and in others."""

from pre_nixos.backends.mounts.activate import mount
from pre_nixos.backends.mounts.deactivate import out_of_reach, unmount
from pre_nixos.backends.mounts.disko import read_mount, read_nodev, write_mount
from pre_nixos.backends.mounts.emptied import STORES
from pre_nixos.backends.mounts.kinds import Emptied, Mount, Mountable, holds_files, places_around
from pre_nixos.backends.mounts.modify import remount
from pre_nixos.backends.mounts.nixos import mounted
from pre_nixos.backends.mounts.objections import hidden, leading_elsewhere, read_only, without_anything
from pre_nixos.backends.mounts.probe import find, holding_file
from pre_nixos.plugin import Backend, hooks, implements


@implements(hooks.backend)
def backend() -> Backend:
    """Own mounts. Mounting and unmounting are system calls, so no program is needed."""
    return Backend(kinds=[Mount], disko_keys=["mountpoint"], disko_sections=["nodev"])


__all__ = [
    "STORES",
    "Emptied",
    "Mount",
    "Mountable",
    "backend",
    "find",
    "hidden",
    "holding_file",
    "holds_files",
    "leading_elsewhere",
    "mount",
    "mounted",
    "out_of_reach",
    "places_around",
    "read_mount",
    "read_nodev",
    "read_only",
    "remount",
    "unmount",
    "without_anything",
    "write_mount",
]
