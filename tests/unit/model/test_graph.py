"""What a graph says of its layers, whichever way it is asked."""

from __future__ import annotations

import msgspec

from pre_nixos.model.graph import DeviceGraph
from pre_nixos.model.identity import Found, Ref
from pre_nixos.model.layer import State
from tests.unit.toys import Pool, Slot, Stuff, disk, machine, slot_device


def graph() -> DeviceGraph:
    """A pool over two disks, with stuff in one of its slots; and stuff on a third disk."""
    found = [Found(disk(letter)) for letter in "abc"]
    numbers = [each.layer.device.number for each in found if each.layer.device]
    pool = Found(Pool(name="p", uuid="u", state=State.ACTIVE), on=numbers[:2])
    slots = [
        Found(Slot(name=f"s{count}", device=slot_device(count)), on=[Ref(kind="toy.pool", uuid="u")])
        for count in (0, 1)
    ]
    stuff = [Found(Stuff(label="x"), on=[number]) for number in (slot_device(0).number, numbers[2])]
    return machine(*found, pool, *slots, *stuff).graph


def test_walking_it_tells_what_asking_of_each_does() -> None:
    there = graph()
    expected = [(there[each], there.on(each), there.disks(each)) for each in there]
    assert list(there.entries()) == expected
    assert [each for each, _, _ in there.by_id()] == sorted(there)
    assert {id_: (layer, on) for id_, layer, on in there.by_id()} == {
        each: (there[each], there.on(each)) for each in there
    }


def test_depth_is_counted_from_what_stands_on_nothing() -> None:
    there = graph()
    depths = {there[each].kind: there.depth(each) for each in there}
    assert (depths["disk"], depths["toy.pool"], depths["toy.slot"]) == (0, 1, 2)
    assert sorted(there.depth(each.id) for each in there.of(Stuff)) == [1, 3]


def test_only_what_several_stand_on_is_crowded() -> None:
    there = graph()
    assert there.crowded() == there.of(Pool)


def test_a_graph_that_is_changed_from_another_knows_its_own_neighbours() -> None:
    there = graph()
    (pool,) = there.of(Pool)
    assert len(there.standing_on(pool.id)) == 2
    assert len(there.disks(pool.id)) == 2
    first, second = there.parts_of_kind(pool, Slot)
    fewer = there.without([first.id])
    assert (fewer.standing_on(pool.id), fewer.crowded()) == ([second.id], [])
    alone = there.plus([(pool, there.on(pool.id)[:1])])
    assert (len(alone.disks(second.id)), len(there.disks(second.id))) == (1, 2)
    blind = there.with_each(lambda layer: msgspec.structs.replace(layer, state=State.INACTIVE))
    assert (blind.standing_on(pool.id), blind.disks(pool.id)) == (there.standing_on(pool.id), there.disks(pool.id))
    assert blind != there
    assert there == graph()
