from __future__ import annotations

import shlex

import pytest

from pre_nixos.cli.typed import typed

WORDS = ["pre-nixos", "apply", "--careful", "--slash", "1GiB", "--disks", "it's here", "--data", "2GiB", "--yes"]


@pytest.mark.parametrize("width", [20, 50, 80, 200])
def test_a_shell_reads_the_very_words(width: int) -> None:
    assert shlex.split("\n".join(typed(WORDS, width)).replace("\\\n", "")) == WORDS


@pytest.mark.parametrize("width", [40, 50, 80, 200])
def test_lines_fit_and_an_option_stays_with_its_value(width: int) -> None:
    lines = typed(WORDS, width, prompt="# ")
    assert max(map(len, lines)) <= width
    assert any("--slash 1GiB" in each for each in lines)


def test_what_fits_is_one_line() -> None:
    assert typed(["pre-nixos", "plan", "--check"], 80, prompt="# ") == ["# pre-nixos plan --check"]


def test_what_does_not_is_continued_under_it() -> None:
    assert typed(WORDS, 50, prompt="# ") == [
        "# pre-nixos apply --careful --slash 1GiB \\",
        "    --disks 'it'\"'\"'s here' --data 2GiB --yes",
    ]
