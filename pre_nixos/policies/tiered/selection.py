"""Which disks the policy `tiered` looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import Disk, Machine

NETWORK = ("fc", "iscsi", "nvme-")
"""How the transports begin of disks that other machines may be using at this moment."""


def eligible(machine: Machine) -> Sequence[Disk]:
    """Give the disks that may be taken without having been named. Raises NoSuchDisks if there are none."""
    return tuple(machine.disks.where(matching=_local).some())


def size_of(disk: Disk) -> int:
    """Give the bytes of a disk."""
    return disk.device.size if disk.device else disk.size


def _local(disk: Disk) -> bool:
    return disk.device is not None and not (disk.device.transport or "").startswith(NETWORK)
