"""What an array leaves of its members: those that have grown since have more than it was made to use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mdraid.geometry import KIB, Level
from pre_nixos.plugin import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECTOR = 512
SLACK = 16 * MIB
"""What may be left for good: arrays are made a little smaller than they could be."""
GROWING = frozenset({"1.1", "1.2"})
"""Metadata that is where the member begins, and so still found when that has grown."""
_FAR = 0x1FF00
_NEAR = 0x100


def unused(
    level: Level, metadata: str, size: int, members: Mapping[str, int], *, ours: bool, read: Callable[[str], str]
) -> int:
    """Give the bytes of every member, by name with its size, that an array of this size could use and does not.

    Whoever makes an array may have it leave some of its members, and others than we do so: with theirs it counts only
    if a member has grown since it became one, which the array remembers. Nothing is read where that cannot be.
    """
    if not level.is_redundant or metadata not in GROWING or not members:
        return 0
    if min(members.values()) - _part(level, size, len(members)) < SLACK:
        return 0
    if level is Level.RAID10 and _number(read("layout")) & _FAR != _NEAR:
        return 0
    offsets = {name: _number(read(f"dev-{name}/offset")) * SECTOR for name in members}
    used, chunk = _number(read("component_size")) * KIB, _number(read("chunk_size"))
    left = min(space - offsets[name] for name, space in members.items()) - used
    if not used or not all(offsets.values()) or left < SLACK + chunk:
        return 0
    if not ours and not any(_gained(members[name] - offsets[name], read(f"dev-{name}/size")) for name in members):
        return 0
    return left


def _part(level: Level, size: int, members: int) -> int:
    """Give what of each member is used, or a little less: spares may be among them, and copies."""
    holding = {Level.RAID4: members - 1, Level.RAID5: members - 1, Level.RAID6: members - 2}
    return size if level is Level.RAID1 else size // max(1, holding.get(level, members))


def _gained(space: int, remembered: str) -> bool:
    return 0 < _number(remembered) * KIB < space - SLACK


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
