"""Which disks the policy `tiered` looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import InvalidLayout, human

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import Disk, Machine

BY_ID = "/dev/disk/by-id/"
NETWORK = frozenset({"fc", "iscsi", "nvme-tcp", "nvme-rdma", "nvme-fc", "nvme-loop"})
"""How disks are attached that other machines may be using at this moment."""


def eligible(machine: Machine) -> Sequence[Disk]:
    """Give the disks that may be taken without having been named. Raises NoSuchDisks if there are none."""
    return tuple(machine.disks.where(matching=_local).some())


def named(machine: Machine, names: Sequence[str]) -> Sequence[Disk]:
    """Find the disks a person named. Raises InvalidLayout with every name that does not fit exactly one."""
    problems: list[str] = []
    chosen: dict[str, Disk] = {}
    for name in names:
        found = [disk for disk in machine.all_disks if name in _names(disk)]
        if len(found) == 1:
            chosen[found[0].id] = found[0]
        elif found:
            problems.append(f"option disks: {name!r} is {len(found)} disks: {', '.join(each.id for each in found)}")
        else:
            problems.append(f"option disks: {_unknown(machine, name)}")
    if problems:
        there = [f"  {each.title}, {human(size_of(each))}: {each.id}" for each in machine.all_disks]
        raise InvalidLayout([*problems, "\n".join(["The disks of this machine:", *(there or ["  none"])])])
    return tuple(chosen.values())


def size_of(disk: Disk) -> int:
    """Give the bytes of a disk."""
    return disk.device.size if disk.device else disk.size


def _local(disk: Disk) -> bool:
    return disk.device is not None and disk.device.transport not in NETWORK


def _names(disk: Disk) -> frozenset[str]:
    links = [link for link in (disk.device.links if disk.device else ()) if link.startswith(BY_ID)]
    said = (disk.id, disk.id.removeprefix("disk:"), disk.serial, disk.wwn)
    return frozenset(filter(None, (*said, *links, *(link.removeprefix(BY_ID) for link in links))))


def _unknown(machine: Machine, name: str) -> str:
    kernel_names = {each.device.name for each in machine.all_disks if each.device}
    if name.removeprefix("/dev/") in kernel_names:
        return f"{name!r} is the kernel's name, which another disk may have tomorrow; use its serial, WWN or by-id link"
    return f"there is no disk {name!r}"
