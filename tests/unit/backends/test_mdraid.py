from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre_nixos.backends import mdraid
from pre_nixos.backends.mdraid import Array, Container, Level, Subarray
from pre_nixos.backends.mdraid.examine import bare_name, members, read_superblocks
from pre_nixos.backends.mdraid.format import creation, path_of
from pre_nixos.backends.mdraid.geometry import array_size, chunk_of, component_size, data_offset, landing_zones
from pre_nixos.backends.mdraid.objections import problems
from pre_nixos.model.identity import assemble
from pre_nixos.plugin import (
    MIB,
    WINDOW,
    WINDOWS,
    Action,
    Await,
    Disk,
    Health,
    Node,
    Replace,
    RequireBlank,
    RequireFree,
    Run,
    SetAttribute,
    State,
    Verb,
    Zero,
)
from tests.unit.backends.replayed import CASES, cases, expected_and_found
from tests.unit.backends.sole import sole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pre_nixos.plugin import DeviceGraph, Found, Reader

GIB = 1024 * MIB
UUID = "0560857a:cb5c34a4:862702f4:43db6a8d"


class Finder:
    """The plugin's way in, by the name these tests know."""

    def probe(self, reader: Reader) -> Iterable[Found]:
        return mdraid.find(reader)


@pytest.mark.parametrize("case", cases("mdraid"), ids=lambda path: path.stem)
def test_probe(case: Path) -> None:
    expected, found = expected_and_found(case, Finder())
    assert found == expected


def recorded_sizes() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((CASES / "mdraid" / "usable" / "mdadm-4.2.json").read_text())
    return rows


@pytest.mark.parametrize("row", recorded_sizes(), ids=lambda row: f"{row['level']}-{len(row['sizes'])}-{row['offers']}")
def test_an_array_offers_what_was_said_it_would(row: dict[str, Any]) -> None:
    array = Array(
        name="x",
        level=row["level"],
        metadata=row.get("metadata"),
        chunk=row.get("chunk"),
        spares=row.get("spares"),
    )
    said = array.usable(row["sizes"])
    assert said is not None
    if array.raid.is_redundant:
        assert said == row["offers"]
    else:
        assert row["offers"] - 4 * MIB <= said <= row["offers"]


@given(
    level=st.sampled_from([each for each in Level if each.is_redundant]),
    sizes=st.lists(st.integers(8 * MIB, 40 * 1024 * GIB), min_size=4, max_size=8),
    metadata=st.sampled_from(["1.0", "1.1", "1.2"]),
    chunk=st.sampled_from([None, 65536, 512 * 1024, 4 * MIB]),
)
def test_the_ends_of_an_array_lie_where_they_were_cleared(
    level: Level, sizes: list[int], metadata: str, chunk: int | None
) -> None:
    smallest = min(sizes)
    offset = data_offset(smallest, metadata)
    part = component_size(smallest, metadata, chunk_of(level, chunk))
    end = offset + part
    zones = landing_zones(level, sizes, metadata, chunk)
    for size in sizes:
        cleared = [(each.start % size if each.start < 0 else each.start, each.length) for each in zones]
        assert any(start == 0 and length >= offset + min(WINDOW, part) for start, length in cleared)
        assert any(start <= max(0, end - WINDOW) and start + length >= end for start, length in cleared)
        assert end <= size


@given(
    level=st.sampled_from(list(Level)),
    sizes=st.lists(st.integers(0, 40 * 1024 * GIB), min_size=1, max_size=8),
    metadata=st.sampled_from(["1.0", "1.1", "1.2"]),
    chunk=st.sampled_from([None, 4096, 98304, 4 * MIB]),
    spares=st.integers(0, 2),
)
def test_no_array_offers_more_than_there_is(
    level: Level, sizes: list[int], metadata: str, chunk: int | None, spares: int
) -> None:
    assert 0 <= array_size(level, sizes, metadata, chunk, spares) <= sum(sizes)


@pytest.mark.parametrize("said", [1, "1", "raid1", " RAID1 "])
def test_a_level_is_one_however_it_is_written(said: int | str) -> None:
    assert Array(name="x", level=said).level == "raid1"


def test_a_level_nobody_knows() -> None:
    with pytest.raises(ValueError, match="'raid7' is not a level of md; there are linear, raid0, raid1"):
        Array(name="x", level="raid7")


@pytest.mark.parametrize(
    ("said", "name"),
    [("any:main", "main"), ("main", "main"), ("lab:a:b", "a:b"), ("lab:", "lab:"), ("", "")],
)
def test_a_name_without_its_host(said: str, name: str) -> None:
    assert bare_name(said) == name


def block(device: str, events: int, role: str, slots: str = "AA") -> str:
    return f"""{device}:
          Magic : a92b4efc
        Version : 1.2
     Array UUID : {UUID}
           Name : any:main
     Raid Level : raid1
   Raid Devices : 2
         Events : {events}
   Device Role : {role}
   Array State : {slots} ('A' == active, '.' == missing, 'R' == replacing)
"""


