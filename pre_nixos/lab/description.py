"""What a virtual machine is to be: its disks, memory and firmware."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pre_nixos.model.data import Data
from pre_nixos.model.step import MIB


class Attachment(StrEnum):
    """How a disk is attached; each kind of guest can do some of them and refuses the others by name."""

    SCSI = "scsi"
    """A `sdX` with model, serial, WWN and rotational flag."""
    PLAIN = "plain"
    """The simplest disk the guest has (`ubdX`, `vdX`): no model, no WWN."""
    NVME = "nvme"
    USB = "usb"


class LabDisk(Data):
    """One disk."""

    name: str
    """What tests call it; its image is the file of that name."""
    size: int
    """Bytes; the image is sparse."""
    serial: str = ""
    """Empty: made from the name."""
    vendor: str = "LAB"
    model: str = "TWIN DISK"
    wwn: str = ""
    """As the kernel shows it: `naa.`, `eui.` or `uuid.` and what follows. Empty: what the guest makes of the serial.

    A guest refuses one that it cannot give.
    """
    rotational: bool = False
    removable: bool = False
    block_size: Literal[512, 4096] = 512
    attachment: Attachment = Attachment.SCSI

    @property
    def serial_shown(self) -> str:
        """The serial the guest shows."""
        return self.serial or f"LAB{self.name.upper()}{sum(self.name.encode()):04d}"


class Lab(Data):
    """One virtual machine."""

    disks: tuple[LabDisk, ...] = ()
    memory: int = 512 * MIB
    firmware: Literal["bios", "uefi"] = "bios"
    ports: tuple[str, ...] = ()
    """MAC addresses of network ports; at the other end of each one's cable is a DHCP server, and nothing else."""
    modules: tuple[str, ...] = ()
    """Kernel modules to load besides those the disks need; most others load themselves when they are used."""
    systemd: bool = False
    """Whether systemd is the first process, with the units Debian has and none that this machine has of its own."""
    files: dict[str, str] = {}
    """What is in these files when the first process starts, at every boot; by path."""
    kernel_line: tuple[str, ...] = ()
    """Further words on the kernel's command line."""


class LabError(Exception):
    """The laboratory, not what is tried in it, went wrong; the message quotes what the guest said last."""
