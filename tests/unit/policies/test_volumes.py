"""How much of what: the arithmetic of the policy, in tables."""

from __future__ import annotations

import pytest

from pre_nixos.plugin import InvalidLayout, human
from pre_nixos.policies.tiered.options import TieredOptions, read_sizes
from pre_nixos.policies.tiered.volumes import divide, installed, swap_needs, swap_size
from tests.unit.policies.servers import GIB, MIB


def divided(rooms: dict[str, int], options: TieredOptions, swap: int = 0) -> dict[str, str]:
    volumes = divide(rooms, swap, options, read_sizes(options))
    return {f"{each.group}/{each.name}": human(each.size) for each in volumes}


@pytest.mark.parametrize(
    ("seen", "built_in"),
    [
        (0, 0),
        (497 * MIB, 512 * MIB),
        (512 * MIB, 512 * MIB),
        (1970 * MIB, 2 * GIB),
        (15 * GIB + 600 * MIB, 16 * GIB),
        (15 * GIB + 300 * MIB, 16 * GIB),
        (251 * GIB + 1, 252 * GIB),
    ],
)
def test_memory_does_not_follow_the_kernel(seen: int, built_in: int) -> None:
    assert installed(seen) == built_in


@pytest.mark.parametrize(
    ("memory", "options", "expected"),
    [
        (16 * GIB, TieredOptions(), 32 * GIB),
        (128 * GIB, TieredOptions(), 64 * GIB),
        (512 * MIB, TieredOptions(), 1 * GIB),
        (16 * GIB, TieredOptions(swap_factor=0.5), 8 * GIB),
        (16 * GIB, TieredOptions(swap_factor=0), 0),
        (16 * GIB, TieredOptions(swap_cap="0"), 0),
        (16 * GIB, TieredOptions(swap_cap="4GiB"), 4 * GIB),
        (0, TieredOptions(), 0),
    ],
)
def test_swap_size(memory: int, options: TieredOptions, expected: int) -> None:
    assert swap_size(memory, options, read_sizes(options)) == expected


