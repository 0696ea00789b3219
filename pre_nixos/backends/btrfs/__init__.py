"""btrfs: a filesystem that may stretch over several devices, and the subvolumes in it."""

from pre_nixos.backends.btrfs.disko import read_btrfs, write_btrfs
from pre_nixos.backends.btrfs.format import make
from pre_nixos.backends.btrfs.kinds import Btrfs, Subvolume
from pre_nixos.backends.btrfs.modify import change
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
    "backend",
    "change",
    "find",
    "make",
    "object_to",
    "read_btrfs",
    "remove",
    "write_btrfs",
]
