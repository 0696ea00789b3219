"""What was grown from a seed: two from one, and a further one from the first of these, recorded in the lab."""

from __future__ import annotations

import base64
import json
import lzma
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from pre_nixos.backends import btrfs
from pre_nixos.backends.btrfs import MIRRORS, Btrfs, Subvolume
from pre_nixos.backends.btrfs.ondisk import SUPERBLOCK, DamagedError, Filesystem, read_superblock
from pre_nixos.host.questions import BlockNodes, Contents
from pre_nixos.host.survey import Memo
from pre_nixos.model.difference import Fate, difference
from pre_nixos.model.draft import Wanted
from pre_nixos.model.identity import assemble, resolve
from pre_nixos.plugin import (
    WINDOWS,
    BlockDevice,
    Disk,
    Found,
    Health,
    Node,
    Plan,
    Ref,
    RequireFree,
    Run,
    State,
    Zero,
)
from tests.unit.backends.canned import Canned
from tests.unit.backends.replayed import only

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pre_nixos.plugin import DeviceGraph

RECORDED = Path(__file__).parents[1] / "cases/btrfs/trees/grown-from-seeds_btrfs-progs-6.2.json.xz"
SEED, FIRST, SECOND, THIRD = "8:0", "8:16", "8:32", "8:48"

Images = dict[str, dict[int, bytes]]


class Image:
    """The pieces of a device that were read when this was recorded."""

    def __init__(self, pieces: Mapping[int, bytes]) -> None:
        self.pieces = pieces

    def read(self, offset: int, length: int) -> bytes:
        return self.pieces.get(offset, b"")[:length]


@pytest.fixture
def images() -> Images:
    written = json.loads(lzma.decompress(RECORDED.read_bytes()))
    return {
        number: {int(offset): base64.b64decode(data) for offset, data in pieces.items()}
        for number, pieces in written["reads"].items()
    }


def found(images: Images) -> Sequence[Found]:
    """What is found where only these devices are."""
    written = json.loads(lzma.decompress(RECORDED.read_bytes()))
    nodes = [each for each in msgspec.convert(written["nodes"], BlockNodes).nodes if each.number in images]
    contents = msgspec.convert(written["contents"], Contents).devices
    signatures = {each.number: each.signatures for each in contents}
    return list(btrfs.find(Memo(Canned(nodes, signatures, {each: Image(images[each]) for each in images}))))


def wholes(images: Images) -> dict[str, tuple[Btrfs, set[str]]]:
    """Each filesystem by the device it has to itself, with those it grew from."""
    given = [(each.layer, [ref.number for ref in each.on]) for each in found(images)]
    return {on[0]: (layer, set(on[1:])) for layer, on in given if isinstance(layer, Btrfs)}


def graph(images: Images) -> DeviceGraph:
    disks = [
        Found(Disk(device=BlockDevice(name="sd", number=each, size=1, serial=each), state=State.ACTIVE))
        for each in images
    ]
    return resolve([*disks, *found(images)])


def fates(there: DeviceGraph, taken: Collection[str]) -> dict[str, Fate]:
    """What becomes of the filesystems when these disks are to be blank, by the disk each has to itself."""
    disks = [each for each in there.of(Disk) if each.device and each.device.number in taken]
    wanted = Wanted(graph=assemble([(each, ()) for each in disks]), takes=tuple(each.id for each in disks))
    decided = difference(there, wanted)
    own = {each.id: there.devices(each)[0].device for each in there.of(Btrfs)}
    return {device.number: fate for id_, device in own.items() if device and (fate := decided.fate(id_))}


def test_it_stands_on_what_it_grew_from(images: Images) -> None:
    there = wholes(images)
    assert {number: seeds for number, (_, seeds) in there.items()} == {
        SEED: set(),
        FIRST: {SEED},
        SECOND: {SEED},
        THIRD: {SEED, FIRST},
    }
    assert [each.devices for each, _ in there.values()] == [1, 2, 2, 3]
    assert {(each.health, each.remark) for each, _ in there.values()} == {(Health.OK, "")}


def test_what_is_inside_is_read_from_the_seed(images: Images) -> None:
    inside: dict[str, set[str]] = {}
    for each in found(images):
        if isinstance(each.layer, Subvolume):
            inside.setdefault(each.on[0].number, set()).add(each.layer.name)
    common = {"root", "home"}
    assert inside == {
        SEED: common,
        FIRST: common | {"first"},
        SECOND: common | {"second"},
        THIRD: common | {"first", "third"},
    }


