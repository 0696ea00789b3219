"""What bcache writes about itself, 4 KiB into a device."""

from __future__ import annotations

import struct
from enum import StrEnum
from typing import TYPE_CHECKING

from pre_nixos.plugin import Data

if TYPE_CHECKING:
    from collections.abc import Callable

OFFSET = 4096
LENGTH = 4096
"""Bytes to read: one block, which every device can give."""

_MAGIC = bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81")
_LAYOUT = struct.Struct("<8xQQ16s16s16s32sQ")
"""Its own place in sectors, version, magic, UUID, UUID of the set, label, flags; a checksum comes first."""
_CACHES = frozenset({0, 3, 5})
_BACKINGS = frozenset({1, 4, 6})
"""Versions; each kind has got new ones over the years."""


class CacheMode(StrEnum):
    """When what is written reaches the slow device, in the order of their numbers in the superblock."""

    WRITETHROUGH = "writethrough"
    WRITEBACK = "writeback"
    WRITEAROUND = "writearound"
    NONE = "none"


_MODES: tuple[CacheMode, ...] = tuple(CacheMode)


class Superblock(Data):
    """One device's own account of itself."""

    backing: bool
    """Whether it holds the data, or a cache for it."""
    uuid: str
    set_uuid: str
    """Of the cache set it is, or was last, part of."""
    label: str
    mode: CacheMode
    attached: bool
    """Whether it has a cache, which may hold data that is nowhere else."""
    dirty: bool
    """Whether, when it was last written, the cache did."""


def read_superblock(data: bytes) -> Superblock | None:
    """Make sense of what was read at `OFFSET`; None if it is not a superblock of a version that is known."""
    if len(data) < _LAYOUT.size:
        return None
    sector, version, magic, uuid, set_uuid, label, flags = _LAYOUT.unpack_from(data)
    if magic != _MAGIC or sector * 512 != OFFSET or version not in _CACHES | _BACKINGS:
        return None
    backing = version in _BACKINGS
    state = flags >> 61 & 3  # none, clean, dirty, stale
    return Superblock(
        backing=backing,
        uuid=_uuid(uuid),
        set_uuid=_uuid(set_uuid),
        label=label.split(b"\0")[0].decode("utf-8", "replace"),
        mode=_MODES[int(flags) & 3] if backing else CacheMode.NONE,
        attached=backing and state != 0,
        dirty=backing and state == 2,
    )


def disguised(data: bytes, other: Callable[[str], str]) -> bytes:
    """Give a superblock that says the same to `read_superblock`, and does not tell whose it is; nothing if it is none.

    The checksum becomes zeros: it is not looked at.
    """
    if read_superblock(data) is None:
        return b""
    sector, version, magic, uuid, set_uuid, label, flags = _LAYOUT.unpack_from(data)
    named = other(label.split(b"\0")[0].decode("utf-8", "replace")).encode()
    uuids = (bytes.fromhex(other(_uuid(each)).replace("-", "")) for each in (uuid, set_uuid))
    return _LAYOUT.pack(sector, version, magic, *uuids, named, flags & (3 | 3 << 61))


def _uuid(raw: bytes) -> str:
    digits = raw.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
