from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pre_nixos.backends import devicemapper
from pre_nixos.backends.devicemapper import Mapped, mangled, plain, targets_of
from pre_nixos.model.identity import assemble
from pre_nixos.plugin import Action, Await, Disk, Node, RequireFree, Run, State, Verb
from tests.unit.backends.replayed import cases, expected_and_found

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("case", cases("devicemapper"), ids=lambda path: path.stem)
def test_probe(case: Path) -> None:
    expected, found = expected_and_found(case, devicemapper)
    assert found == expected


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("main-slash", "main-slash"),
        ("my--vg-r--t", "my--vg-r--t"),
        ("a b", r"a\x20b"),
        ("a,b;c", r"a\x2cb\x3bc"),
        ("$(rm)", r"\x24\x28rm\x29"),
        ("Übung", r"\xc3\x9cbung"),
        (r"back\slash", r"back\x5cslash"),
        ("#+.:=@_-", "#+.:=@_-"),
    ],
)
def test_a_name_is_written_as_the_kernel_has_it(name: str, kernel: str) -> None:
    assert mangled(name) == kernel
    assert plain(kernel) == name


def test_a_table_of_several_lines_and_one_that_is_missing() -> None:
    tables = r"a\, b\; c,,0,rw,0 8 linear 8:0 0,8 8 striped 1 8 8:1 0;none,,4,rw;e,mpath-1,12,ro,0 8 error "
    assert targets_of(tables + "\n") == {"0": "linear+striped", "12": "error"}
    assert targets_of("No devices found\n") == {}


@pytest.mark.parametrize("stands_still", [False, True])
def test_removing_one(stands_still: bool) -> None:  # noqa: FBT001 - a column
    mapped = Mapped(name="-raw table", suspended=stands_still, state=State.ACTIVE)
    graph = assemble([(Disk(id="disk:a", serial="A"), ()), (mapped, (0,))])
    layer = graph["disk:a/-raw table"]
    node = Node(layer=layer.id)
    free = () if stands_still else (RequireFree(target=node),)
    run = Run(argv=("dmsetup", "remove", "--retry", "--", "-raw table"))
    assert devicemapper.remove(layer, graph) == [
        Action(
            verb=Verb.DEACTIVATE,
            target=layer.id,
            summary="unmap -raw table from disk A",
            steps=(*free, run, Await(target=node, present=False)),
        )
    ]
