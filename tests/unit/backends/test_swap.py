from __future__ import annotations

import pytest

from pre_nixos.backends import swap
from pre_nixos.backends.swap import Area, File, Use
from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import Registry
from pre_nixos.host.doing.swapping import header
from pre_nixos.host.questions import BlockNode, MountEntry, Signature
from pre_nixos.host.survey import Memo
from pre_nixos.model.draft import Wanted
from pre_nixos.model.graph import DeviceGraph
from pre_nixos.model.identity import assemble
from pre_nixos.model.plan import Plan
from pre_nixos.plugin import (
    MIB,
    WINDOWS,
    Disk,
    Exact,
    Grow,
    Layer,
    Node,
    Ref,
    Replace,
    RequireBlank,
    RequireFree,
    RequireRoom,
    Run,
    State,
    SwapOff,
    SwapOn,
    SwapToFile,
    Verb,
    Zero,
)
from pre_nixos.render.words import name_of
from tests.unit.backends.canned import Canned, Image, disk
from tests.unit.backends.sole import sole

DISK = Node(layer="disk:d")
SWAPS = """Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority
/dev/sda                                partition\t4194300\t\t0\t\t5
/dev/cciss/c0d0                         partition\t4194300\t\t0\t\t-2
/dev/zram0                              partition\t4194300\t\t0\t\t100
/a\\040file                              file\t\t1020\t\t0\t\t0
"""
UUID = "22222222-2222-4222-8222-2222222222AB"


def graph_of(*stack: Layer) -> DeviceGraph:
    disk = (Disk(id="disk:d", serial="S"), ())
    return assemble([disk, *((layer, (below,)) for below, layer in enumerate(stack))])


@pytest.mark.parametrize(
    ("area", "argv"),
    [
        (Area(), ("mkswap", DISK)),
        (Area(label="my swap"), ("mkswap", "--label", "my swap", DISK)),
        (Area(label="a", uuid=UUID), ("mkswap", "--label", "a", "--uuid", UUID.lower(), DISK)),
    ],
)
def test_making_an_area(area: Area, argv: tuple[str | Node, ...]) -> None:
    graph = graph_of(area)
    action = sole(swap.make(graph.of(Area)[0], graph))
    assert action.steps == (RequireFree(target=DISK), RequireBlank(target=DISK), Run(argv=argv))


def test_removing_an_area() -> None:
    graph = graph_of(Area(label="sw", hibernated=True))
    action = sole(swap.remove(graph.of(Area)[0], graph))
    assert action.summary == "remove swap 'sw' with a hibernated system from disk S"
    assert action.steps == (RequireFree(target=DISK), Zero(target=DISK, ranges=WINDOWS))


OTHER = "33333333-3333-4333-8333-333333333333"


@pytest.mark.parametrize(
    ("area", "argv"),
    [
        (Area(label="b"), ("swaplabel", "--label", "b", DISK)),
        (Area(uuid=OTHER), ("swaplabel", "--uuid", OTHER, DISK)),
        (Area(label="b", uuid=OTHER), ("swaplabel", "--label", "b", "--uuid", OTHER, DISK)),
    ],
)
def test_another_label_is_written_in_place(area: Area, argv: tuple[str | Node, ...]) -> None:
    old, new = graph_of(Area(label="a", uuid=UUID)), graph_of(area)
    action = sole(swap.change(old.of(Area)[0], new.of(Area)[0], old, new))
    assert (action.verb, action.steps) == (Verb.MODIFY, (Run(argv=argv),))


def test_what_is_in_use_is_not_while_its_label_is_written() -> None:
    run = Run(argv=("swaplabel", "--label", "b", DISK))
    for wanted, again in (([Use(priority=3)], SwapOn(target=DISK, priority=3)), ([], SwapOn(target=DISK, priority=9))):
        old, new = graph_of(Area(label="a"), Use(priority=9)), graph_of(Area(label="b"), *wanted)
        action = sole(swap.change(old.of(Area)[0], new.of(Area)[0], old, new))
        assert action.steps == (SwapOff(target=DISK), run, again)


