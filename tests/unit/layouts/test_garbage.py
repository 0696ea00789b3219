"""Whatever somebody writes, the answer is a list of what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import pre_nixos as pn
from tests.unit.layouts.cases import RIGHT, case, disk, layout, with_disks

if TYPE_CHECKING:
    from pathlib import Path

ODD: tuple[object, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1 << 70,
        0.5,
        "",
        " ",
        "/",
        "x",
        "100%",
        "-1G",
        "0%FREE",
        "\0",
        "\ud800",
        "a\nb",
        "-",
        "..",
    ),
    *([], {}, [1], ["x"], ["-L"], [None], {"x": None}, {"x": {}}),
    *({"type": 5}, {"type": "luks"}, {"type": "gpt", "partitions": 1}),
)
"""What stands where something else should."""
LAYOUTS = [case(path)["layout"] for path in RIGHT]


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """List where every value of a layout is."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            found += places(inner, (*path, key))
    elif isinstance(value, list):
        for position, inner in enumerate(cast("list[object]", value)):
            found += places(inner, (*path, position))
    return found


def changed(value: object, path: tuple[str | int, ...], new: object) -> object:
    """Give a layout with another value at one place."""
    if not path:
        return new
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [changed(each, path[1:], new) if at == path[0] else each for at, each in enumerate(items)]
    table = cast("dict[str, object]", value)
    return {key: changed(each, path[1:], new) if key == path[0] else each for key, each in table.items()}


@st.composite
def spoilt(draw: st.DrawFn) -> object:
    """Draw a layout in which one thing or two are odd."""
    found: object = draw(st.sampled_from(LAYOUTS))
    for _ in range(draw(st.integers(1, 2))):
        there = places(found)
        if there:
            found = changed(found, draw(st.sampled_from(there)), draw(st.sampled_from(ODD)))
    return found


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@example(
    sections={"disk": {"\0": {"device": "a", "content": {"type": "mdraid", "name": ""}}}, "mdadm": {"": {"level": 0}}}
)
@given(sections=spoilt())
def test_nothing_but_what_is_wrong_comes_out(sections: object, tmp_path: Path) -> None:
    path = layout(tmp_path, sections)
    there = with_disks(disk("a"), disk("b"))
    for ask in (lambda: pn.check_layout(path), lambda: pn.read_layout(there, path)):
        try:
            ask()
        except (pn.InvalidLayout, pn.Unreadable) as error:
            assert str(error)  # noqa: PT017 - either it is right, or this says what is wrong