@pytest.mark.parametrize(
    ("printed", "kept"),
    [
        pytest.param(
            block("/dev/a", 37, "Active device 0") + block("/dev/b", 36, "Active device 1"), "ab", id="one behind"
        ),
        pytest.param(
            block("/dev/a", 37, "Active device 0") + block("/dev/b", 17, "Active device 1"), "a", id="removed"
        ),
        pytest.param(
            block("/dev/b", 36, "Active device 1") + block("/dev/a", 37, "Active device 0", "A."), "a", id="just failed"
        ),
        pytest.param(block("/dev/b", 17, "Active device 1"), "b", id="a removed one alone is all there is"),
        pytest.param(
            block("/dev/a", 37, "Active device 0") + block("/dev/s", 37, "spare"), "as", id="a spare has no slot"
        ),
    ],
)
def test_a_superblock_alone_makes_no_member(printed: str, kept: str) -> None:
    assert "".join(each.device[-1] for each in members(read_superblocks(printed))) == kept


def on_disks(array: Array | Container, *sizes: int) -> DeviceGraph:
    disks = [(Disk(id=f"disk:{letter}", serial=letter, size=size), ()) for letter, size in zip("abcdef", sizes)]  # noqa: B905 - as many as there are
    return assemble([*disks, (array, tuple(range(len(disks))))])


def test_format() -> None:
    graph = on_disks(Array(name="main", level=5, spares=1), 2 * GIB, 2 * GIB + MIB, 2 * GIB, 3 * GIB)
    layer = graph["mdraid.array:main"]
    action = sole(mdraid.make(layer, graph))
    nodes = [Node(layer=f"disk:{letter}") for letter in "abcd"]
    zones = landing_zones(Level.RAID5, [2 * GIB, 2 * GIB + MIB, 2 * GIB, 3 * GIB], "1.2", None)
    component = (2 * GIB - 16 * MIB) // 1024
    argv: tuple[str | Node, ...] = (
        *("mdadm", "--create", "/dev/md/main", "--run", "--config=none", "--metadata=1.2", "--level=raid5"),
        *("--raid-devices=3", "--spare-devices=1", "--homehost=any", "--name=main", "--data-offset=16384K"),
        *("--chunk=512", f"--size={component}", "--bitmap=internal"),
        *nodes,
    )
    assert action == Action(
        verb=Verb.FORMAT,
        target=layer.id,
        summary="make raid5 array main on disk a, disk b, disk c, disk d",
        steps=(
            *(RequireFree(target=node) for node in nodes),
            *(RequireBlank(target=node) for node in nodes),
            *(Zero(target=node, ranges=zones) for node in nodes),
            Run(argv=argv),
            Await(target=Node(layer=layer.id)),
        ),
    )


@pytest.mark.parametrize(
    ("array", "has", "lacks"),
    [
        (Array(name="x", level=0), ["--level=raid0", "--chunk=512", "--data-offset=1024K"], ["--size", "--bitmap"]),
        (Array(name="x", level=1, metadata="1.0"), ["--metadata=1.0", "--size=261120"], ["--data-offset", "--chunk"]),
        (Array(name="a:b", level=1), ["--name=any:a:b", "/dev/md/a_b"], []),
        (Array(name="-r$(x)/..", level=1), ["--name=-r$(x)/..", "/dev/md/r__x__.."], []),
        (Array(name="x", level=10, chunk=65536), ["--chunk=64"], []),
    ],
)
def test_creation(array: Array, has: list[str], lacks: list[str]) -> None:
    argv = creation(array, [256 * MIB, 256 * MIB])
    assert set(has) <= set(argv)
    assert not [word for word in argv for start in lacks if word.startswith(start)]


def test_two_of_one_name_get_paths_of_their_own() -> None:
    assert path_of(Array(name="m", level=1, uuid=UUID, id=f"mdraid.array:m#{UUID}")) == "/dev/md/m-0560857a"


def test_assembling_takes_its_members_and_no_others() -> None:
    whole = on_disks(Array(name="main", level=1), GIB, GIB)
    nodes = (Node(layer="disk:a"), Node(layer="disk:b"))
    action = sole(mdraid.assemble(whole["mdraid.array:main"], whole))
    assert action.steps == (
        Run(argv=("mdadm", "--assemble", "/dev/md/main", "--config=none", *nodes)),
        Await(target=Node(layer="mdraid.array:main")),
    )
    half = on_disks(Array(name="main", level=1, members=2, uuid=UUID), GIB)
    first = sole(mdraid.assemble(half["mdraid.array:main"], half)).steps[0]
    assert isinstance(first, Run)
    assert first.argv[3:] == ("--config=none", f"--uuid={UUID}", "--run", nodes[0])