def test_an_area_takes_in_the_room_its_device_has_grown_by() -> None:
    grow = Grow(target=DISK, type="swap")
    old, new = graph_of(Area(label="a", unused=MIB), Use(priority=9)), graph_of(Area(label="b"), Use(priority=9))
    action = sole(swap.change(old.of(Area)[0], new.of(Area)[0], old, new))
    label = Run(argv=("swaplabel", "--label", "b", DISK))
    assert action.steps == (SwapOff(target=DISK), label, grow, SwapOn(target=DISK, priority=9))
    assert action.summary.endswith("label it b, take in all of it")
    alone = sole(swap.change(old.of(Area)[0], Area(id=old.of(Area)[0].id), graph_of(Area(unused=MIB)), new))
    assert alone.steps == (grow,)
    assert not Area().mismatches(Area(unused=MIB, hibernated=True))
    assert not Area(fills=False).mismatches(Area(unused=MIB))


def test_what_a_system_sleeps_in_is_not_changed() -> None:
    old, new = graph_of(Area(label="a", hibernated=True)), graph_of(Area(label="b"))
    assert swap.change(old.of(Area)[0], new.of(Area)[0], old, new) == Replace(why="label is a, wanted b")


def test_a_device_is_used_otherwise() -> None:
    old, new = graph_of(Area(), Use()), graph_of(Area(), Use(priority=7, discard=True))
    action = sole(swap.use_otherwise(old.of(Use)[0], new.of(Use)[0], old, new))
    assert action.summary == "use disk S as swap otherwise: priority is not set, wanted 7"
    assert action.steps == (SwapOff(target=DISK), SwapOn(target=DISK, priority=7, discard=True))


@pytest.mark.parametrize(
    ("new", "said", "steps"),
    [
        (File(path="/f", size="2GiB"), "size is 1 GiB, wanted 2 GiB", [("swapoff", "/f"), ("rm", "--", "/f")]),
        (File(path="/f", size="1GiB", priority=7), "priority is not set, wanted 7", [("swapoff", "/f")]),
    ],
)
def test_a_file_is_used_otherwise(new: File, said: str, steps: list[tuple[str, ...]]) -> None:
    before, after = graph_of(File(path="/f", size="1GiB")), graph_of(new)
    (wanted,) = after.of(File)
    action = sole(swap.use_file_otherwise(before.of(File)[0], wanted, before, after))
    assert action.summary == f"use the file /f as swap otherwise: {said}"
    *first, last = action.steps
    room = [RequireRoom(path="/f", size=2 << 30)] if len(steps) > 1 else []
    assert first == [*room, *(Run(argv=each) for each in steps)]
    assert last == sole(swap.file_on(wanted, after)).steps[0]


def test_what_the_kernel_leaves_out_of_a_file_is_no_difference() -> None:
    there = File(path="/f", size=Exact(bytes=(1 << 30) - 8192))
    assert not File(path="/f", size="1GiB").mismatches(there)
    assert not File(path="/f").mismatches(there)
    assert [each.field for each in File(path="/f", size="1025MiB").mismatches(there)] == ["size"]


def test_it_is_made_again_where_nobody_has_the_former_key() -> None:
    assert Area(label="sw").made_again(DISK) == [Run(argv=("mkswap", "--label", "sw", DISK))]


def test_a_label_that_would_be_cut_off_is_refused() -> None:
    plan = Plan(before=DeviceGraph(), wanted=Wanted(graph=graph_of(Area(label="x" * 15))))
    assert not list(swap.labels_cut_off(plan))
    plan = Plan(before=DeviceGraph(), wanted=Wanted(graph=graph_of(Area(label="ü" * 8))))
    assert [each.subject for each in swap.labels_cut_off(plan)] == ["disk:d/swap"]


