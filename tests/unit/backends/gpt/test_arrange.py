from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre_nixos.backends.gpt import Partition, Table
from pre_nixos.plugin import MIB, Exact, Rest, Share, exact_bytes

CASES = sorted((Path(__file__).parents[2] / "cases/gpt/arrange").glob("*.json"))


def arrange(device: int, parts: list[Partition]) -> list[Partition]:
    table = Table()
    space = table.usable([device])
    assert space is not None
    return [each for each in table.arrange(space, parts) if isinstance(each, Partition)]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_partitions_get_their_places(path: Path) -> None:
    case: dict[str, Any] = json.loads(path.read_text())
    parts = [msgspec.convert(each | {"kind": "gpt.partition"}, Partition) for each in case["parts"]]
    if "error" in case:
        with pytest.raises(ValueError, match="partition") as caught:
            arrange(case["device"], parts)
        assert str(caught.value) == case["error"]
    else:
        placed = arrange(case["device"], parts)
        assert [[each.number, each.start, exact_bytes(each.size)] for each in placed] == case["arranged"]


SIZES = st.one_of(
    st.builds(Exact, bytes=st.integers(1, 1 << 36)), st.builds(Share, percent=st.floats(0.1, 60)), st.builds(Rest)
)


@given(device=st.integers(0, 1 << 40), sizes=st.lists(SIZES, min_size=1, max_size=6))
def test_whatever_is_accepted_fits_and_stays_accepted(device: int, sizes: list[Exact | Share | Rest]) -> None:
    parts = [Partition(number=number, size=size) for number, size in enumerate(sizes, 1)]
    try:
        placed = arrange(device, parts)
    except ValueError:
        return
    end = MIB
    for part in placed:
        assert part.start is not None
        assert part.start >= end
        assert part.start % MIB == 0
        end = part.start + exact_bytes(part.size)
    # The backup table takes 33 sectors of 512 bytes, or 5 of 4096.
    assert end <= device - 33 * 512
    if device % 4096 == 0:
        assert end <= device - 5 * 4096
    assert arrange(device, placed) == placed, "a second run must find everything where the first one put it"
