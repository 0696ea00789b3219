"""What there is: a *backing* device holds the data and offers `/dev/bcache0`; a *cache* device may stand beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import Fact, Layer
from pre_nixos_bcache.superblock import CacheMode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SIGNATURE = "bcache"
DATA_OFFSET = 8192
"""Where the data begins on a backing device; said to the tool as well, so that it holds whatever its default."""


class Backing(Layer, tag="bcache.backing"):
    """A device for data that can be cached, with a cache in front of it or without."""

    mode: CacheMode | None = None
    label: str | None = None
    """At most 32 bytes."""
    uuid: Fact[str] = ""
    orphan: Fact[bool] = False
    """Whether it runs although its superblock is gone: once stopped, it will not come back."""

    def describe(self) -> str:
        """Label and mode."""
        return " ".join(filter(None, ("bcache", self.label and repr(self.label), self.mode)))

    def explains(self) -> frozenset[str]:
        """Its superblock."""
        return frozenset() if self.orphan else frozenset({SIGNATURE})

    def mark(self) -> Mapping[str, str]:
        """Only the device of a backing device has a state; the UUID is known of one that was found."""
        return {"bcache/backing_dev_uuid": self.uuid} if self.uuid else {"bcache/state": "*"}

    def usable(self, below: Sequence[int]) -> int:
        """All but its superblock."""
        return max(0, below[0] - DATA_OFFSET) if below else 0


class Cache(Layer, tag="bcache.cache"):
    """A device that caches others."""

    uuid: Fact[str] = ""
    """Of the cache set, by which backing devices know it."""

    def describe(self) -> str:
        """What it is."""
        return "bcache cache"

    def explains(self) -> frozenset[str]:
        """Its superblock."""
        return frozenset({SIGNATURE})
