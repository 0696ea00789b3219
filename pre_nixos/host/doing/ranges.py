"""Which bytes of a device a step means, once the device's size is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.model.step import Range

if TYPE_CHECKING:
    from collections.abc import Iterable


def clip(ranges: Iterable[Range], size: int) -> tuple[Range, ...]:
    """Turn ranges, some counted from the end, into ordered ones that do not overlap and lie within the device.

    What lies outside is left off: the last 16 MiB of a device of 8 MiB are all of it.
    """
    spans: list[tuple[int, int]] = []
    for wanted in ranges:
        start = wanted.start + size if wanted.start < 0 else wanted.start
        end = min(start + wanted.length, size)
        if end > max(start, 0):
            spans.append((max(start, 0), end))
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(Range(start=start, length=end - start) for start, end in merged)


def unaligned(ranges: Iterable[Range], sector: int) -> Range | None:
    """The first range that does not start and end between two sectors."""
    return next((r for r in ranges if r.start % sector or r.length % sector), None)


def widen(wanted: Range, sector: int) -> Range:
    """The smallest range of whole sectors around this one."""
    start = wanted.start - wanted.start % sector
    end = -(-(wanted.start + wanted.length) // sector) * sector
    return Range(start=start, length=end - start)


def overlaps(one: Range, other: Range) -> bool:
    """Whether two ranges share a byte."""
    return one.start < other.start + other.length and other.start < one.start + one.length


def shown(wanted: Range) -> str:
    """A range in words."""
    return f"bytes {wanted.start}-{wanted.start + wanted.length - 1}"
