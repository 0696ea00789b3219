"""A node the kernel exposes."""

from __future__ import annotations

from pre_nixos.model.data import Data


class BlockDevice(Data):
    """What sysfs and udev say of one block device. Nothing here outlives a reboot but the identifiers."""

    name: str
    """The kernel's name for it now: never written into a plan's steps, never compared."""
    number: str
    """`major:minor`."""
    size: int
    diskseq: int | None = None
    logical_block: int = 512
    physical_block: int = 512
    rotational: bool | None = None
    transport: str | None = None
    """`nvme`, `sata`, `sas`, `usb`, `virtio`, `mmc`, `scsi`, ..."""
    model: str | None = None
    serial: str | None = None
    wwn: str | None = None
    """WWN, NGUID or EUI-64, as the kernel prints it."""
    unit: str | None = None
    """The namespace or LUN that tells units with one serial apart."""
    path: str | None = None
    """Where it is plugged in, as by-path links say it."""
    read_only: bool = False
    removable: bool = False
    links: tuple[str, ...] = ()