@pytest.mark.parametrize(
    ("rooms", "options", "swap", "expected"),
    [
        pytest.param(
            {"main": 500 * GIB},
            TieredOptions(),
            32 * GIB,
            {"main/slash": "50 GiB", "main/home": "16 GiB", "main/swap": "32 GiB"},
            id="one group",
        ),
        pytest.param(
            {"main": 90 * GIB + 8 * MIB},
            TieredOptions(),
            32 * GIB,
            {"main/slash": "50 GiB", "main/home": "10 GiB"},
            id="home is a quarter of what slash leaves; swap does not fit",
        ),
        pytest.param(
            {"main": 92 * GIB + 8 * MIB + 4 * MIB},
            TieredOptions(),
            31 * GIB,
            {"main/slash": "50 GiB", "main/home": "10.5 GiB", "main/swap": "31 GiB"},
            id="a quarter is rounded down to extents",
        ),
        pytest.param({"main": 50 * GIB + 8 * MIB}, TieredOptions(), 0, {"main/slash": "50 GiB"}, id="slash just fits"),
        pytest.param(
            {"main": 50 * GIB + 900 * MIB},
            TieredOptions(),
            GIB,
            {"main/slash": "50 GiB"},
            id="no home rather than a tiny one",
        ),
        pytest.param(
            {"main": 500 * GIB, "large": 8192 * GIB},
            TieredOptions(),
            32 * GIB,
            {"main/slash": "50 GiB", "main/home": "16 GiB", "large/data": "100 GiB", "large/swap": "32 GiB"},
            id="swap on large",
        ),
        pytest.param(
            {"main": 500 * GIB, "large": 120 * GIB},
            TieredOptions(),
            32 * GIB,
            {"main/slash": "50 GiB", "main/home": "16 GiB", "main/swap": "32 GiB", "large/data": "100 GiB"},
            id="swap does not fit on large, so it is on main",
        ),
        pytest.param(
            {"main": 500 * GIB, "large": 8192 * GIB, "swap": 200 * GIB},
            TieredOptions(),
            32 * GIB,
            {
                "main/slash": "50 GiB",
                "main/home": "16 GiB",
                "large/data": "100 GiB",
                "swap/swap": "32 GiB",
                "swap/var_tmp": "32 GiB",
                "swap/var_log": "16 GiB",
            },
            id="swap on disks of its own",
        ),
        pytest.param(
            {"main": 500 * GIB, "main_1": 500 * GIB, "large": 200 * GIB, "large_1": 200 * GIB},
            TieredOptions(),
            0,
            {"main/slash": "50 GiB", "main/home": "16 GiB", "large/data": "100 GiB"},
            id="further groups stay empty",
        ),
        pytest.param(
            {"main": 500 * GIB, "large": 200 * GIB, "swap": 100 * GIB},
            TieredOptions(slash="60GiB", home_cap="0", data="0", var_tmp="0", var_log="1GiB"),
            8 * GIB,
            {"main/slash": "60 GiB", "swap/swap": "8 GiB", "swap/var_log": "1 GiB"},
            id="0 makes none",
        ),
        pytest.param(
            {"sys": 500 * GIB + 8 * MIB, "big": 200 * GIB, "main": 100 * GIB, "large": 100 * GIB},
            TieredOptions(main_name="sys", large_name="big", home_share=100, home_cap="1TiB"),
            0,
            {"sys/slash": "50 GiB", "sys/home": "450 GiB", "big/data": "100 GiB"},
            id="other names",
        ),
        pytest.param(
            {"main": 3 * GIB},
            TieredOptions(slash="2001MiB", extent="32MiB", free_extents=4, home_least="1"),
            512 * MIB,
            {"main/slash": "2 GiB", "main/home": "224 MiB", "main/swap": "512 MiB"},
            id="larger extents",
        ),
    ],
)
def test_divide(rooms: dict[str, int], options: TieredOptions, swap: int, expected: dict[str, str]) -> None:
    assert divided(rooms, options, swap) == expected


def test_what_does_not_fit_is_refused_with_the_arithmetic() -> None:
    with pytest.raises(InvalidLayout) as refused:
        divided({"main": 30 * GIB, "large": 90 * GIB}, TieredOptions())
    about_slash, about_data = refused.value.problems
    assert about_slash == (
        "main/slash is to have 50 GiB, but volume group main has 30 GiB, of which 8 MiB stay free: 20 GiB too little. "
        "Set the option slash to at most 30712MiB, or use larger disks (option disks)."
    )
    assert "large/data is to have 100 GiB, but volume group large has 90 GiB" in about_data


def test_what_the_refusal_names_fits() -> None:
    assert divided({"main": 30 * GIB}, TieredOptions(slash="30712MiB")) == {"main/slash": "30 GiB"}


def test_a_pair_for_swap_must_hold_what_comes_with_it() -> None:
    options = TieredOptions()
    sizes = read_sizes(options)
    assert swap_needs(32 * GIB, options, sizes) == 80 * GIB + 8 * MIB
    assert swap_needs(0, options, sizes) == 0
    volumes = divide({"swap": 80 * GIB + 8 * MIB}, 32 * GIB, options, sizes)
    assert [(each.name, each.at, each.mode) for each in volumes] == [
        ("swap", "", None),
        ("var_tmp", "/var/tmp", 0o1777),
        ("var_log", "/var/log", None),
    ]


def test_everything_wrong_with_the_options_is_said_at_once() -> None:
    options = TieredOptions(
        slash="50 gibbons", data="-1", extent="3MiB", main_name="-x", large_name="swap", home_cap="1.5TiB"
    )
    with pytest.raises(InvalidLayout) as refused:
        read_sizes(options)
    told = "\n".join(refused.value.problems)
    for part in ("option slash", "option data", "option extent", "option main_name", "share a name"):
        assert part in told
    assert "home_cap" not in told
