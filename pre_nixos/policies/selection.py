"""Which disks policies look at, and which of them are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import Data, Disk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import Machine

NETWORK = ("fc", "iscsi", "nvme-")
"""How the transports begin of disks that other machines may be using at this moment."""


class Bucket(Data):
    """Disks of one medium and of equal size, within a tolerance."""

    disks: tuple[Disk, ...]
    rotational: bool

    @property
    def total(self) -> int:
        """The bytes of all of them."""
        return sum(map(size_of, self.disks))

    @property
    def smallest(self) -> int:
        """The bytes of the smallest of them."""
        return min(map(size_of, self.disks))


def eligible(machine: Machine) -> Sequence[Disk]:
    """Give the disks that may be taken without having been named. Raises NoSuchDisks if there are none."""
    return tuple(machine.disks.where(matching=is_local).some())


def size_of(disk: Disk) -> int:
    """Give the bytes of a disk."""
    return disk.device.size if disk.device else disk.size


def is_local(disk: Disk) -> bool:
    """Whether it is this machine's own: no other one can reach it over a network."""
    return disk.device is not None and not (disk.device.transport or "").startswith(NETWORK)


def is_rotational(disk: Disk) -> bool:
    """Whether it counts as an HDD: what does not say is treated with the more cautious levels."""
    return disk.device is None or disk.device.rotational is not False


def sort_into_buckets(disks: Sequence[Disk], tolerance: float) -> Sequence[Bucket]:
    """Put disks of one medium together whose sizes differ by so many percent at most; the most useful bucket first."""
    buckets: list[list[Disk]] = []
    for disk in sorted(disks, key=lambda disk: (size_of(disk), disk.id)):
        # Measured from the smallest, so that a row of small steps does not join what is far apart.
        if buckets and size_of(disk) <= size_of(buckets[-1][0]) * (1 + tolerance / 100):
            buckets[-1].append(disk)
        else:
            buckets.append([disk])
    made = [
        Bucket(disks=tuple(sorted(each, key=lambda disk: disk.id)), rotational=is_rotational(each[0]))
        for each in buckets
    ]
    return sorted(made, key=lambda bucket: (len(bucket.disks) == 1, -bucket.total, bucket.disks[0].id))