def test_on_and_off() -> None:
    graph = graph_of(Area(), Use(priority=5, discard=True, discard_policy="once"))
    use = graph.of(Use)[0]
    on, off = sole(swap.switch_on(use, graph)), sole(swap.switch_off(use, graph))
    assert (on.summary, on.steps) == (
        "use disk S as swap",
        (SwapOn(target=DISK, priority=5, discard=True, policy="once"),),
    )
    assert (off.summary, off.steps) == ("stop using disk S as swap", (SwapOff(target=DISK),))


def test_a_file_is_switched_off_by_its_path() -> None:
    graph = graph_of(File(path="/swap file"))
    off = sole(swap.file_off(graph.of(File)[0], graph))
    assert (off.summary, off.steps) == (
        "stop using the file /swap file as swap",
        (Run(argv=("swapoff", "/swap file")),),
    )


@pytest.mark.parametrize(
    ("layer", "known_as"),
    [
        (Area(), "swap"),
        (Area(label="sw"), "swap 'sw'"),
        (Area(hibernated=True), "swap with a hibernated system"),
        (Use(), "in use as swap"),
        (File(path="/swap file"), "swap file /swap file"),
    ],
)
def test_what_people_know_it_by(layer: Layer, known_as: str) -> None:
    assert name_of(layer) == known_as


def test_what_is_found() -> None:
    nodes = [
        disk("sda", "8:0", 1 << 30),
        BlockNode(name="cciss!c0d0", number="104:0", attributes={"size": "8"}, path="/sys/devices/pci0/block/c"),
        disk("zram0", "252:0", 1 << 30),
    ]
    reader = Canned(
        nodes,
        {"8:0": [Signature(type="swap", label="sw", uuid=UUID)], "104:0": [Signature(type="swsuspend")]},
        {"8:0": Image(header(1 << 29))},
        mounts=[MountEntry(device="8:0", root="/", at="/", type="ext4", source="/dev/sda")],
        swaps=["/dev/sda", "/dev/cciss/c0d0", "/dev/zram0", "/a file"],
        files={"/proc/swaps": SWAPS},
    )
    found = Calls(Registry({"swap": swap})).probe(Memo(reader))
    assert [(each.layer.kind, each.on) for each in found] == [
        ("swap", (Ref(number="8:0"),)),
        ("swap", (Ref(number="104:0"),)),
        ("swap.use", (Ref(number="8:0", content="swap"),)),
        ("swap.use", (Ref(number="104:0", content="swap"),)),
        ("swap.file", (Ref(number="8:0", content="ext4"),)),
    ]
    first, second, use, other, file = (each.layer for each in found)
    assert isinstance(first, Area)
    assert isinstance(second, Area)
    assert (first.label, first.uuid, first.hibernated, first.unused) == ("sw", UUID.lower(), False, 1 << 29)
    assert second.hibernated
    assert (use, other) == (Use(priority=5, state=State.ACTIVE), Use(state=State.ACTIVE))
    assert file == File(path="/a file", size=Exact(bytes=1 << 20), priority=0, state=State.ACTIVE)


def test_a_file_is_made_where_it_is_wanted() -> None:
    graph = graph_of(File(path="/mnt/swap/file", size="1GiB", priority=3))
    on = sole(swap.file_on(graph.of(File)[0], graph))
    assert (on.verb, on.summary) == (Verb.ACTIVATE, "use the file /mnt/swap/file as swap")
    assert on.steps == (SwapToFile(path="/mnt/swap/file", size=1 << 30, priority=3),)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (File(path="/swap", size="1G"), []),
        (File(path="/swap"), ["swap file /swap: it takes an absolute path and a size of at least 1 MiB."]),
        (File(path="swap", size="1G"), ["swap file swap: it takes an absolute path and a size of at least 1 MiB."]),
        (Use(discard_policy="never"), ["in use as swap: there is no discard policy 'never'."]),
        (Use(priority=-1), ["in use as swap: a swap priority lies between 0 and 32767, and -1 does not."]),
    ],
)
def test_ways_of_use_that_there_are_not(layer: Layer, said: list[str]) -> None:
    plan = Plan(before=DeviceGraph(), wanted=Wanted(graph=graph_of(layer)))
    assert [each.text for each in swap.not_to_be_used(plan)] == said
