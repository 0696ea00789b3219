from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pre_nixos.backends import lvm
from pre_nixos.backends.lvm import Group, Orphan, Volume
from pre_nixos.backends.lvm.command import SETTINGS
from pre_nixos.backends.lvm.report import read_report
from pre_nixos.host.record import Recording
from pre_nixos.host.replay import Replay
from pre_nixos.host.survey import Memo
from pre_nixos.model.draft import Wanted
from pre_nixos.model.identity import assemble
from pre_nixos.model.plan import Plan
from pre_nixos.plugin import (
    MIB,
    WINDOWS,
    Action,
    Await,
    Disk,
    Exact,
    Node,
    Range,
    Replace,
    RequireBlank,
    RequireFree,
    RequireSize,
    Rest,
    Run,
    Secret,
    State,
    Verb,
    Zero,
)
from tests.unit.backends.replayed import cases, expected_and_found
from tests.unit.backends.sole import sole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pre_nixos.plugin import DeviceGraph, Found, Reader, Size, Step

EXTENT = 4 * MIB
UUID = "Sc9KAw-sCu6-suue-9JAK-1jZz-yoXX-pU2RJb"
A, B = Node(layer="disk:a"), Node(layer="disk:b")


class Finder:
    """The plugin's way in, by the name these tests know."""

    def probe(self, reader: Reader) -> Iterable[Found]:
        return lvm.find(reader)


@pytest.mark.parametrize("case", cases("lvm"), ids=lambda path: path.stem)
def test_probe(case: Path) -> None:
    expected, found = expected_and_found(case, Finder())
    assert found == expected


