"""btrfs: a filesystem that may stretch over several devices, and the subvolumes in it."""

from pre_nixos.backends.btrfs.disguise import only_the_structure
from pre_nixos.backends.btrfs.disko import read_btrfs, write_btrfs
from pre_nixos.backends.btrfs.emptied import why_lost
from pre_nixos.backends.btrfs.format import make
from pre_nixos.backends.btrfs.kinds import Btrfs, Subvolume
from pre_nixos.backends.btrfs.modify import change
from pre_nixos.backends.btrfs.nixos import all_of_it, rolled_back
from pre_nixos.backends.btrfs.objections import object_to
from pre_nixos.backends.btrfs.probe import find
from pre_nixos.backends.btrfs.teardown import MIRRORS, remove
from pre_nixos.plugin import Backend, hooks, implements


@implements(hooks.backend)
def backend() -> Backend:
    """Own btrfs and its subvolumes."""
    return Backend(kinds=[Btrfs, Subvolume], tools=["btrfs", "mkfs.btrfs"], disko_types=["btrfs"])


__all__ = [
    "MIRRORS",
    "Btrfs",
    "Subvolume",
    "all_of_it",
    "backend",
    "change",
    "find",
    "make",
    "object_to",
    "only_the_structure",
    "read_btrfs",
    "remove",
    "rolled_back",
    "why_lost",
    "write_btrfs",
]