@pytest.mark.parametrize("action", ["idle", "resync", "", "frozen"])
@pytest.mark.parametrize(("level", "freezes"), [(1, True), (0, False)])
def test_stopping_is_the_same_whatever_md_does_meanwhile(action: str, level: int, *, freezes: bool) -> None:
    graph = on_disks(Array(name="main", level=level, action=action, state=State.ACTIVE), GIB, GIB)
    node = Node(layer="mdraid.array:main")
    runs = ("recover", "reshape", "resync")
    freeze = SetAttribute(target=node, attribute="md/sync_action", value="frozen", instead_of=runs)
    assert sole(mdraid.stop(graph[node.layer], graph)).steps == (
        *((freeze,) if freezes else ()),
        Run(argv=("mdadm", "--stop", node), timeout=15.0, ends=node),
        Await(target=node, present=False, timeout=15.0),
    )


def test_a_container_goes_with_the_arrays_in_it() -> None:
    disk, container = Disk(id="disk:a", serial="A"), Container(metadata="ddf", state=State.ACTIVE)
    inside = Subarray(name="0", level=1, state=State.ACTIVE)
    graph = assemble([(disk, ()), (container, (0,)), (inside, (0, 1))])
    layer = graph["mdraid.container:ddf"]
    stopped = [each.argv[-1] for each in sole(mdraid.stop_container(layer, graph)).steps if isinstance(each, Run)]
    assert stopped == [Node(layer="mdraid.subarray:0"), Node(layer=layer.id)]
    assert sole(mdraid.remove_container(layer, graph)).steps == (
        RequireFree(target=Node(layer="disk:a"), passing=("mdmon",)),
        Zero(target=Node(layer="disk:a"), ranges=WINDOWS),
    )


def test_teardown() -> None:
    graph = on_disks(Array(name="main", level=1, state=State.INACTIVE), GIB, GIB)
    action = sole(mdraid.remove(graph["mdraid.array:main"], graph))
    nodes = (Node(layer="disk:a"), Node(layer="disk:b"))
    assert action.destroys == ("mdraid.array:main",)
    assert action.steps == (
        *(RequireFree(target=node) for node in nodes),
        *(Zero(target=node, ranges=WINDOWS) for node in nodes),
    )


@pytest.mark.parametrize(
    ("there", "changes"),
    [
        (Array(name="main", level=1, action="frozen", health=Health.SYNCING), True),
        (Array(name="main", level=1, action="frozen", unused=MIB), True),  # grows when that is over
        (Array(name="main", level=1, action="idle"), False),
        # What lacks members is mended first, and is not made anew because of this.
        (Array(name="main", level=1, action="frozen", health=Health.DEGRADED), False),
    ],
)
def test_what_was_frozen_goes_on(there: Array, *, changes: bool) -> None:
    before, after = on_disks(there, GIB, GIB), on_disks(Array(name="main", level=1), GIB, GIB)
    id_ = "mdraid.array:main"
    fields = {each.field for each in after.of(Array)[0].mismatches(before.of(Array)[0])}
    assert ("its recovery" in fields) == changes
    if changes:
        action = sole(mdraid.change(before[id_], after[id_], before, after))
        assert action.verb is Verb.MODIFY
        assert action.steps == (SetAttribute(target=Node(layer=id_), attribute="md/sync_action", value="idle"),)


def test_nothing_changes_in_place() -> None:
    graph = on_disks(Array(name="main", level=1), GIB, GIB)
    new = Array(name="main", level=0, id="mdraid.array:main")
    answer = mdraid.change(graph["mdraid.array:main"], new, graph, graph)
    assert answer == Replace(why="level is raid1, wanted raid0")
    frozen = on_disks(Array(name="main", level=1, action="frozen"), GIB, GIB)
    assert mdraid.change(frozen["mdraid.array:main"], new, frozen, graph) == answer


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (Array(name="x", level=1), []),
        (Array(name="x" * 33, level=1), ["its name must have 1 to 32 bytes and no slash"]),
        (Array(name="x", level=1, metadata="0.90"), ["metadata 0.90 is not made"]),
        (Array(name="x", level=1, spares=1), ["raid1 needs 2 members beside its spares, and there are 1"]),
        (Array(name="x", level=0, spares=1), ["raid0 cannot use spares"]),
        (Array(name="x", level=1, spares=-1), ["there cannot be -1 spares"]),
        (Array(name="x", level=1, spares=4), ["raid1 needs 2 members beside its spares, and there are 0"]),
        (Array(name="x", level=10, chunk=5000), ["a chunk of 5000 bytes is not a power of two of at least 4096"]),
    ],
)
def test_objections(array: Array, said: list[str]) -> None:
    graph = on_disks(array, GIB, GIB)
    assert [text for text, _ in problems(graph.of(Array)[0], graph)] == said


def test_too_small() -> None:
    graph = on_disks(Array(name="x", level=1), MIB, GIB)
    texts = [text for text, _ in problems(graph.of(Array)[0], graph)]
    assert texts == ["its smallest member has 1 MiB, too little for an array"]
