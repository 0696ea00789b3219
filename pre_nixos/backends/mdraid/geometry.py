"""Where an array lies on its members: everything about it that is arithmetic.

Where a level has redundancy, the size of the part of each member that is used is said when the array is made. What it
offers is then known before it is there, two disks that differ a little make the same array, and the place of its tail
on every member can be cleared beforehand.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pre_nixos.plugin import MIB, TAIL, WINDOW, Range

if TYPE_CHECKING:
    from collections.abc import Sequence

KIB = 1024
GIB = 1024 * MIB
DEFAULT_CHUNK = 512 * KIB
LINEAR_ROUNDING = 64 * KIB


class Level(StrEnum):
    """How an array spreads its data."""

    LINEAR = "linear"
    RAID0 = "raid0"
    RAID1 = "raid1"
    RAID4 = "raid4"
    RAID5 = "raid5"
    RAID6 = "raid6"
    RAID10 = "raid10"

    @classmethod
    def of(cls, said: int | str) -> Level:
        """Read a level as people and tools write it: `1`, `"1"`, `"raid1"`."""
        text = str(said).strip().lower()
        try:
            return cls(f"raid{text}" if text.isdecimal() else text)
        except ValueError:
            raise ValueError(f"{said!r} is not a level of md; there are {', '.join(cls)}") from None

    @property
    def is_redundant(self) -> bool:
        """Whether it can lose a member."""
        return self not in {Level.LINEAR, Level.RAID0}

    @property
    def is_striped(self) -> bool:
        """Whether it has chunks."""
        return self not in {Level.LINEAR, Level.RAID1}

    @property
    def fewest(self) -> int:
        """How many members it needs at least."""
        return {Level.LINEAR: 1, Level.RAID0: 1, Level.RAID5: 3, Level.RAID6: 4}.get(self, 2)

    def may_miss(self, members: int) -> int:
        """How many members may be missing at most while it still has all its data."""
        match self:
            case Level.LINEAR | Level.RAID0:
                return 0
            case Level.RAID1:
                return members - 1
            case Level.RAID4 | Level.RAID5:
                return 1
            case Level.RAID6:
                return 2
            case Level.RAID10:
                return members // 2


SMALL_OFFSET, OFFSET = MIB, 16 * MIB
"""Where data begins, on members below a gibibyte and on others."""


def data_offset(smallest: int, metadata: str) -> int:
    """Where the data of every member begins, given the size of the smallest.

    Never left to mdadm, which chooses between 1 and 129 MiB: what lies there decides what shows up in the new array. A
    mebibyte has room for superblock, bitmap and log of bad blocks whatever the size; the larger offset leaves an array
    room to be reshaped. Metadata 1.0 is kept at the end, and data begins with the member.
    """
    if metadata == "1.0":
        return 0
    return SMALL_OFFSET if smallest < GIB else OFFSET


def said_offset(offset: int) -> str:
    """Say where data begins as mdadm is told it."""
    return f"--data-offset={offset // KIB}K"


def component_size(smallest: int, metadata: str, chunk: int) -> int:
    """How much of every member is used for data, where the level has redundancy."""
    end = smallest - MIB if metadata == "1.0" else smallest
    grain = max(chunk, MIB) if MIB % chunk == 0 or chunk % MIB == 0 else chunk
    return max(0, (end - data_offset(smallest, metadata)) // grain * grain)


def chunk_of(level: Level, asked: int | None) -> int:
    """Give the bytes of a chunk; for a mirror, in which there are none, the grain its size is rounded to."""
    return (asked or DEFAULT_CHUNK) if level.is_striped else LINEAR_ROUNDING


def array_size(level: Level, members: Sequence[int], metadata: str, chunk: int | None, spares: int) -> int:
    """How many bytes an array on members of these sizes offers: exactly where it has redundancy, else at least."""
    count = len(members) - spares
    if count < 1:
        return 0
    grain, smallest = chunk_of(level, chunk), min(members)
    if not level.is_redundant:
        reserved = data_offset(smallest, metadata) or MIB
        return sum(max(0, size - reserved) // grain * grain for size in members)
    part = component_size(smallest, metadata, grain)
    match level:
        case Level.RAID4 | Level.RAID5:
            return part * max(0, count - 1)
        case Level.RAID6:
            return part * max(0, count - 2)
        case Level.RAID10:
            return part // grain * count // 2 * grain
        case _:
            return part


def landing_zones(level: Level, members: Sequence[int], metadata: str, chunk: int | None) -> tuple[Range, ...]:
    """Where on every member the head and the tail of the new array will lie, and where superblocks may be.

    The tail lies at the same place on all members, which on a larger one is not near its own end.
    """
    smallest = min(members)
    offset = data_offset(smallest, metadata)
    zones = [Range(start=0, length=offset + WINDOW), TAIL]
    if level.is_redundant:
        end = offset + component_size(smallest, metadata, chunk_of(level, chunk))
        start = max(0, end - WINDOW)
        zones.insert(1, Range(start=start, length=end - start))
    return tuple(zones)
