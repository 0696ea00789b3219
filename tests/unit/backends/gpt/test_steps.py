from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pre_nixos.backends import gpt
from pre_nixos.backends.gpt import Partition, Table, landing_zones
from pre_nixos.model.identity import assemble
from pre_nixos.plugin import (
    MIB,
    WINDOW,
    WINDOWS,
    Action,
    Await,
    BlockDevice,
    Disk,
    Exact,
    Health,
    Node,
    Range,
    Replace,
    RequireBlank,
    RequireClear,
    RequireFree,
    State,
    TableEntry,
    Verb,
    WriteTable,
    Zero,
)
from tests.unit.backends.sole import sole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph, Layer

GIB = 1024 * MIB
DISK = Node(layer="disk:d")
TYPES = {"esp": "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "linux": "0fc63daf-8483-4772-8e79-3d69d8477de4"}
ESP = Partition(number=1, type="esp", label="boot", start=MIB, size=Exact(bytes=8 * MIB))
BIG = Partition(number=10, start=9 * MIB, size=Exact(bytes=GIB), uuid="00000000-0000-4000-8000-00000000000A")


def graph_of(*parts: Partition, table: Layer | None = None) -> DeviceGraph:
    disk = Disk(id="disk:d", model="Speedy", serial="S1", size=4 * GIB)
    return assemble([(disk, ()), (table or Table(), (0,)), *((each, (1,)) for each in parts)])


def table_of(graph: DeviceGraph) -> Table:
    return graph.of(Table)[0]


def test_making_one() -> None:
    graph = graph_of(BIG, ESP)
    zones = (Range(start=MIB, length=8 * MIB + WINDOW), Range(start=9 * MIB + GIB - WINDOW, length=WINDOW))
    entries = (
        TableEntry(number=1, start=MIB, length=8 * MIB, type=TYPES["esp"], name="boot"),
        TableEntry(
            number=10,
            start=9 * MIB,
            length=GIB,
            type=TYPES["linux"],
            uuid="00000000-0000-4000-8000-00000000000a",
        ),
    )
    assert gpt.make(table_of(graph), graph) == [
        Action(
            verb=Verb.FORMAT,
            target="disk:d/gpt",
            summary="write a GPT with 2 partitions on disk Speedy S1",
            steps=(
                RequireFree(target=DISK),
                RequireBlank(target=DISK),
                WriteTable(target=DISK),
                Zero(target=DISK, ranges=zones),
                RequireClear(target=DISK, ranges=zones),
                WriteTable(target=DISK, entries=entries),
                Await(target=Node(layer="disk:d/gpt/1")),
                Await(target=Node(layer="disk:d/gpt/10")),
            ),
        )
    ]


def test_making_an_empty_one() -> None:
    graph = graph_of()
    action = sole(gpt.make(table_of(graph), graph))
    assert action.steps[-1] == WriteTable(target=DISK)
    assert action.proves_blank("disk:d")


def test_removing_one() -> None:
    graph = graph_of(ESP)
    action = sole(gpt.remove(table_of(graph), graph))
    assert action.steps == (
        RequireFree(target=DISK),
        WriteTable(target=DISK),
        Zero(target=DISK, ranges=(Range(start=MIB, length=8 * MIB),)),
        Zero(target=DISK, ranges=WINDOWS),
    )
    assert action.destroys == ("disk:d/gpt", "disk:d/gpt/1")


def test_removing_one_inside_a_partition_writes_no_table() -> None:
    inner = assemble([(Disk(id="disk:d"), ()), (Table(), (0,)), (ESP, (1,)), (Table(), (2,)), (ESP, (3,))])
    action = sole(gpt.remove(inner["disk:d/gpt/1/gpt"], inner))
    node = Node(layer="disk:d/gpt/1")
    assert action.steps == (
        RequireFree(target=node),
        Zero(target=node, ranges=(Range(start=MIB, length=8 * MIB),)),
        Zero(target=node, ranges=WINDOWS),
    )


@pytest.mark.parametrize(
    ("places", "zones"),
    [
        ([], []),
        ([(MIB, 4096)], [(MIB, 4096)]),
        ([(MIB, 32 * MIB)], [(MIB, 32 * MIB)]),
        ([(MIB, 33 * MIB)], [(MIB, WINDOW), (18 * MIB, WINDOW)]),
        (
            [(100 * MIB, GIB), (MIB, 99 * MIB)],
            [(MIB, WINDOW), (84 * MIB, 2 * WINDOW), (100 * MIB + GIB - WINDOW, WINDOW)],
        ),
    ],
)
def test_where_partitions_will_begin_and_end(places: list[tuple[int, int]], zones: list[tuple[int, int]]) -> None:
    assert landing_zones(places) == tuple(Range(start=start, length=length) for start, length in zones)


def there(part: Partition, **changes: object) -> Partition:
    known = {
        "type": TYPES["linux"],
        "uuid": "00000000-0000-4000-8000-0000000000ff",
        "attributes": 0,
        "state": State.ACTIVE,
        "device": BlockDevice(name="sda1", number="8:1", size=1),
    }
    return msgspec.structs.replace(part, **(known | changes))


def changed(old: DeviceGraph, new: DeviceGraph) -> Sequence[Action] | Replace | None:
    return gpt.change(table_of(old), table_of(new), old, new)


def test_another_name_and_type_are_written_in_place() -> None:
    old = graph_of(there(ESP, label="old"), there(BIG, type=TYPES["esp"], uuid=BIG.uuid))
    new = graph_of(ESP, BIG)
    entries = (
        TableEntry(number=1, start=MIB, length=8 * MIB, type=TYPES["esp"], name="boot"),
        TableEntry(number=10, start=9 * MIB, length=GIB, type=TYPES["esp"], uuid=BIG.uuid),
    )
    assert changed(old, new) == [
        Action(
            verb=Verb.MODIFY,
            target="disk:d/gpt",
            summary="rewrite the GPT on disk Speedy S1, moving nothing: "
            "partition 1: type is linux, wanted esp; partition 1: label is old, wanted boot",
            steps=(WriteTable(target=DISK, entries=entries),),
        )
    ]


def test_a_damaged_table_is_mended_in_place_and_the_kernel_told() -> None:
    damaged = Table(state=State.ACTIVE, health=Health.DEGRADED, remark="its primary copy is missing")
    old = graph_of(there(ESP, device=None, state=State.INACTIVE, type=TYPES["esp"]), table=damaged)
    new = graph_of(ESP)
    assert table_of(new).mismatches(table_of(old))
    action = sole(changed(old, new))
    assert action.steps[1:] == (Await(target=Node(layer="disk:d/gpt/1")),)
    assert "its primary copy is missing" in action.summary


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ([ESP], [ESP, BIG], "there is no partition 10 yet"),
        ([ESP, BIG], [ESP], "partition 10 is to go"),
        (
            [ESP],
            [Partition(number=1, start=2 * MIB, size=Exact(bytes=9 * MIB))],
            "partition 1: size is 8 MiB, wanted 9 MiB; partition 1: start is 1 MiB, wanted 2 MiB",
        ),
    ],
)
def test_what_moves_is_made_anew(before: list[Partition], after: list[Partition], why: str) -> None:
    assert changed(graph_of(*(there(each) for each in before)), graph_of(*after)) == Replace(why=why)


def test_a_table_offers_what_lies_between_its_ends() -> None:
    assert Table().usable([10 * GIB]) == 10 * GIB - MIB - 33 * 512
    assert Table().usable([MIB]) == 0
    assert BIG.usable([10 * GIB]) == GIB
    assert Partition(number=1, size="rest").usable([10 * GIB]) is None
