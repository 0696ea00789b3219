"""The page for authors quotes the example; a quotation that is not in it has gone stale."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "pre-nixos-bcache"
PAGE = (ROOT / "docs" / "api" / "writing-a-plugin.md").read_text()
BLOCKS = re.findall(r"^```(?:python|toml)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
SOURCES = [each.read_text() for each in [*EXAMPLE.rglob("*.py"), EXAMPLE / "pyproject.toml"]]


def test_there_is_something_to_check() -> None:
    assert len(BLOCKS) > 10


@pytest.mark.parametrize("block", [each for each in BLOCKS if not each.startswith("from pre_nixos.host")])
def test_what_is_quoted_is_there(block: str) -> None:
    assert any(block in source for source in SOURCES)


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.startswith("from pre_nixos.host")])
def test_what_is_to_be_tried_can_at_least_be_read(block: str) -> None:
    compile(block, "writing-a-plugin.md", "exec")


def test_the_library_knows_nothing_of_it() -> None:
    word = re.compile(r"bcache(?!fs)")
    assert not [each for each in (ROOT / "pre_nixos").rglob("*.py") if word.search(each.read_text())]
