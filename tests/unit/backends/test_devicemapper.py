from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pre_nixos.backends import devicemapper
from pre_nixos.backends.devicemapper import Mapped, mangled, plain, targets_of
from pre_nixos.backends.dmcrypt import Luks
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.model.difference import clashes, difference
from pre_nixos.model.identity import Found, assemble, resolve
from pre_nixos.plugin import (
    WINDOWS,
    Action,
    Await,
    BlockDevice,
    Disk,
    Node,
    Plan,
    RequireFree,
    Run,
    State,
    Verb,
    Wanted,
    Zero,
)
from tests.unit.backends.replayed import cases, expected_and_found, only

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
def test_unmapping_one(stands_still: bool) -> None:  # noqa: FBT001 - a column
    mapped = Mapped(name="-raw table", suspended=stands_still, state=State.ACTIVE)
    graph = assemble([(Disk(id="disk:a", serial="A"), ()), (mapped, (0,))])
    layer = graph["disk:a/-raw table"]
    node = Node(layer=layer.id)
    free = () if stands_still else (RequireFree(target=node),)
    run = Run(argv=("dmsetup", "remove", "--retry", "--", "-raw table"))
    assert devicemapper.unmap(layer, graph) == [
        Action(
            verb=Verb.DEACTIVATE,
            target=layer.id,
            summary="unmap -raw table from disk A",
            steps=(*free, run, Await(target=node, present=False)),
        )
    ]


def test_what_one_showed_is_cleared_on_every_device() -> None:
    disks = [(Disk(id=f"disk:{each}", serial=each), ()) for each in "ab"]
    graph = assemble([*disks, (Mapped(name="raw", state=State.ACTIVE), (0, 1))])
    action = only(devicemapper.clear(graph["dm:raw"], graph))
    a, b = Node(layer="disk:a"), Node(layer="disk:b")
    assert action.steps == (
        RequireFree(target=a),
        RequireFree(target=b),
        Zero(target=a, ranges=WINDOWS),
        Zero(target=b, ranges=WINDOWS),
    )


@pytest.mark.parametrize(("label", "objects"), [("old", True), ("new", False)])
def test_what_shares_a_device_with_one_is_not_lost_for_it(label: str, objects: bool) -> None:  # noqa: FBT001 - a column
    disk = (Disk(id="disk:a", serial="A"), ())
    there = Filesystem(type="ext4", label="old", state=State.ACTIVE)
    graph = assemble([disk, (there, (0,)), (Mapped(name="raw", state=State.ACTIVE), (0,))])
    wanted = Wanted(graph=assemble([disk, (Filesystem(type="ext4", label=label), (0,))]), takes=("disk:a",))
    found = difference(graph, wanted)
    verdicts = difference(graph, wanted, replace=clashes(found, graph)).verdicts
    assert verdicts["disk:a/filesystem"].fate.removes
    said = list(devicemapper.objections(Plan(before=graph, wanted=wanted, reasons=verdicts)))
    assert [each.subject for each in said] == (["disk:a/raw"] if objects else [])


def test_a_device_that_another_plugin_answers_for_is_not_its_own_layer() -> None:
    def device(number: str) -> BlockDevice:
        return BlockDevice(name=f"dm-{number[-1]}", number=number, size=512)

    disk = BlockDevice(name="sda", number="8:0", size=1024)
    volume = Luks(mapper="sums", hidden=("254:0",), state=State.ACTIVE, device=device("254:1"))
    graph = resolve(
        [
            Found(Disk(serial="A", device=disk)),
            Found(Mapped(name="sums_dif", device=device("254:0")), on=["8:0"], fallback=True),
            Found(Mapped(name="sums", device=device("254:1")), on=["254:0"], fallback=True),
            Found(Mapped(name="raw", device=device("254:2")), on=["8:0"], fallback=True),
            Found(volume, on=["8:0"]),
        ]
    )
    assert sorted(each.kind for each in graph.layers()) == ["disk", "dm", "luks"]
