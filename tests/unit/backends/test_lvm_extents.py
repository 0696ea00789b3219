"""How volumes share a group, next to what LVM made of it in the lab."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre_nixos.backends.lvm import Group, Volume
from pre_nixos.backends.lvm.extents import arranged, cost, whole_extents
from pre_nixos.plugin import MIB, Exact, Rest, Share
from tests.unit.backends.replayed import CASES

if TYPE_CHECKING:
    from pre_nixos.plugin import Size

EXTENT = 4 * MIB


def recorded_sizes() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((CASES / "lvm" / "usable" / "lvm-2.03.16.json").read_text())
    return rows


@pytest.mark.parametrize("row", recorded_sizes(), ids=lambda row: f"{row['devices']}-{row['extent']}")
def test_a_group_offers_what_was_said_it_would(row: dict[str, Any]) -> None:
    assert Group(name="v", extent_size=row["extent"]).usable(row["devices"]) == row["offers"]


def volume(name: str, size: Size | str = "8MiB", **more: Any) -> Volume:
    return Volume(name=name, size=size, **more)


@pytest.mark.parametrize(
    ("volumes", "extents"),
    [
        ([volume("a", "8MiB")], [2]),
        ([volume("a", "9MiB")], [3]),
        ([volume("a", "1B")], [1]),
        ([volume("a", "10%"), volume("b", Rest())], [10, 90]),
        ([volume("a", Rest()), volume("b", Rest())], [50, 50]),
        ([volume("a", Rest()), volume("b", Rest()), volume("c", "4MiB")], [49, 50, 1]),
        ([volume("a", Rest(keep=10 * MIB))], [97]),
        ([volume("a", Rest(), type="raid1")], [49]),
        ([volume("a", Rest(), type="raid1", mirrors=2)], [32]),
        ([volume("a", Rest(), type="raid5", stripes=4)], [76]),
        ([volume("a", Rest(), type="raid6")], [57]),
        ([volume("a", Rest(), type="raid10")], [48]),
        ([volume("a", Rest(), stripes=3)], [99]),
        ([volume("a", "9MiB", stripes=2)], [4]),
        ([volume("p", Rest(), type="thin-pool"), volume("t", "1TiB", type="thin", pool="p")], [98, 262144]),
        ([volume("o", "40MiB"), volume("s", "20%", type="snapshot", origin="o"), volume("r", Rest())], [10, 20, 70]),
    ],
)
def test_arrange(volumes: list[Volume], extents: list[int]) -> None:
    assert [size // EXTENT for size in arranged(volumes, 100 * EXTENT, EXTENT)] == extents


@pytest.mark.parametrize(
    ("volumes", "said"),
    [
        (
            [volume("a", "300MiB"), volume("b", "104MiB")],
            "the group has 400 MiB in whole extents, and asked for are a 300 MiB \\+ b 104 MiB",
        ),
        ([volume("a", "400MiB"), volume("b", Rest())], "nothing is left for b: the group has 400 MiB .* a 400 MiB"),
        ([volume("a", "201MiB", type="raid1")], "a 416 MiB"),
        (
            [volume("a", "396MiB"), volume("b", Rest(keep=EXTENT))],
            "nothing is left for b: .*a 396 MiB .* 4 MiB to stay",
        ),
        (
            [volume("a", Rest(), type="thin", pool="p")],
            "a: a thin volume takes no space of its own, and so has no rest",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_the_arithmetic(volumes: list[Volume], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        arranged(volumes, 100 * EXTENT, EXTENT)


TYPES = [None, "linear", "striped", "raid0", "raid1", "raid5", "raid6", "raid10", "thin-pool", "thin", "snapshot"]
SIZES: st.SearchStrategy[Size] = st.one_of(
    st.builds(Exact, bytes=st.integers(1, 40 * 1024 * MIB)),
    st.builds(Share, percent=st.floats(0.1, 99)),
    st.builds(Rest, keep=st.integers(0, 100 * MIB)),
)


@given(
    volumes=st.lists(
        st.builds(
            volume,
            st.sampled_from("abcdef"),
            SIZES,
            type=st.sampled_from(TYPES),
            stripes=st.sampled_from([None, 1, 3, 4]),
            mirrors=st.sampled_from([None, 1, 2]),
        ),
        min_size=1,
        max_size=5,
    ),
    devices=st.lists(st.integers(0, 100 * 1024 * MIB), min_size=1, max_size=4),
    extent=st.sampled_from([65536, MIB, EXTENT, 32 * MIB]),
)
def test_no_arrangement_takes_more_than_there_is(volumes: list[Volume], devices: list[int], extent: int) -> None:
    space = whole_extents(devices, extent)
    try:
        sizes = arranged(volumes, space, extent)
    except ValueError:
        return
    assert all(size > 0 and size % extent == 0 for size in sizes)
    asked = zip(volumes, sizes, strict=True)
    assert sum(cost(each, size // extent, extent) for each, size in asked) * extent <= space
