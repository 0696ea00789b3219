"""Which disks belong together in the policy `tiered`, and what each of these buckets is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import Data, Disk
from pre_nixos.policies.selection import Bucket, is_rotational, size_of, sort_into_buckets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    main: str = "main"
    large: str = "large"
    swap: str = "swap"


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


def choose(disks: Sequence[Disk], demands: Demands, room: Callable[[Tier], int]) -> Choice:
    """Decide what becomes of each disk; `room` says how many bytes the volume group of a tier would have."""
    ssds, hdds = (
        sort_into_buckets([disk for disk in disks if is_rotational(disk) is rotational], demands.tolerance)
        for rotational in (False, True)
    )
    roles = _Roles(demands, room)
    system = roles.system_on_ssds(ssds, hdds)
    tiers = [*roles.with_ssds(system, hdds)] if system else [*roles.with_hdds_only(hdds)]
    taken = {disk.id for tier in tiers for disk in tier.bucket.disks}
    return Choice(tiers=tuple(tiers), left=tuple(disk for disk in disks if disk.id not in taken))


class _Roles:
    def __init__(self, demands: Demands, room: Callable[[Tier], int]) -> None:
        self.demands = demands
        self.room = room

    def system_on_ssds(self, ssds: Sequence[Bucket], hdds: Sequence[Bucket]) -> Sequence[Bucket]:
        """Give the buckets of SSDs to use, that for the system first; empty if the HDDs must carry it."""
        candidates = self._sensible(ssds) or ssds
        able = [each for each in candidates if self._carries_main(each)]
        # A lone SSD that is too small for a system is no reason to refuse HDDs that are not; a set of them is.
        if not able and hdds and all(len(each.disks) < PAIR for each in candidates):
            return []
        main = (able or candidates)[:1]
        return [*main, *(each for each in self._sensible(ssds) if each not in main)]

    def with_ssds(self, ssds: Sequence[Bucket], hdds: Sequence[Bucket]) -> Sequence[Tier]:
        """Put the system on SSDs and the rest on HDDs."""
        mains = [
            self._tier(_numbered(self.demands.main, count), each, boots=count == 0) for count, each in enumerate(ssds)
        ]
        return [*mains, *self._storage(self._sensible(hdds))]

    def with_hdds_only(self, hdds: Sequence[Bucket]) -> Sequence[Tier]:
        """Put the system on a mirror of HDDs, or on what comes nearest."""
        usable = self._sensible(hdds) or hdds[:1]
        if not usable:
            return []
        able = [each for each in usable if self._carries_main(each)] or usable
        redundant = [each for each in able if len(each.disks) >= PAIR] or able
        pairs = [each for each in redundant if len(each.disks) == PAIR] or redundant
        # The largest bucket is worth more as `large`, if there is another for the system.
        main = next((each for each in pairs if each is not usable[0]), pairs[0])
        rest = [each for each in usable if each is not main]
        return [self._tier(self.demands.main, main, boots=True), *self._storage(rest)]

    def _storage(self, hdds: Sequence[Bucket]) -> Sequence[Tier]:
        if not hdds:
            return []
        swap = self._suited_to_swap(hdds)
        larges = [each for each in hdds if each is not swap]
        tiers = [self._tier(_numbered(self.demands.large, count), each) for count, each in enumerate(larges)]
        return [*tiers, self._tier(self.demands.swap, swap)] if swap else tiers

    def _suited_to_swap(self, hdds: Sequence[Bucket]) -> Bucket | None:
        """Find the smallest pair that holds it and is clearly smaller than the disks of `large`."""
        if not self.demands.swap_needs:
            return None
        limit = hdds[0].smallest * self.demands.swap_disks / 100
        for each in reversed(hdds[1:]):
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
        level = level_for(len(bucket.disks), rotational=bucket.rotational, careful=self.demands.careful)
        return Tier(name=name, bucket=bucket, level=level, boots=boots)


def _numbered(name: str, count: int) -> str:
    return f"{name}_{count}" if count else name