def test_only_a_group_that_can_be_changed_has_room_to_take() -> None:
    (case,) = (each for each in cases("lvm") if each.stem.startswith("partial"))
    recorded = json.dumps(json.loads(case.read_text())["machine"])
    grown = recorded.replace(f'dev_size\\":\\"{300 * MIB}', f'dev_size\\":\\"{400 * MIB}')
    found = [each.layer for each in lvm.find(Memo(Replay(Recording.from_json(grown))))]
    room = {each.name: each.unused // MIB for each in found if isinstance(each, Group)}
    # One has lost a device, and one is exported; one is on an array and one on a volume, which have not grown.
    assert room == {"lost": 0, "empty": 0, "onmd": 0, "inner": 0, "wide": 200, "outer": 100}


@pytest.mark.parametrize("printed", ["", "no report", "{}", '{"report": []}'])
def test_no_report_says_nothing(printed: str) -> None:
    assert list(read_report(printed)) == []


@pytest.mark.parametrize(
    ("device", "used", "start", "copies", "metadata", "extent", "unused"),
    [
        # As LVM 2.03.16 reported what `pvcreate` and `vgcreate` had made, with all kinds of arguments.
        (52428800, 50331648, 1048576, 1, 1044480, EXTENT, 0),
        (53663744, 51380224, 1048576, 2, 1044480, MIB, 0),  # --pvmetadatacopies 2
        (54898688, 41943040, 6291456, 2, 5615616, EXTENT, 0),  # and --metadatasize 5M
        (58603520, 41943040, 8388608, 2, 8271872, MIB, 0),  # and --dataalignment 8M
        (62308352, 50331648, 6291456, 2, 5685248, EXTENT, 0),  # and --metadatasize 3500K --dataalignment 3M
        (63543296, 62914560, 131072, 2, 104448, MIB, 0),  # and --metadatasize 100K --dataalignment 64K
        (57368576, 46137344, 8388608, 1, 8384512, EXTENT, 0),  # --dataalignment 8M
        (61073408, 52428800, 8388608, 1, 1044480, MIB, 0),  # --bootloaderareasize 7M
        # The same after 40 MiB were added, and after pvresize.
        (94371840, 50331648, 1048576, 1, 1044480, EXTENT, 40 * MIB),
        (94371840, 92274688, 1048576, 1, 1044480, EXTENT, 0),
        (95606784, 51380224, 1048576, 2, 1044480, MIB, 39 * MIB),
        (95606784, 93323264, 1048576, 2, 1044480, MIB, 0),
        (96841728, 41943040, 6291456, 2, 5615616, EXTENT, 32 * MIB),
        (96841728, 83886080, 6291456, 2, 5615616, EXTENT, 0),
        (100546560, 41943040, 8388608, 2, 8271872, MIB, 32 * MIB),
        (100546560, 83886080, 8388608, 2, 8271872, MIB, 0),
        # A device that has shrunk under it has nothing to give.
        (40 * MIB, 50331648, 1048576, 1, 1044480, EXTENT, 0),
    ],
)
def test_a_physical_volume_that_does_not_use_all_of_its_device(
    device: int, used: int, start: int, copies: int, metadata: int, extent: int, unused: int
) -> None:
    said = {"dev_size": device, "pv_size": used, "pe_start": start, "pv_mda_count": copies, "pv_mda_size": metadata}
    where = {"pv_uuid": UUID, "pv_major": "8", "pv_minor": "0", "pv_missing": ""}
    physical = where | {field: str(value) for field, value in said.items()}
    group = {"vg_name": "main", "vg_uuid": UUID, "vg_extent_size": str(extent), "vg_exported": ""}
    (found,) = read_report(json.dumps({"report": [{"vg": [group], "pv": [physical]}]}))
    assert [each.unused for each in found.physical] == [unused]
    (lonely,) = read_report(json.dumps({"report": [{"pv": [physical]}]}))
    assert not lonely.physical[0].unused


def volume(name: str, size: Size | str = "8MiB", **more: Any) -> Volume:
    return Volume(name=name, size=size, **more)


def test_a_group_tells_its_volumes_its_name() -> None:
    (arrangement,) = Group(name="my-vg").arrange(100 * EXTENT, [volume("r-t", "10%")])
    assert isinstance(arrangement, Volume)
    assert arrangement.size == Exact(bytes=10 * EXTENT)
    assert arrangement.mark() == {"dm/name": "my--vg-r--t"}
    assert arrangement.occupies() == {"mapper:my--vg-r--t"}


@pytest.mark.parametrize(
    ("wanted", "there", "differ"),
    [
        (volume("a", "50MiB"), volume("a", "52MiB", extent=EXTENT), []),
        (volume("a", "50MiB"), volume("a", "54MiB", extent=EXTENT), ["size"]),
        (volume("a", "50MiB"), volume("a", "50MiB", type="raid1", mirrors=1), []),
        (volume("a", "50MiB", type="linear"), volume("a", "50MiB", type="raid1"), ["type"]),
        (volume("a", Rest()), volume("a", "50MiB", extent=EXTENT), ["size"]),
    ],
)
def test_sizes_are_compared_within_one_extent(wanted: Volume, there: Volume, differ: list[str]) -> None:
    assert [each.field for each in wanted.mismatches(there)] == differ


def graph_of(group: Group, *volumes: Volume) -> DeviceGraph:
    """A group on two disks."""
    disks = [(Disk(id=f"disk:{letter}", serial=letter, size=1024 * MIB), ()) for letter in "ab"]
    return assemble([*disks, (group, (0, 1)), *((each, (2,)) for each in volumes)])


def sized(name: str, size: Size | str, **more: Any) -> Volume:
    return volume(name, size, group="main", **more)


def command(step: Step) -> tuple[str | Node | Secret, ...]:
    """The command and its words, without what every command of LVM is told."""
    assert isinstance(step, Run)
    assert step.argv[:1] == ("lvm",)
    assert step.argv[2:8] == ("--config", SETTINGS, "--devices", A, "--devices", B)
    return (step.argv[1], *step.argv[8:])


def runs(steps: Sequence[Step]) -> list[str]:
    """The commands of LVM among some steps, as text."""
    ran = [command(each) for each in steps if isinstance(each, Run)]
    return [" ".join(word.layer if isinstance(word, Node) else str(word) for word in words) for words in ran]


def test_format() -> None:
    graph = graph_of(
        Group(name="main"),
        sized("root", "40MiB"),
        sized("a", "40MiB", type="thin", pool="p"),
        sized("p", "40MiB", type="thin-pool"),
        sized("mirror", "20MiB", type="raid1"),
        sized("wide", "24MiB", stripes=2),
        sized("five", "24MiB", type="raid5"),
        sized("ten", "24MiB", type="raid10", mirrors=2, stripes=3),
        sized("snap", "8MiB", type="snapshot", origin="root"),
    )
    action = sole(lvm.make(graph["lvm.group:main"], graph))
    assert action.verb is Verb.FORMAT
    assert action.summary.startswith(
        "make volume group main with a, five, mirror, p, root, snap, ten, wide on disk a, "
    )
    assert action.steps[:4] == (
        *(RequireFree(target=node) for node in (A, B)),
        *(RequireBlank(target=node) for node in (A, B)),
    )
    wipe = "--yes --wipesignatures y --zero y"
    assert runs(action.steps) == [
        "vgcreate --physicalextentsize 4194304b --dataalignment 1048576b --dataalignmentoffset 0b main disk:a disk:b",
        f"lvcreate {wipe} --type raid5 --stripes 2 --extents 6 --name five main",
        f"lvcreate {wipe} --type raid1 --mirrors 1 --extents 5 --name mirror main",
        f"lvcreate {wipe} --type raid10 --stripes 3 --mirrors 2 --extents 6 --name ten main",
        f"lvcreate {wipe} --type striped --stripes 2 --extents 6 --name wide main",
        "lvcreate --type thin-pool --extents 10 --poolmetadatasize 4194304b --name p main",
        f"lvcreate {wipe} --type linear --extents 10 --name root main",
        "lvcreate --type thin --virtualsize 41943040b --thinpool p --name a main",
        "lvcreate --snapshot --extents 2 --name snap main/root",
    ]
    # A volume's ends are cleared at once, but not what shows another's data, or none.
    cleared = [each.target.layer.rpartition("/")[2] for each in action.steps if isinstance(each, Zero)]
    assert cleared == ["five", "mirror", "ten", "wide", "root"]
    awaited = [each.target.layer.rpartition("/")[2] for each in action.steps if isinstance(each, Await)]
    assert awaited == ["five", "mirror", "ten", "wide", "root", "a", "snap"]


def test_activate_names_what_is_wanted() -> None:
    graph = graph_of(Group(name="main"), sized("root", "40MiB"), sized("p", "40MiB", type="thin-pool"))
    action = sole(lvm.switch_on(graph["lvm.group:main"], graph))
    assert runs(action.steps) == ["lvchange --activate y --ignoreactivationskip main/p main/root"]
    assert action.steps[1:] == (Await(target=Node(layer="lvm.group:main/root")),)


def test_deactivate_goes_by_uuid() -> None:
    awake, asleep = sized("root", "40MiB", state=State.ACTIVE), sized("home", "40MiB", state=State.INACTIVE)
    graph = graph_of(Group(name="main", uuid=UUID), awake, asleep)
    action = sole(lvm.switch_off(graph["lvm.group:main"], graph))
    assert runs(action.steps) == [f"vgchange --activate n --select vg_uuid={UUID}"]
    assert action.steps[1:] == (Await(target=Node(layer="lvm.group:main/root"), present=False),)


def test_teardown() -> None:
    graph = graph_of(Group(name="main"))
    action = sole(lvm.remove(graph["lvm.group:main"], graph))
    assert action == Action(
        verb=Verb.TEARDOWN,
        target="lvm.group:main",
        summary="remove volume group main from disk a, disk b",
        steps=(
            *(RequireFree(target=node) for node in (A, B)),
            *(Zero(target=node, ranges=WINDOWS) for node in (A, B)),
        ),
        destroys=("lvm.group:main",),
    )


def test_an_orphan_goes_alone() -> None:
    graph = assemble([(Disk(id="disk:a", serial="a"), ()), (Orphan(uuid="u"), (0,))])
    layer = graph["disk:a/lvm.orphan"]
    assert sole(lvm.remove_orphan(layer, graph)).steps == (RequireFree(target=A), Zero(target=A, ranges=WINDOWS))


def test_volumes_come_go_and_grow_in_a_group_that_stays() -> None:
    there = {"state": State.ACTIVE, "type": "linear", "extent": EXTENT}
    before = graph_of(
        Group(name="main", extent_size=EXTENT, uuid=UUID),
        sized("kept", "40MiB", **there),
        sized("grown", "40MiB", **there),
        sized("old", "40MiB", **there | {"uuid": "u-old"}),
        sized("dead", "40MiB", **there | {"uuid": "u-dead", "state": State.INACTIVE}),
    )
    after = graph_of(Group(name="main"), sized("kept", "40MiB"), sized("grown", "48MiB"), sized("new", "8MiB"))
    id_ = "lvm.group:main"
    action = sole(lvm.change(before[id_], after[id_], before, after))
    assert action.verb is Verb.MODIFY
    assert action.destroys == (f"{id_}/dead", f"{id_}/old")
    assert action.summary == "remove dead, old; grow grown; make new in volume group main"
    assert runs(action.steps) == [
        "lvremove --yes --select lv_uuid=u-old main/old",
        "lvremove --yes --select lv_uuid=u-dead main/dead",
        "lvextend --size 50331648b main/grown",
        "lvcreate --yes --wipesignatures y --zero y --type linear --extents 2 --name new main",
    ]
    old, grown = Node(layer=f"{id_}/old"), Node(layer=f"{id_}/grown")
    assert action.steps[0] == RequireFree(target=old)
    assert action.steps[2] == Await(target=old, present=False)
    # Only what was added is cleared, however little that is.
    assert action.steps[4] == RequireSize(target=grown, size=40 * MIB)
    assert action.steps[6] == Zero(target=grown, ranges=(Range(start=40 * MIB, length=8 * MIB),), added=True)


@pytest.mark.parametrize(
    ("was", "wanted", "why"),
    [
        (
            sized("a", "40MiB", type="linear", extent=EXTENT),
            sized("a", "20MiB"),
            "a: its size is 40 MiB, wanted 20 MiB, and shrinking would cut off data",
        ),
        (
            sized("a", Exact(bytes=(40 << 30) + EXTENT), type="linear", extent=EXTENT),
            sized("a", Exact(bytes=40 << 30)),
            f"a: its size is {(40 << 30) + EXTENT} bytes, wanted {40 << 30} bytes, and shrinking would cut off data",
        ),
        (
            sized("a", "40MiB", type="raid1", mirrors=1, extent=EXTENT),
            sized("a", "40MiB", type="linear"),
            "a: type is raid1, wanted linear",
        ),
        (
            sized("a", "40MiB", type="cache", extent=EXTENT),
            sized("a", "80MiB"),
            "a: a cache volume is not resized",
        ),
    ],
)
def test_what_would_lose_data_is_not_done_in_place(was: Volume, wanted: Volume, why: str) -> None:
    before, after = graph_of(Group(name="main"), was), graph_of(Group(name="main"), wanted)
    group = "lvm.group:main"
    assert lvm.change(before[group], after[group], before, after) == Replace(why=why)


def objections(before: DeviceGraph, after: DeviceGraph) -> list[str]:
    from pre_nixos.model.difference import difference

    wanted = Wanted(graph=after, takes=("disk:a", "disk:b"))
    plan = Plan(before=before, wanted=wanted, reasons=difference(before, wanted).verdicts)
    return [each.text for each in lvm.object_to(plan)]


NOTHING = assemble([(Disk(id=f"disk:{letter}", serial=letter, size=1024 * MIB), ()) for letter in "ab"])


@pytest.mark.parametrize(
    ("group", "volumes", "said"),
    [
        (Group(name="main"), [sized("root", "8MiB")], []),
        (Group(name="-main"), [], ["'-main' is no name for a volume group."]),
        (
            Group(name="main", extent_size=5000),
            [],
            ["Volume group main: an extent of 5000 bytes is not a power of two of at least 4 KiB."],
        ),
        (Group(name="main"), [sized("a b", "8MiB")], ["'a b' is no name for a volume."]),
        (Group(name="main"), [sized("x_rimage_0", "8MiB")], ["'x_rimage_0' is no name for a volume."]),
        (
            Group(name="main"),
            [sized("a", "8MiB", type="cache")],
            ["Volume main/a: volumes of type cache are not made."],
        ),
        (
            Group(name="main"),
            [sized("a", "8MiB", mirrors=1)],
            ["Volume main/a: it asks for copies, and only raid1 and raid10 have them."],
        ),
        (
            Group(name="main"),
            [sized("a", "8MiB", type="raid1", mirrors=-1)],
            ["Volume main/a: there cannot be -1 copies beside the first."],
        ),
        *(
            (Group(name="main"), [sized("a", "8MiB", type=type_, stripes=stripes, mirrors=mirrors)], [said])
            for type_, stripes, mirrors, said in [
                ("linear", 2, None, "Volume main/a: it asks for 2 stripes, and linear has no stripes."),
                ("raid1", 2, None, "Volume main/a: it asks for 2 stripes, and raid1 has no stripes."),
                ("striped", 1, None, "Volume main/a: it asks for 1 stripes, and striped takes at least 2 stripes."),
                ("raid5", 1, None, "Volume main/a: it asks for 1 stripes, and raid5 takes at least 2 stripes."),
                (None, 3, None, "Volume main/a: it takes 3 devices, and its group has 2."),
                ("raid1", None, 2, "Volume main/a: it takes 3 devices, and its group has 2."),
                ("raid5", None, None, "Volume main/a: it takes 3 devices, and its group has 2."),
                ("raid10", None, None, "Volume main/a: it takes 4 devices, and its group has 2."),
            ]
        ),
        (Group(name="main"), [sized("a", "8MiB", stripes=1), sized("b", "8MiB", type="raid1")], []),
        (
            Group(name="main"),
            [sized("t", "8MiB", type="thin")],
            ["Volume main/t: it is thin and names no pool."],
        ),
        (
            Group(name="main"),
            [sized("t", "8MiB", type="thin", pool="p")],
            ["Volume main/t depends on p, which nobody wants."],
        ),
        (
            Group(name="main"),
            [sized("-" * 80 + "x", "8MiB")],
            [
                f"{'-' * 80 + 'x'!r} is no name for a volume.",
                f"Volume main/{'-' * 80}x: its name for device-mapper has 166 characters, and 126 are possible.",
            ],
        ),
    ],
)
def test_objections(group: Group, volumes: list[Volume], said: list[str]) -> None:
    assert objections(NOTHING, graph_of(group, *volumes)) == said


def test_an_origin_does_not_go_from_under_its_snapshot() -> None:
    there = (sized("root", "8MiB"), sized("snap", "8MiB", type="snapshot", origin="root"))
    after = graph_of(Group(name="main"), sized("snap", "8MiB"))
    assert objections(graph_of(Group(name="main"), *there), after) == [
        "Volume main/snap depends on root, which nobody wants."
    ]


def test_what_a_thin_snapshot_was_taken_of_may_go() -> None:
    pool = sized("p", "8MiB", type="thin-pool")
    snap = sized("snap", "8MiB", type="thin", pool="p", origin="root")
    before = graph_of(Group(name="main"), pool, sized("root", "8MiB", type="thin", pool="p"), snap)
    assert objections(before, graph_of(Group(name="main"), pool, sized("snap", "8MiB", type="thin"))) == []
