"""Which disks the policy puts together, and what for: tables, without any backend."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre_nixos.plugin import Disk
from pre_nixos.policies.selection import size_of, sort_into_buckets
from pre_nixos.policies.tiered.tiers import Choice, Demands, Tier, choose, level_for
from tests.unit.policies.servers import GB, TB, disk, hdds, ssds

DEMANDS = Demands(main_needs=50 * GB, swap_needs=100 * GB)


def room(tier: Tier) -> int:
    """What the level leaves, without what partitions and metadata take."""
    count = len(tier.bucket.disks)
    match tier.level:
        case None | 0:
            return tier.bucket.total
        case 1:
            return tier.bucket.smallest
        case 5 | 6:
            return tier.bucket.smallest * (count - tier.level + 4)
        case _:
            return tier.bucket.smallest * count // 2


def told(choice: Choice) -> dict[str, str]:
    """Each tier as `RAID level of disks`, for reading in a table."""
    return {
        tier.name: ("plain" if tier.level is None else f"RAID{tier.level}")
        + " "
        + " ".join(each.serial or "" for each in tier.bucket.disks)
        for tier in choice.tiers
    }


@pytest.mark.parametrize(
    ("count", "fast", "careful", "spinning"),
    [
        (1, None, None, None),
        (2, 0, 1, 1),
        (3, 0, 1, 5),
        (4, 0, 10, 5),
        (5, 0, 10, 5),
        (6, 0, 10, 6),
        (12, 0, 10, 6),
    ],
)
def test_levels(count: int, fast: int | None, careful: int | None, spinning: int | None) -> None:
    assert level_for(count, rotational=False, careful=False) == fast
    assert level_for(count, rotational=False, careful=True) == careful
    assert level_for(count, rotational=True, careful=False) == spinning
    assert level_for(count, rotational=True, careful=True) == spinning


@pytest.mark.parametrize(
    ("sizes", "tolerance", "together"),
    [
        ([500 * GB, 500 * GB], 1, [2]),
        ([500 * GB, 505 * GB], 1, [2]),
        ([500 * GB, 506 * GB], 1, [1, 1]),
        ([500 * GB, 506 * GB], 2, [2]),
        ([500 * GB, 501 * GB], 0, [1, 1]),
        # Each differs from the next by less than 1 %, but the last from the first by more.
        ([1000 * GB, 1008 * GB, 1016 * GB], 1, [2, 1]),
        ([1 * TB, 2 * TB, 1 * TB, 2 * TB, 2 * TB], 1, [3, 2]),
        # What matches comes before what does not, however large that is.
        ([1 * TB, 1 * TB, 20 * TB], 1, [2, 1]),
        ([], 1, []),
    ],
)
def test_buckets(sizes: list[int], tolerance: float, together: list[int]) -> None:
    assert [len(each.disks) for each in sort_into_buckets(ssds(*sizes), tolerance)] == together


@pytest.mark.parametrize(
    ("disks", "tiers", "left"),
    [
        pytest.param(ssds(1 * TB), {"main": "plain S0"}, "", id="one SSD"),
        pytest.param(hdds(1 * TB), {"main": "plain H0"}, "", id="one HDD"),
        pytest.param([disk("X", TB, rotational=None)], {"main": "plain X"}, "", id="one of an unknown kind"),
        pytest.param(ssds(1 * TB, 1 * TB), {"main": "RAID0 S0 S1"}, "", id="two SSDs"),
        pytest.param(
            [disk("X", TB, rotational=None), disk("Y", TB, rotational=None)],
            {"main": "RAID1 X Y"},
            "",
            id="two of an unknown kind are mirrored",
        ),
        pytest.param(
            ssds(TB, TB) + hdds(4 * TB, 4 * TB), {"main": "RAID0 S0 S1", "large": "RAID1 H0 H1"}, "", id="two and two"
        ),
        pytest.param(
            ssds(TB) + hdds(*[4 * TB] * 6),
            {"main": "plain S0", "large": "RAID6 H0 H1 H2 H3 H4 H5"},
            "",
            id="one and six",
        ),
        pytest.param(
            ssds(TB, TB) + hdds(*[8 * TB] * 4, 1 * TB, 1 * TB),
            {"main": "RAID0 S0 S1", "large": "RAID5 H0 H1 H2 H3", "swap": "RAID1 H4 H5"},
            "",
            id="a small pair for swap",
        ),
        pytest.param(
            ssds(TB, TB) + hdds(*[8 * TB] * 4, 6 * TB, 6 * TB),
            {"main": "RAID0 S0 S1", "large": "RAID5 H0 H1 H2 H3", "large_1": "RAID1 H4 H5"},
            "",
            id="a pair too large to be wasted on swap",
        ),
        pytest.param(
            ssds(TB, TB) + hdds(*[8 * TB] * 4, 80 * GB, 80 * GB),
            {"main": "RAID0 S0 S1", "large": "RAID5 H0 H1 H2 H3", "large_1": "RAID1 H4 H5"},
            "",
            id="a pair too small for swap",
        ),
        pytest.param(
            ssds(TB) + hdds(8 * TB, 8 * TB, 2 * TB, 2 * TB, 1 * TB, 1 * TB),
            {"main": "plain S0", "large": "RAID1 H0 H1", "large_1": "RAID1 H2 H3", "swap": "RAID1 H4 H5"},
            "",
            id="the smallest pair that will do",
        ),
        pytest.param(
            ssds(TB) + hdds(*[8 * TB] * 4, 1 * TB, 1 * TB, 1 * TB),
            {"main": "plain S0", "large": "RAID5 H0 H1 H2 H3", "large_1": "RAID5 H4 H5 H6"},
            "",
            id="three small ones are no pair",
        ),
        pytest.param(
            ssds(TB, TB, 2 * TB, 2 * TB, 4 * TB),
            {"main": "RAID0 S2 S3", "main_1": "RAID0 S0 S1"},
            "S4",
            id="the larger bucket is main, and a larger disk is not truncated",
        ),
        pytest.param(
            ssds(32 * GB, 32 * GB, 32 * GB, 40 * GB, 40 * GB),
            {"main": "RAID0 S0 S1 S2", "main_1": "RAID0 S3 S4"},
            "",
            id="more disks can be more than larger ones",
        ),
        pytest.param(ssds(TB, 2 * TB), {"main": "plain S1"}, "S0", id="two SSDs that do not match"),
        pytest.param(ssds(TB) + hdds(4 * TB), {"main": "plain S0"}, "H0", id="a lone HDD beside an SSD"),
        pytest.param(
            ssds(16 * GB) + hdds(4 * TB, 4 * TB), {"main": "RAID1 H0 H1"}, "S0", id="an SSD too small for a system"
        ),
        pytest.param(
            ssds(16 * GB, 16 * GB) + hdds(4 * TB, 4 * TB),
            {"main": "RAID0 S0 S1", "large": "RAID1 H0 H1"},
            "",
            id="two SSDs too small: a person should decide",
        ),
        pytest.param(ssds(16 * GB), {"main": "plain S0"}, "", id="nothing else there"),
        pytest.param(hdds(TB, TB), {"main": "RAID1 H0 H1"}, "", id="HDDs only: a mirror"),
        pytest.param(hdds(TB, TB, TB), {"main": "RAID5 H0 H1 H2"}, "", id="HDDs only: no pair"),
        pytest.param(
            hdds(TB, TB, *[8 * TB] * 4),
            {"main": "RAID1 H0 H1", "large": "RAID5 H2 H3 H4 H5"},
            "",
            id="HDDs only: the pair is for the system",
        ),
        pytest.param(
            hdds(8 * TB, 8 * TB, TB, TB, TB),
            {"main": "RAID1 H0 H1", "large": "RAID5 H2 H3 H4"},
            "",
            id="HDDs only: also if it is the larger one",
        ),
        pytest.param(
            hdds(500 * GB, 500 * GB, 2 * TB, 2 * TB, *[8 * TB] * 6),
            {"main": "RAID1 H2 H3", "large": "RAID6 H4 H5 H6 H7 H8 H9", "swap": "RAID1 H0 H1"},
            "",
            id="HDDs only: three uses",
        ),
        pytest.param(
            hdds(40 * GB, 40 * GB, TB, TB),
            {"main": "RAID1 H2 H3", "large": "RAID1 H0 H1"},
            "",
            id="HDDs only: the pair the system fits on",
        ),
        pytest.param(hdds(TB, 2 * TB), {"main": "plain H1"}, "H0", id="HDDs only: none match"),
        pytest.param([], {}, "", id="no disks"),
    ],
)
def test_uses(disks: list[Disk], tiers: dict[str, str], left: str) -> None:
    choice = choose(disks, DEMANDS, room)
    assert told(choice) == tiers
    assert " ".join(each.serial or "" for each in choice.left) == left
    assert [tier.name for tier in choice.tiers if tier.boots] == (["main"] if disks else [])


@pytest.mark.parametrize(
    ("disks", "tiers"),
    [
        (ssds(TB) + hdds(4 * TB), {"main": "plain S0", "large": "plain H0"}),
        (
            ssds(TB, TB, 4 * TB) + hdds(4 * TB, 4 * TB, 9 * TB),
            {"main": "RAID0 S0 S1", "main_1": "plain S2", "large": "RAID1 H0 H1", "large_1": "plain H2"},
        ),
        (hdds(TB, *[8 * TB] * 4), {"main": "RAID5 H1 H2 H3 H4", "large": "plain H0"}),
    ],
)
def test_lone_disks_are_used_when_asked(disks: list[Disk], tiers: dict[str, str]) -> None:
    assert told(choose(disks, Demands(lone=True, main_needs=50 * GB), room)) == tiers


def test_no_swap_needs_no_disks_for_it() -> None:
    disks = ssds(TB) + hdds(*[8 * TB] * 4, 1 * TB, 1 * TB)
    assert "swap" not in told(choose(disks, Demands(main_needs=50 * GB), room))


SIZES = st.sampled_from([8 * GB, 60 * GB, 480 * GB, 481 * GB, TB, 4 * TB, 4 * TB + 8 * GB, 16 * TB])
MEDIA = st.sampled_from([True, False, None])


@given(st.lists(st.tuples(SIZES, MEDIA), max_size=14), st.booleans(), st.booleans())
def test_whatever_the_disks(given: list[tuple[int, bool | None]], careful: bool, lone: bool) -> None:  # noqa: FBT001 - drawn
    disks = [disk(f"D{count}", size, rotational=medium) for count, (size, medium) in enumerate(given)]
    demands = Demands(careful=careful, lone=lone, main_needs=50 * GB, swap_needs=100 * GB)
    choice = choose(disks, demands, room)
    taken = [each.id for tier in choice.tiers for each in tier.bucket.disks]
    assert len(taken) == len(set(taken)), "a disk has one use"
    assert sorted([*taken, *(each.id for each in choice.left)]) == sorted([each.id for each in disks]), (
        "no disk is forgotten"
    )
    assert bool(choice.tiers) is bool(disks), "one disk of any kind works"
    for tier in choice.tiers:
        sizes = [size_of(each) for each in tier.bucket.disks]
        assert max(sizes) <= min(sizes) * 1.01, "no disk is truncated"
        assert tier.level is None or len(sizes) > 1
        assert tier.level != 0 or not (careful or tier.bucket.rotational)
    names = [tier.name for tier in choice.tiers]
    assert len(set(names)) == len(names)
    assert sum(tier.boots for tier in choice.tiers) == bool(disks)
