"""The choices of the policy `tiered`, written down as a wanted graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.gpt import Partition, Table
from pre_nixos.backends.lvm import Group
from pre_nixos.backends.lvm import Volume as LogicalVolume
from pre_nixos.backends.mdraid import Array
from pre_nixos.backends.mounts import Mount
from pre_nixos.backends.swap import Area, Use
from pre_nixos.plugin import Draft, Exact, InvalidLayout, Rest
from pre_nixos.policies.booting import Start, has_uefi

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import Disk, Handle, Machine, Wanted
    from pre_nixos.policies.tiered.options import Sizes, TieredOptions
    from pre_nixos.policies.tiered.tiers import Tier
    from pre_nixos.policies.tiered.volumes import Volume


class Stack:
    """Writes tiers, and the volumes on them, down as a graph."""

    def __init__(self, machine: Machine, options: TieredOptions, sizes: Sizes) -> None:
        self.machine = machine
        self.options = options
        self.sizes = sizes
        uefi = has_uefi(machine, options.firmware)
        self.start = Start(uefi=uefi, size=sizes.esp if uefi else sizes.bios_boot)

    def room(self, tier: Tier) -> int:
        """Give the bytes the volume group of a tier would have. Raises InvalidLayout if there can be none."""
        draft = Draft(self.machine, take=tier.bucket.disks)
        self._group(draft, tier)
        try:
            graph = draft.wanted().graph
        except InvalidLayout as error:
            option = "esp" if self.start.uefi else "bios_boot"
            hint = f", or a smaller partition to start from (option {option})" if tier.boots else ""
            raise InvalidLayout(
                [*error.problems, f"volume group {tier.name} needs larger disks (option disks){hint}"]
            ) from error
        return sum(graph.space(group) for group in graph.of(Group))

    def room_if_any(self, tier: Tier) -> int:
        """Give the bytes the volume group of a tier would have; 0 if there can be none."""
        try:
            return self.room(tier)
        except InvalidLayout:
            return 0

    def wanted(self, tiers: Sequence[Tier], volumes: Sequence[Volume], named: Sequence[Disk]) -> Wanted:
        """Write it all down. Raises InvalidLayout with everything that does not fit."""
        draft = Draft(self.machine, take=[disk for tier in tiers for disk in tier.bucket.disks], named=named)
        groups = {tier.name: self._group(draft, tier) for tier in tiers}
        for volume in volumes:
            self._volume(draft, groups[volume.group], volume)
        return draft.wanted()

    def _group(self, draft: Draft, tier: Tier) -> Handle:
        members = [
            self._member(draft, disk, tier, position) for position, disk in enumerate(tier.bucket.disks, start=1)
        ]
        if tier.level is not None:
            members = [draft.add(Array(name=tier.name, level=tier.level), on=members)]
        return draft.add(Group(name=tier.name, extent_size=self.sizes.extent), on=members)

    def _member(self, draft: Draft, disk: Disk, tier: Tier, position: int) -> Handle:
        table = draft.add(Table(), on=[disk])
        number = 1 + (tier.boots and self.start.add(draft, table, position))
        type_ = "lvm" if tier.level is None else "raid"
        return draft.add(Partition(number=number, size=Rest(), type=type_, label=tier.name), on=[table])

    def _volume(self, draft: Draft, group: Handle, volume: Volume) -> None:
        size = Exact(bytes=volume.size)
        made = draft.add(LogicalVolume(name=volume.name, size=size), on=[group])
        if not volume.at:
            draft.add(Use(), on=[draft.add(Area(label=volume.name), on=[made])])
            return
        filesystem = draft.add(Filesystem(type=self.options.filesystem, label=volume.name), on=[made])
        draft.add(Mount(at=volume.at, mode=volume.mode), on=[filesystem])
