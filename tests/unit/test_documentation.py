"""What can be used is documented, and what is documented can be used."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import pre_nixos
from pre_nixos import plugin, testing
from pre_nixos.hooks import specs

ROOT = Path(__file__).parents[2]
API = ROOT / "docs" / "api"
HOOKS = [each.__name__ for each in (*specs.OWNED, *specs.READING, *specs.SHARED)]


def test_every_hookspec_is_listed_as_owned_or_shared() -> None:
    marked = {name for name, value in vars(specs).items() if hasattr(value, "pre_nixos_spec")}
    assert marked == set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_page_with_its_very_signature(hook: str) -> None:
    page = (API / "hooks" / f"{hook}.md").read_text()
    signature = f"{hook}{inspect.signature(getattr(specs, hook))}".replace("'", "")
    assert f"```python\n{signature}\n```" in page


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_answered_in_some_test(hook: str) -> None:
    marks = re.compile(rf"(?:implements|for_kind|for_type)\(hooks\.{hook}\b")
    assert any(marks.search(each.read_text()) for each in (ROOT / "tests" / "unit").rglob("*.py"))


def test_no_page_is_left_of_a_hook_that_is_gone() -> None:
    assert {each.stem for each in (API / "hooks").glob("*.md")} == set(HOOKS)


@pytest.mark.parametrize("name", pre_nixos.__all__)
def test_everything_behind_the_callers_door_is_described(name: str) -> None:
    assert getattr(pre_nixos, name) is not None
    assert f"`{name}`" in (API / "callers.md").read_text() or f"`{name}(" in (API / "callers.md").read_text()


@pytest.mark.parametrize("name", plugin.__all__)
def test_everything_behind_the_authors_door_is_described(name: str) -> None:
    assert f"`{name}`" in (API / "authors.md").read_text()


@pytest.mark.parametrize("name", testing.__all__)
def test_everything_for_tests_of_plugins_is_described(name: str) -> None:
    assert f"`{name}`" in (API / "testing.md").read_text()


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name
)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
