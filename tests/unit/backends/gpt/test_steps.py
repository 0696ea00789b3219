from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pre_nixos.backends import gpt
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.gpt import Partition, Table, landing_zones
from pre_nixos.backends.mdraid import Array
from pre_nixos.backends.swap import Area
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
    Grow,
    Health,
    Node,
    Range,
    Replace,
    RequireBlank,
    RequireClear,
    RequireFree,
    State,
    TableEntry,
    Unrecognised,
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
        (
            [ESP],
            [Partition(number=1, start=2 * MIB, size=Exact(bytes=9 * MIB))],
            "partition 1: size is 8 MiB, wanted 9 MiB; partition 1: start is 1 MiB, wanted 2 MiB",
        ),
        (
            [ESP],
            [Partition(number=1, start=MIB, size=Exact(bytes=7 * MIB))],
            "partition 1: size is 8 MiB, wanted 7 MiB",
        ),
    ],
)
def test_what_moves_or_shrinks_is_made_anew(before: list[Partition], after: list[Partition], why: str) -> None:
    assert changed(graph_of(*(there(each) for each in before)), graph_of(*after)) == Replace(why=why)


ESP_AS_IT_IS = TableEntry(number=1, start=MIB, length=8 * MIB, type=TYPES["linux"], name="boot", attributes=4)
BIG_ENTRY = TableEntry(number=10, start=9 * MIB, length=GIB, type=TYPES["linux"], uuid=BIG.uuid)


def test_a_partition_in_free_space_is_cleared_before_it_is_there() -> None:
    old = graph_of(there(ESP, attributes=4))
    action = sole(changed(old, graph_of(Partition(number=1, start=MIB, size=Exact(bytes=8 * MIB)), BIG)))
    zones = (Range(start=9 * MIB, length=WINDOW), Range(start=9 * MIB + GIB - WINDOW, length=WINDOW))
    assert action.summary.endswith("moving nothing: make partition 10 of 1 GiB")
    assert not action.destroys
    assert action.steps == (
        Zero(target=DISK, ranges=zones),
        RequireClear(target=DISK, ranges=zones),
        WriteTable(target=DISK, entries=(ESP_AS_IT_IS, BIG_ENTRY)),
        Await(target=Node(layer="disk:d/gpt/10")),
    )


def test_what_goes_leaves_the_table_before_its_room_is_cleared() -> None:
    old = graph_of(there(ESP, attributes=4), there(BIG))
    esp = Partition(number=1, start=MIB, size=Exact(bytes=8 * MIB))
    action = sole(changed(old, graph_of(esp)))
    assert action.destroys == ("disk:d/gpt/10",)
    assert action.steps == (WriteTable(target=DISK, entries=(ESP_AS_IT_IS,)),)
    action = sole(changed(old, graph_of(esp, Partition(number=2, start=9 * MIB, size=Exact(bytes=MIB)))))
    assert [type(each) for each in action.steps] == [WriteTable, Zero, RequireClear, WriteTable, Await]
    kept = msgspec.structs.replace(ESP_AS_IT_IS, uuid="00000000-0000-4000-8000-0000000000ff")
    assert action.steps[0] == WriteTable(target=DISK, entries=(kept,))


def on_the_first(graph: DeviceGraph, layer: Layer) -> DeviceGraph:
    placed = msgspec.structs.replace(layer, id=f"disk:d/gpt/1/{layer.kind}")
    return graph.plus([(placed, ("disk:d/gpt/1",))])


LARGER = Partition(number=1, start=MIB, size=Exact(bytes=100 * MIB))


def test_a_partition_grows_with_what_is_on_it() -> None:
    ext4 = Filesystem(type="ext4", state=State.ACTIVE)
    action = sole(changed(on_the_first(graph_of(there(ESP)), ext4), on_the_first(graph_of(LARGER), ext4)))
    zone = (Range(start=101 * MIB - WINDOW, length=WINDOW),)
    assert action.steps == (
        Zero(target=DISK, ranges=zone),
        RequireClear(target=DISK, ranges=zone),
        WriteTable(
            target=DISK,
            entries=(TableEntry(number=1, start=MIB, length=100 * MIB, type=TYPES["linux"], name="boot"),),
        ),
        Grow(target=Node(layer="disk:d/gpt/1"), type="ext4"),
    )


@pytest.mark.parametrize(
    ("content", "grows"),
    [
        (Array(name="m", level=1, metadata="1.2"), True),
        (Array(name="m", level=1, metadata="1.0"), False),
        (Array(name="m", level=1, metadata="0.90"), False),
        (Array(name="m", level=1), False),
        (Unrecognised(what="zfs_member"), False),
        (Area(), True),
    ],
)
def test_what_is_known_by_its_end_is_not_cut_off_from_it(content: Layer, *, grows: bool) -> None:
    answer = changed(on_the_first(graph_of(there(ESP)), content), graph_of(LARGER))
    assert isinstance(answer, Replace) is not grows


def test_a_table_offers_what_lies_between_its_ends() -> None:
    assert Table().usable([10 * GIB]) == 10 * GIB - MIB - 33 * 512
    assert Table().usable([MIB]) == 0
    assert BIG.usable([10 * GIB]) == GIB
    assert Partition(number=1, size="rest").usable([10 * GIB]) is None
