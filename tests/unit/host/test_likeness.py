from __future__ import annotations

import random

import pytest

from pre_nixos.host.likeness import Likenesses

DISKS = [
    "WD-WX11D86E7A1B",
    "WD-WX11D86E7A1C",
    "WD-WX11D86E7A9",
    "5000c500a1b2c3d4",
    "5000c500a1b2c3d5",
    "s45p",
    "S45PN",
    "eui",
]


@pytest.mark.parametrize("seed", range(20))
def test_what_is_known_keeps_its_order(seed: int) -> None:
    some = random.Random(seed)  # noqa: S311 - examples, not secrets
    known = [*DISKS, *("".join(some.choices("0123456789abcdefgxyz", k=some.randint(5, 9))) for _ in range(200))]
    likenesses = Likenesses(str(seed).encode(), known)
    ordered = sorted({each.lower() for each in known})
    others = [likenesses.of(each) for each in ordered]
    assert others == sorted(others)
    assert len(set(others)) == len(ordered)
    assert [each for each in DISKS[:5] if likenesses.of(each) == each] == []


def test_every_spelling_is_a_spelling_of_one_other() -> None:
    likenesses = Likenesses(b"key", ["ab-12", "ab-13"])
    other = likenesses.of("ab-12")
    assert likenesses.of("AB:1-2").replace(":", "").replace("-", "").lower() == other.replace("-", "")
    assert other[2] == "-"


def test_what_was_not_known_has_another_too() -> None:
    likenesses = Likenesses(b"key", ["abc123"])
    assert likenesses.of("0123456789abcdef") != "0123456789abcdef"
    assert likenesses.of("0123456789abcdef") == Likenesses(b"key").of("0123456789abcdef")


def test_letters_of_the_whole_world() -> None:
    known = [f"x{chr(0x3B1 + count)}" for count in range(24)]
    likenesses = Likenesses(b"key", [*known, "İstanbul"])
    assert all(likenesses.of(each).isascii() for each in known)
    assert len(likenesses.of("İstanbul")) == 8
