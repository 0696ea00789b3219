"""Giving partitions their places: pure arithmetic, and errors that show it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pre_nixos.backends.gpt import types
from pre_nixos.plugin import MIB, Exact, Rest, Share, as_size, human

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pre_nixos.backends.gpt.kinds import Partition

GRAIN = MIB
"""Partitions begin and end at multiples of this, unless their start was given."""
FIRST = MIB
"""Where the first one begins: what lies before belongs to the table and to boot code."""
SECTOR = 512
LAST_SECTORS = 33 * SECTOR
"""What the backup table takes at the end. Sectors of 4 KiB make it longer, but such disks end where nothing aligned
could lie in the difference."""
SLOTS = 128
LABEL_UNITS = 36


class _Span(NamedTuple):
    number: int
    start: int
    end: int


def arranged(parts: Sequence[Partition], space: int) -> Sequence[Partition]:
    """Give every partition its start and its size in bytes, in the order they came.

    They follow each other by number. One whose start is given lies exactly there and has exactly the size it was given,
    because that is how one that exists is written down; all others begin and end at whole MiB.
    """
    problems = _faults(parts)
    if problems:
        raise ValueError("; ".join(problems))
    ordered = sorted(parts, key=lambda part: part.number)
    sizes = _sizes(ordered, space)
    spans = _spans(ordered, sizes, space)
    _insist(spans, space)
    return [
        msgspec.structs.replace(part, start=span.start, size=Exact(bytes=span.end - span.start))
        for part in parts
        for span in (spans[part.number],)
    ]


def _faults(parts: Sequence[Partition]) -> Sequence[str]:
    """List what is wrong with partitions whatever the disk."""
    found = [f"partition {part.number}: {fault}" for part in parts for fault in faults_of(part)]
    numbers = [part.number for part in parts]
    found += [f"there are two partitions {each}" for each in sorted({n for n in numbers if numbers.count(n) > 1})]
    uuids = [part.uuid for part in parts if part.uuid]
    found += [f"two partitions have the UUID {each}" for each in sorted({u for u in uuids if uuids.count(u) > 1})]
    rests = [str(part.number) for part in parts if isinstance(as_size(part.size), Rest)]
    if len(rests) > 1:
        found.append(f"partitions {', '.join(rests)} would each take the rest, and only one can")
    return found


def faults_of(part: Partition) -> Iterator[str]:
    """Say what is wrong with one partition, whatever the disk and whatever the others."""
    units = len((part.label or "").encode("utf-16-le", "surrogatepass")) // 2
    if not 1 <= part.number <= SLOTS:
        yield f"numbers go from 1 to {SLOTS}"
    if part.type is not None and (not types.is_guid(part.type) or part.type == types.UNUSED):
        yield f"{part.type!r} is no partition type; write a name such as esp, raid or lvm, or a GUID"
    if part.uuid is not None and not types.is_guid(part.uuid):
        yield f"{part.uuid!r} is no UUID"
    if units > LABEL_UNITS:
        yield f"its label has {units} characters, and a table has room for {LABEL_UNITS}"
    yield from _misplaced(part)


def _misplaced(part: Partition) -> Iterator[str]:
    size = as_size(part.size)
    if isinstance(size, Exact) and size.bytes <= 0:
        yield f"its size is {human(size.bytes)}"
    if part.start is None:
        return
    if part.start % SECTOR:
        yield f"it would start at byte {part.start}, which is no whole sector"
    if part.start < FIRST:
        yield f"it would start before {human(FIRST)}, where the table and boot code are"
    if isinstance(size, Exact) and size.bytes % SECTOR:
        yield f"its size of {size.bytes} bytes is no whole number of sectors"


def _sizes(parts: Sequence[Partition], space: int) -> Mapping[int, int]:
    """Resolve every size but that of the one which takes the rest."""
    sizes: dict[int, int] = {}
    for part in parts:
        size = as_size(part.size)
        if isinstance(size, Exact):
            sizes[part.number] = size.bytes if part.start is not None else _up(size.bytes)
        elif isinstance(size, Share):
            sizes[part.number] = max(GRAIN, (int(space * size.percent / 100) - size.less) // GRAIN * GRAIN)
    return sizes


def _spans(parts: Sequence[Partition], sizes: Mapping[int, int], space: int) -> Mapping[int, _Span]:
    spans: dict[int, _Span] = {}
    cursor = FIRST
    for position, part in enumerate(parts):
        start = cursor if part.start is None else part.start
        size = sizes.get(part.number)
        if size is None:
            size = _rest(part, start, parts[position + 1 :], sizes, space)
        spans[part.number] = _Span(part.number, start, start + size)
        cursor = max(cursor, _up(start + size))
    return spans


def _rest(part: Partition, start: int, later: Sequence[Partition], sizes: Mapping[int, int], space: int) -> int:
    """Give what is left for the one that takes the rest: up to what has a fixed place, or to the end."""
    limit, until = (FIRST + space) // GRAIN * GRAIN, "the end"
    needed = 0
    for other in later:
        if other.start is not None and other.start >= start:
            limit, until = other.start // GRAIN * GRAIN, f"partition {other.number}"
            break
        needed += sizes[other.number] if other.start is None else 0
    size = as_size(part.size)
    keep = size.keep if isinstance(size, Rest) else 0
    left = (limit - start - needed - keep) // GRAIN * GRAIN
    if limit < start:
        room = f"it would start at {human(start)}, and there is room up to {human(limit)}"
        raise ValueError(f"nothing is left for partition {part.number}, which is to take the rest: {room}")
    if left <= 0:
        taken = [f"{human(limit - start)} lie between its start and {until}"]
        taken += [f"the partitions after it need {human(needed)}"] if needed else []
        taken += [f"{human(keep)} are to stay free"] if keep else []
        raise ValueError(f"nothing is left for partition {part.number}, which is to take the rest: {', '.join(taken)}")
    return left


def _insist(spans: Mapping[int, _Span], space: int) -> None:
    ordered = sorted(spans.values(), key=lambda span: span.start)
    overlaps = [
        f"partition {other.number} would start at {human(other.start)}, and partition {one.number} ends at "
        f"{human(one.end)}"
        for one, other in pairwise(ordered)
        if other.start < one.end
    ]
    if overlaps:
        raise ValueError("; ".join(overlaps))
    end = max((span.end for span in ordered), default=0)
    if end > FIRST + space:
        needed = [f"{human(span.end - span.start)} for partition {span.number}" for span in ordered]
        raise ValueError(
            f"the partitions need {' + '.join(needed)} and end at {human(end)}, but the device has room up to "
            f"{human(FIRST + space)}: {human(end - FIRST - space)} too much"
        )


def _up(count: int) -> int:
    return -(-count // GRAIN) * GRAIN
