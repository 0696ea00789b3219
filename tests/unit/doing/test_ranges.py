from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre_nixos.host.doing.ranges import clip, overlaps, unaligned, widen
from pre_nixos.model.step import MIB, WINDOW, Range


def spans(*pairs: tuple[int, int]) -> tuple[Range, ...]:
    return tuple(Range(start=start, length=length) for start, length in pairs)


@pytest.mark.parametrize(
    ("wanted", "size", "expected"),
    [
        (spans((0, WINDOW), (-WINDOW, WINDOW)), 64 * MIB, spans((0, WINDOW), (48 * MIB, WINDOW))),
        (spans((0, WINDOW), (-WINDOW, WINDOW)), 8 * MIB, spans((0, 8 * MIB))),
        (spans((0, WINDOW), (-WINDOW, WINDOW)), 20 * MIB, spans((0, 20 * MIB))),
        (spans((-16, 4)), 100, spans((84, 4))),
        (spans((-16, 100)), 100, spans((84, 16))),
        (spans((-200, 150)), 100, spans((0, 50))),
        (spans((-200, 50)), 100, ()),
        (spans((100, 1)), 100, ()),
        (spans((0, 0), (5, -3)), 100, ()),
        (spans((10, 10), (0, 10), (30, 5)), 100, spans((0, 20), (30, 5))),
        (spans((0, 10)), 0, ()),
    ],
)
def test_ranges_lie_within_the_device(wanted: tuple[Range, ...], size: int, expected: tuple[Range, ...]) -> None:
    assert clip(wanted, size) == expected


@given(st.lists(st.tuples(st.integers(-60, 60), st.integers(0, 60)), max_size=5), st.integers(0, 50))
def test_exactly_the_bytes_asked_for_that_exist(pairs: list[tuple[int, int]], size: int) -> None:
    asked = {
        byte
        for start, length in pairs
        for byte in range(start + (size if start < 0 else 0), start + (size if start < 0 else 0) + length)
    }
    clipped = clip(spans(*pairs), size)
    given_bytes = [byte for piece in clipped for byte in range(piece.start, piece.start + piece.length)]
    assert given_bytes == sorted(asked & set(range(size)))


def test_sectors() -> None:
    assert unaligned(spans((0, 4096), (4096, 512)), 512) is None
    assert unaligned(spans((0, 4096), (4096, 512)), 4096) == Range(start=4096, length=512)
    assert widen(Range(start=3, length=509), 512) == Range(start=0, length=512)
    assert widen(Range(start=511, length=2), 512) == Range(start=0, length=1024)
    assert overlaps(Range(start=0, length=10), Range(start=9, length=1))
    assert not overlaps(Range(start=0, length=10), Range(start=10, length=1))
