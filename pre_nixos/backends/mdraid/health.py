"""How well an array is, from what the kernel or the superblocks say of its slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import Data, Health

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.backends.mdraid.examine import Superblock
    from pre_nixos.backends.mdraid.geometry import Level

AT_WORK = frozenset({"resync", "recover", "reshape"})
FROZEN = "frozen"
"""What the kernel says it does while it was told to begin nothing of its own accord."""


class Slot(Data):
    """One device of an assembled array, as sysfs has it."""

    slot: str
    """A number, or `none`."""
    state: str
    """Words with commas between: `in_sync`, `spare`, `faulty`."""

    @property
    def words(self) -> frozenset[str]:
        """The words of its state."""
        return frozenset(self.state.split(","))

    @property
    def waits(self) -> bool:
        """Whether it can take the place of a missing one."""
        return self.slot == "none" and "spare" in self.words and "faulty" not in self.words


class Running(Data):
    """An assembled array, as sysfs has it."""

    level: Level
    raid_disks: int
    state: str
    """`clean`, `active`, `read-auto`, `inactive`, `broken`."""
    action: str = ""
    resync_start: str = "none"
    slots: tuple[Slot, ...] = ()

    @property
    def started(self) -> bool:
        """Whether it is more than a shell that holds its members."""
        return self.state != "inactive"

    @property
    def failed(self) -> int:
        """How many devices have failed and are still attached: they are neither members nor spares."""
        return sum("faulty" in each.words for each in self.slots)


def of_running(array: Running) -> tuple[Health, str]:
    """Judge an assembled array, and say why.

    Where a spare took over for one that failed it has all its members again, and somebody should know all the same.
    """
    health, remark = _by_members(array)
    if remark and array.action == FROZEN:
        remark = f"{remark}, and frozen"
    if not array.started or not array.failed:
        return health, remark
    said = f"{array.failed} of its devices {'has' if array.failed == 1 else 'have'} failed"
    return (Health.DEGRADED if health.satisfies else health), "; ".join(filter(None, (said, remark)))


def _by_members(array: Running) -> tuple[Health, str]:
    if not array.started:
        return Health.FAILED, f"assembled from {len(array.slots)} of its devices, but not started"
    sound = {each.slot for each in array.slots if "in_sync" in each.words and each.slot.isdecimal()}
    filling = {each.slot for each in array.slots if "spare" in each.words and each.slot.isdecimal()} - sound
    missing = array.raid_disks - len(sound)
    if array.state == "broken" or missing > array.level.may_miss(array.raid_disks):
        return Health.FAILED, f"{missing} of {array.raid_disks} members are missing"
    if missing > 0:
        if len(filling) + sum(each.waits for each in array.slots) < missing:
            return Health.DEGRADED, f"{missing - len(filling)} of {array.raid_disks} members are missing"
        return Health.SYNCING, "recovery runs" if array.action in AT_WORK else "recovery is still to come"
    if array.action in AT_WORK:
        return Health.SYNCING, f"{array.action} runs"
    if array.level.is_redundant and array.resync_start.isdecimal():
        return Health.SYNCING, "a resync is still to come"
    return Health.OK, ""


def of_stopped(members: Sequence[Superblock]) -> tuple[Health, str]:
    """Judge an array that is not assembled by those of its members that are there, the freshest first."""
    freshest = members[0]
    if freshest.map:
        here = len({each.role for each in members if each.role is not None})
    else:
        here = min(len(members), freshest.raid_devices)
    missing = freshest.raid_devices - here
    if missing > freshest.level.may_miss(freshest.raid_devices):
        return Health.FAILED, f"{missing} of {freshest.raid_devices} members are missing: too many to start it"
    if missing > 0:
        return Health.DEGRADED, f"{missing} of {freshest.raid_devices} members are missing"
    if any(each.recovering for each in members):
        return Health.SYNCING, "recovery is still to come"
    return Health.OK, ""