def test_the_seed_keeps_what_is_its_own(images: Images) -> None:
    there = graph(images)
    seed = next(each for each in there.of(Btrfs) if each.devices == 1)
    assert [each.name for each in there.parts_of_kind(seed, Subvolume)] == ["home", "root"]
    third = next(each for each in there.of(Btrfs) if each.devices == 3)
    assert [each.device.number for each in there.devices(third) if each.device] == [THIRD]
    assert {there[each].segment for each in there.disks(third.id)} == {SEED, FIRST, THIRD}


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ({SEED}, {SEED: Fate.GONE, FIRST: Fate.STRADDLING, SECOND: Fate.STRADDLING, THIRD: Fate.STRADDLING}),
        ({FIRST}, {FIRST: Fate.STRADDLING, THIRD: Fate.STRADDLING}),
        ({SEED, SECOND}, {SEED: Fate.GONE, FIRST: Fate.STRADDLING, SECOND: Fate.GONE, THIRD: Fate.STRADDLING}),
        ({SEED, FIRST, SECOND, THIRD}, dict.fromkeys((SEED, FIRST, SECOND, THIRD), Fate.GONE)),
    ],
)
def test_a_seed_goes_only_with_all_that_grew_from_it(
    images: Images, taken: set[str], expected: dict[str, Fate]
) -> None:
    assert fates(graph(images), taken) == expected


def test_a_seed_that_is_elsewhere_is_missing(images: Images) -> None:
    del images[SEED]
    there = wholes(images)
    assert {number: seeds for number, (_, seeds) in there.items()} == {FIRST: set(), SECOND: set(), THIRD: {FIRST}}
    assert {(each.health, each.remark) for each, _ in there.values()} == {
        (Health.DEGRADED, "1 of 2 devices missing"),
        (Health.DEGRADED, "1 of 3 devices missing"),
    }


def test_where_it_cannot_be_read_what_it_grew_from_it_may_be_any_seed(images: Images) -> None:
    images[SECOND] = {SUPERBLOCK: images[SECOND][SUPERBLOCK]}
    there = wholes(images)
    assert there[SECOND][1] == {SEED, FIRST}
    assert there[SECOND][0].health is Health.DEGRADED
    assert not there[SEED][1]


def test_one_that_says_it_grew_from_what_grew_from_it_does_not_stop_anything(images: Images) -> None:
    seed, first = (read_superblock(images[each][SUPERBLOCK]) for each in (SEED, FIRST))
    assert seed is not None
    assert first is not None
    forged = {
        offset: data.replace(seed.member.uuid + seed.member.filesystem, first.member.uuid + first.member.filesystem)
        for offset, data in images[SEED].items()
        if offset != SUPERBLOCK
    }
    number = struct.pack("<Q", seed.member.number)
    for offset, data in forged.items():
        at = data.find(first.member.uuid + first.member.filesystem)
        if at >= 0:
            assert data[at - 66 : at - 58] == number
            forged[offset] = data[: at - 66] + struct.pack("<Q", first.member.number) + data[at - 58 :]
    images[SEED] |= forged
    there = wholes(images)
    assert (FIRST in there[SEED][1]) != (SEED in there[FIRST][1])
    assert len(graph(images).of(Btrfs)) == len(images)


def test_a_superblock_that_is_cut_short_is_damage(images: Images) -> None:
    superblock = read_superblock(images[SEED][SUPERBLOCK])
    assert superblock is not None
    with pytest.raises(DamagedError, match="cut short"):
        Filesystem(superblock._replace(chunks=superblock.chunks[:40]), nothing)


def nothing(device: int, offset: int, length: int) -> bytes:
    del device, offset, length
    return b""


def grown() -> DeviceGraph:
    disks = [Found(Disk(device=BlockDevice(name=each, number=each, size=1, serial=each))) for each in "ab"]
    seed = Found(Btrfs(label="seed", devices=1, state=State.ACTIVE), on=["a"])
    sprout = Btrfs(label="grown", devices=2, state=State.ACTIVE)
    return resolve([*disks, seed, Found(sprout, on=["b", Ref(number="a", content="btrfs")])])


def test_removing_it_leaves_the_seed_alone() -> None:
    there = grown()
    action = only(btrfs.remove(next(each for each in there.of(Btrfs) if each.label == "grown"), there))
    node = Node(layer="disk:b")
    assert action.summary == "remove btrfs 'grown' over 2 devices from disk b"
    assert action.steps == (
        RequireFree(target=node),
        Run(argv=("btrfs", "device", "scan", node)),
        Run(argv=("btrfs", "device", "scan", "--forget", node)),
        Zero(target=node, ranges=(*WINDOWS, *MIRRORS)),
    )


def test_none_is_made_that_would_have_to_grow() -> None:
    there, disks = grown(), assemble([(Disk(id="disk:a"), ()), (Disk(id="disk:b"), ())])
    wanted = Wanted(graph=there, takes=("disk:a", "disk:b"))
    plan = Plan(before=disks, wanted=wanted, reasons=difference(disks, wanted).verdicts)
    (objection,) = [each for each in btrfs.object_to(plan) if "grow from" in each.text]
    assert (
        objection.text == "btrfs 'grown' over 2 devices: it would have to grow from another one, and none is made so."
    )
