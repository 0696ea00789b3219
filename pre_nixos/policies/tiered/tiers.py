"""Which disks belong together in the policy `tiered`, and what each of these buckets is for."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from pre_nixos.plugin import Data, Disk
from pre_nixos.policies.selection import Bucket, is_rotational, size_of, sort_into_buckets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PAIR = 2


class Tier(Data):
    """A bucket with a use: one volume group on it."""

    name: str
    bucket: Bucket
    level: int | None
    """The RAID level; None is no array at all."""
    boots: bool = False
    """Whether its disks get what the firmware starts from."""


class Demands(Data):
    """What decides over the use of a bucket."""

    careful: bool = False
    lone: bool = False
    tolerance: float = 1.0
    swap_disks: float = 50.0
    main_needs: int = 0
    """The bytes without which a bucket is too small for `main`."""
    swap_needs: int = 0
    """The bytes without which a pair is too small for `swap`; 0 if there is to be no swap."""
    large_needs: int = 0
    """The bytes without which a bucket is too small for `large`."""
    main: str = "main"
    large: str = "large"
    swap: str = "swap"

    def place(self, name: str) -> tuple[int, int] | None:
        """Give the use of the group with this name, and its number among those of that use; None if it is no such."""
        names = (self.main, self.large, self.swap)
        if name in names:
            return names.index(name), 0
        base, _, number = name.rpartition("_")
        further = base in {self.main, self.large} and number.isdecimal() and number[0] != "0"
        return (names.index(base), int(number)) if further else None


class Carried(Data):
    """What an earlier run left: the disks of one volume group."""

    bucket: Bucket
    members: int = 0
    """Of how many disks its array is, also if some are missing; 0 if there is none, or that is not known."""
    swaps: bool = False
    """Whether the swap is in it."""


class Choice(Data):
    """What becomes of the disks."""

    tiers: tuple[Tier, ...] = ()
    left: tuple[Disk, ...] = ()
    """Disks that fit with no others: not taken."""


def level_for(count: int, *, rotational: bool, careful: bool) -> int | None:
    """Give the RAID level for so many disks of a medium; None for a lone one."""
    if count < PAIR:
        return None
    if rotational:
        return 1 if count == PAIR else 5 if count < 6 else 6
    if careful:
        return 1 if count < 4 else 10
    return 0


def choose(
    disks: Sequence[Disk], demands: Demands, room: Callable[[Tier], int], carried: Mapping[str, Carried] = {}
) -> Choice:
    """Decide what becomes of each disk; `room` says how many bytes the volume group of a tier would have.

    What is carried already stays where it is, as it is: the other disks are divided beside it.
    """
    busy = {disk.id for each in carried.values() for disk in each.bucket.disks}
    ssds, hdds = (
        sort_into_buckets(
            [disk for disk in disks if disk.id not in busy and is_rotational(disk) is rotational], demands.tolerance
        )
        for rotational in (False, True)
    )
    tiers = _Roles(demands, room, carried).tiers(ssds, hdds)
    taken = {disk.id for tier in tiers for disk in tier.bucket.disks}
    return Choice(tiers=tuple(tiers), left=tuple(disk for disk in disks if disk.id not in taken))


class _Roles:
    def __init__(self, demands: Demands, room: Callable[[Tier], int], carried: Mapping[str, Carried]) -> None:
        self.demands = demands
        self.room = room
        self.carried = carried

    def tiers(self, ssds: Sequence[Bucket], hdds: Sequence[Bucket]) -> Sequence[Tier]:
        """Give every group, those that are carried included; none that boots if there is no disk for the system."""
        main, more, storage = self._divided(ssds, hdds)
        swap = self._suited_to_swap(storage)
        larges = [each for each in storage if each is not swap]
        uses = [(name, each.bucket) for name, each in self.carried.items()]
        if main and self.demands.main not in self.carried:
            uses.append((self.demands.main, main))
        if swap:
            uses.append((self.demands.swap, swap))
        uses += zip(self._free_names(self.demands.main, 1), more, strict=False)
        uses += zip(self._free_names(self.demands.large, self._first_number(larges)), larges, strict=False)
        tiers = [self._tier(name, bucket, boots=bucket is main) for name, bucket in uses]
        return sorted(tiers, key=lambda tier: self.demands.place(tier.name) or ())

    def _divided(
        self, ssds: Sequence[Bucket], hdds: Sequence[Bucket]
    ) -> tuple[Bucket | None, Sequence[Bucket], Sequence[Bucket]]:
        """Give the bucket for the system, the further SSDs, and the HDDs beside it, the most useful ones first."""
        there = self.carried.get(self.demands.main)
        if there:
            # SSDs on which the system had no room were left alone when it was put on HDDs, and still are.
            more = [each for each in self._sensible(ssds) if not there.bucket.rotational or self._carries_main(each)]
            return there.bucket, more, self._sensible(hdds)
        system = self._system_on_ssds(ssds, hdds)
        if system:
            return system[0], system[1:], self._sensible(hdds)
        main = self._system_on_hdds(hdds)
        return main, [], [each for each in self._sensible(hdds) if each is not main]

    def _system_on_ssds(self, ssds: Sequence[Bucket], hdds: Sequence[Bucket]) -> Sequence[Bucket]:
        """Give the buckets of SSDs to use, that for the system first; empty if the HDDs must carry it."""
        candidates = self._sensible(ssds) or ssds
        able = [each for each in candidates if self._carries_main(each)]
        # A lone SSD that is too small for a system is no reason to refuse HDDs that are not; a set of them is.
        if not able and hdds and all(len(each.disks) < PAIR for each in candidates):
            return []
        main = (able or candidates)[:1]
        return [*main, *(each for each in self._sensible(ssds) if each not in main)]

    def _system_on_hdds(self, hdds: Sequence[Bucket]) -> Bucket | None:
        """Give a mirror of HDDs for the system, or what comes nearest."""
        usable = self._sensible(hdds) or hdds[:1]
        if not usable:
            return None
        able = [each for each in usable if self._carries_main(each)] or usable
        redundant = [each for each in able if len(each.disks) >= PAIR] or able
        pairs = [each for each in redundant if len(each.disks) == PAIR] or redundant
        # The largest bucket is worth more as `large`, if there is another for the system.
        spared = None if self.demands.large in self.carried else usable[0]
        return next((each for each in pairs if each is not spared), pairs[0])

    def _suited_to_swap(self, hdds: Sequence[Bucket]) -> Bucket | None:
        """Find the smallest pair that holds it and is clearly smaller than the disks of `large`."""
        settled = self.demands.swap in self.carried or any(each.swaps for each in self.carried.values())
        if not self.demands.swap_needs or settled:
            return None
        there = self.carried.get(self.demands.large)
        larges = [there.bucket, *hdds] if there else hdds
        if not larges:
            return None
        limit = larges[0].smallest * self.demands.swap_disks / 100
        for each in reversed(larges[1:]):
            small_pair = len(each.disks) == PAIR and max(map(size_of, each.disks)) <= limit
            if small_pair and self.room(self._tier(self.demands.swap, each)) >= self.demands.swap_needs:
                return each
        return None

    def _carries_main(self, bucket: Bucket) -> bool:
        return self.room(self._tier(self.demands.main, bucket, boots=True)) >= self.demands.main_needs

    def _sensible(self, buckets: Sequence[Bucket]) -> Sequence[Bucket]:
        least = 1 if self.demands.lone else PAIR
        return [each for each in buckets if len(each.disks) >= least]

    def _tier(self, name: str, bucket: Bucket, *, boots: bool = False) -> Tier:
        # An array that lost a member is still an array of so many.
        there = self.carried.get(name)
        count = max(len(bucket.disks), there.members if there else 0)
        level = level_for(count, rotational=bucket.rotational, careful=self.demands.careful)
        return Tier(name=name, bucket=bucket, level=level, boots=boots)

    def _first_number(self, larges: Sequence[Bucket]) -> int:
        """Give 1 if none is to be `large`: a finished system does without it if what is added is too small for that."""
        if self.demands.main not in self.carried or not larges:
            return 0
        return int(self.room(self._tier(self.demands.large, larges[0])) < self.demands.large_needs)

    def _free_names(self, family: str, first: int) -> Iterator[str]:
        """Give the names of a family that no group has yet, from this number on."""
        names = (f"{family}_{number}" if number else family for number in itertools.count(first))
        return (name for name in names if name not in self.carried)
