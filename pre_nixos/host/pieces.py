"""All that was read of one device, in the pieces it was read in."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Pieces(Mapping[int, bytes]):
    """What was read of one device, by offset; of reads that overlap one piece is made."""

    def __init__(self, pieces: Mapping[int, bytes] = {}) -> None:
        """Take pieces that do not overlap."""
        self._pieces = dict(sorted(pieces.items()))
        self._starts = list(self._pieces)

    def __getitem__(self, offset: int) -> bytes:
        """Give the piece that begins at an offset."""
        return self._pieces[offset]

    def __iter__(self) -> Iterator[int]:
        """Give the offsets of the pieces, in order."""
        return iter(self._pieces)

    def __len__(self) -> int:
        """Count the pieces."""
        return len(self._pieces)

    def at(self, offset: int, length: int) -> bytes:
        """Give bytes from an offset on, over pieces that follow each other; fewer where no more were read."""
        found = b""
        for start in self.touching(offset, length):
            here = offset + len(found)
            if not start <= here:
                break
            found += self._pieces[start][here - start : here - start + length - len(found)]
        return found

    def touching(self, offset: int, length: int) -> Sequence[int]:
        """Give the offsets of the pieces that have some of these bytes, in order."""
        return _touching(self._starts, self._pieces, offset, length)


def generations(reads: Iterable[tuple[int, bytes]]) -> Iterator[tuple[Pieces, int]]:
    """Put reads of one device together, in their order; give the pieces, and how many reads they are the answer to.

    What is in use may be written to between two reads: what was read before that is given apart from what comes after.
    """
    pieces: dict[int, bytes] = {}
    starts: list[int] = []
    count = 0
    for offset, data in reads:
        overlapping = _touching(starts, pieces, offset, len(data))
        first = min([offset, *overlapping])
        last = max([offset + len(data), *(each + len(pieces[each]) for each in overlapping)])
        joined = bytearray(last - first)
        for each in overlapping:
            joined[each - first : each - first + len(pieces[each])] = pieces[each]
        joined[offset - first : offset - first + len(data)] = data
        whole = bytes(joined)
        if any(whole[each - first : each - first + len(pieces[each])] != pieces[each] for each in overlapping):
            yield Pieces(pieces), count
            count = 0
        for each in overlapping:
            del pieces[each]
            starts.remove(each)
        pieces[first] = whole
        insort(starts, first)
        count += 1
    if count:
        yield Pieces(pieces), count


def _touching(starts: Sequence[int], pieces: Mapping[int, bytes], offset: int, length: int) -> Sequence[int]:
    first = max(0, bisect_right(starts, offset) - 1)
    before_the_end = takewhile(
        lambda start: start < offset + length, (starts[index] for index in range(first, len(starts)))
    )
    return [start for start in before_the_end if start + len(pieces[start]) > offset]
