"""What a machine starts from: on each of the disks that are to hold its system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.gpt import Partition
from pre_nixos.backends.mounts import Mount
from pre_nixos.plugin import Data, Exact

if TYPE_CHECKING:
    from pre_nixos.plugin import Draft, Handle, Machine

ESP_OPTIONS = ("fmask=0077", "dmask=0077")
"""Boot loaders keep a random seed there, which is nobody's business."""
BIOS_BOOT = "bios-boot"


def has_uefi(machine: Machine, firmware: str) -> bool:
    """Whether the new system is started by UEFI; `auto` is as the machine was started now."""
    return (machine.firmware if firmware == "auto" else firmware) == "uefi"


class Start(Data):
    """The first partition of every disk a machine may start from."""

    uefi: bool
    size: int
    """Bytes; 0 makes none."""
    partition: str = "esp"
    """What an EFI system partition is called in the table."""
    label: str = "ESP"
    """The label of the filesystem in it."""

    def add(self, draft: Draft, table: Handle, position: int) -> bool:
        """Add it to a table, the position counting the disks from 1; say whether there is one."""
        if not self.size:
            return False
        type_ = "esp" if self.uefi else BIOS_BOOT
        name = numbered(self.partition if self.uefi else BIOS_BOOT, position)
        partition = draft.add(Partition(number=1, size=Exact(bytes=self.size), type=type_, label=name), on=[table])
        if self.uefi:
            esp = draft.add(Filesystem(type="vfat", label=numbered(self.label, position)), on=[partition])
            # The others are for the boot loader's installer to keep alike: only one can be at /boot.
            if position == 1:
                draft.add(Mount(at="/boot", options=ESP_OPTIONS), on=[esp])
        return True


def numbered(name: str, position: int) -> str:
    """Give the name of one of several: `boot`, `boot-2`, `boot-3`."""
    return name if position == 1 else f"{name}-{position}"
