from __future__ import annotations

import base64
import contextlib
import json
import lzma
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pre_nixos.backends import btrfs
from pre_nixos.backends.btrfs import MIRRORS, Btrfs, Subvolume
from pre_nixos.backends.btrfs.kinds import in_order
from pre_nixos.backends.btrfs.ondisk import DamagedError, Filesystem, read_superblock
from pre_nixos.backends.mounts import Mount
from pre_nixos.host.questions import BlockNodes, Contents
from pre_nixos.host.survey import Memo
from pre_nixos.model.difference import Fate, difference
from pre_nixos.model.draft import Wanted
from pre_nixos.model.identity import assemble, resolve
from pre_nixos.plugin import (
    WINDOWS,
    Action,
    BlockDevice,
    Disk,
    Found,
    Health,
    MakeSubvolumes,
    NewSubvolume,
    Node,
    Plan,
    Ref,
    Replace,
    RequireBlank,
    RequireFree,
    Run,
    State,
    Verb,
    Zero,
)
from tests.unit.backends.canned import Canned
from tests.unit.backends.replayed import only

if TYPE_CHECKING:
    from pre_nixos.plugin import DeviceGraph, Layer

TREES = Path(__file__).parents[1] / "cases/btrfs/trees/nested-degraded-copied_btrfs-progs-6.2.json.xz"
A, B = Node(layer="disk:a"), Node(layer="disk:b")


class Image:
    """The pieces of a device that were read when this was recorded."""

    def __init__(self, pieces: dict[int, bytes]) -> None:
        self.pieces = pieces

    def read(self, offset: int, length: int) -> bytes:
        return self.pieces.get(offset, b"")[:length]


@pytest.fixture(scope="module")
def recorded() -> tuple[list[Any], dict[str, list[Any]], dict[str, Image]]:
    written = json.loads(lzma.decompress(TREES.read_bytes()))
    nodes = msgspec.convert(written["nodes"], BlockNodes).nodes
    contents = msgspec.convert(written["contents"], Contents).devices
    images = {
        number: Image({int(offset): base64.b64decode(data) for offset, data in pieces.items()})
        for number, pieces in written["reads"].items()
    }
    return list(nodes), {each.number: list(each.signatures) for each in contents}, images


def test_what_is_found_on_devices_that_are_not_mounted(recorded: Any) -> None:
    nodes, signatures, images = recorded
    found = list(btrfs.find(Memo(Canned(nodes, signatures, images))))
    wholes = {
        (each.layer.label, tuple(ref.number for ref in each.on)): each.layer
        for each in found
        if isinstance(each.layer, Btrfs)
    }
    assert [*wholes] == [("alone", ("8:0",)), ("pool", ("8:16", "8:32")), ("same", ("8:64",)), ("same", ("8:80",))]
    alone, pool, *_ = wholes.values()
    assert (alone.data, alone.metadata, alone.devices, alone.health) == ("single", "dup", 1, Health.OK)
    assert (pool.data, pool.metadata, pool.devices) == ("raid0", "raid1", 3)
    assert (pool.health, pool.remark) == (Health.DEGRADED, "1 of 3 devices missing")
    inside = {
        each.layer.name: each.layer.read_only
        for each in found
        if isinstance(each.layer, Subvolume) and each.on[0].number == "8:0"
    }
    many = {f"var/lib/some-long-name-for-many-subvolumes-{count}": False for count in range(1, 301)}
    plain = ("root", "root/inner", "root/a/b/deep", "two words", "umläut", "var/log")
    assert inside == {**dict.fromkeys(plain, False), "root-blank": True, **many}
    assert [each.layer.name for each in found if isinstance(each.layer, Subvolume) and each.on[0].number == "8:16"] == [
        "one"
    ]


def test_what_cannot_be_read_is_said(recorded: Any) -> None:
    nodes, signatures, images = recorded
    damaged = {number: Image({65536: image.pieces[65536]}) for number, image in images.items()}
    found = [each.layer for each in btrfs.find(Memo(Canned(nodes, signatures, damaged)))]
    assert all(isinstance(each, Btrfs) for each in found)
    assert "its subvolumes cannot be told: its node at" in found[0].remark
    nothing = {number: Image({}) for number in images}
    unread = next(iter(btrfs.find(Memo(Canned(nodes, signatures, nothing))))).layer
    assert unread.remark == "its superblock cannot be read"


def test_trees_that_make_no_sense_end(recorded: Any) -> None:
    image = recorded[2]["8:0"]
    superblock = read_superblock(image.pieces[65536])
    assert superblock is not None
    for byte in (0, 255):

        def garbage(device: int, offset: int, length: int, byte: int = byte) -> bytes:
            del device
            node = bytearray([byte]) * length
            node[0x30:0x38] = image.pieces.get(offset, bytes(length))[0x30:0x38]
            return bytes(node)

        with contextlib.suppress(DamagedError):
            assert not Filesystem(superblock, garbage).subvolumes().paths
    assert read_superblock(b"") is None
    assert read_superblock(bytes(4096)) is None


def machine(layer: Layer, *serials: str, inside: tuple[Layer, ...] = ()) -> DeviceGraph:
    disks = [(Disk(id=f"disk:{each}", serial=each), ()) for each in serials]
    on = tuple(range(len(disks)))
    return assemble([*disks, (layer, on), *((each, (len(disks),)) for each in inside)])


def test_making_one_with_subvolumes() -> None:
    pool = Btrfs(label="pool", uuid="AA", data="raid1", metadata="raid1", arguments=("--csum", "xxhash"))
    parts = (
        Subvolume(name="/var/log/"),
        Subvolume(name="blank", origin="/root", read_only=True),
        Subvolume(name="root/nix"),
        Subvolume(name="root"),
    )
    graph = machine(pool, "a", "b", inside=parts)
    action = only(btrfs.make(graph["btrfs:btrfs"], graph))
    assert action.verb is Verb.FORMAT
    assert action.summary == "make btrfs labelled pool with blank, root, root/nix, var/log on disk a, disk b"
    how = ("-L", "pool", "-U", "aa", "-d", "raid1", "-m", "raid1")
    assert action.steps == (
        *(RequireFree(target=each) for each in (A, B)),
        *(RequireBlank(target=each) for each in (A, B)),
        Run(argv=("mkfs.btrfs", "-q", "-f", *how, A, B, "--csum", "xxhash")),
        MakeSubvolumes(
            target=A,
            subvolumes=(
                NewSubvolume(path="root"),
                NewSubvolume(path="blank", origin="root", read_only=True),
                NewSubvolume(path="root/nix"),
                NewSubvolume(path="var/log"),
            ),
        ),
    )


def test_one_without_subvolumes_is_one_program() -> None:
    graph = machine(Btrfs(), "a")
    steps = only(btrfs.make(graph["disk:a/btrfs"], graph)).steps
    assert steps[2:] == (Run(argv=("mkfs.btrfs", "-q", "-f", A)),)


def test_snapshots_come_right_behind_their_origin() -> None:
    wanted = (Subvolume(name="z/in"), Subvolume(name="s", origin="z"), Subvolume(name="z"), Subvolume(name="a"))
    assert [each.name for each in in_order(wanted)] == ["a", "z", "s", "z/in"]


@pytest.mark.parametrize("name", ["", "/", "a/../b", "./a", "a\0b"])
def test_names_that_lead_elsewhere(name: str) -> None:
    with pytest.raises(ValueError, match="must be a path below the top"):
        Subvolume(name=name)


THERE = Btrfs(label="old", data="single", metadata="dup", devices=1, state=State.ACTIVE)


def changed(new: Btrfs, was: tuple[Layer, ...] = (), wanted: tuple[Layer, ...] = ()) -> Action | Replace:
    before, after = machine(THERE, "a", inside=was), machine(new, "a", inside=wanted)
    answer = btrfs.change(before["disk:a/btrfs"], after["disk:a/btrfs"], before, after)
    return answer if isinstance(answer, Replace) else only(answer)


def test_a_label_and_subvolumes_in_place() -> None:
    root = Subvolume(name="root", read_only=False)
    action = changed(Btrfs(label="new"), (root,), (Subvolume(name="root"), Subvolume(name="srv")))
    assert isinstance(action, Action)
    assert action.summary == "change btrfs 'old' on disk a: label it new; add srv"
    assert action.steps == (
        RequireFree(target=A),
        Run(argv=("btrfs", "filesystem", "label", A, "new")),
        MakeSubvolumes(target=A, subvolumes=(NewSubvolume(path="srv"),)),
    )


def test_where_it_is_mounted_its_label_is_changed_there() -> None:
    action = changed(Btrfs(label="new"), (Mount(at="/", root="/mnt"),))
    assert isinstance(action, Action)
    assert action.steps == (Run(argv=("btrfs", "filesystem", "label", "/mnt", "new")),)


@pytest.mark.parametrize(
    ("new", "wanted", "why"),
    [
        (Btrfs(data="raid1"), (), "data is single, wanted raid1"),
        (Btrfs(label="new", metadata="single"), (), "metadata is dup, wanted single"),
        (Btrfs(uuid="b"), (), "uuid is not set, wanted b"),
        (
            Btrfs(),
            (Subvolume(name="root", read_only=True), Subvolume(name="new")),
            "subvolume root: read_only is False, wanted True",
        ),
        (Btrfs(), (), ""),
    ],
)
def test_whatever_else_differs_is_made_anew(new: Btrfs, wanted: tuple[Layer, ...], why: str) -> None:
    assert changed(new, (Subvolume(name="root", read_only=False),), wanted) == Replace(why=why)


def test_profiles_that_could_not_be_read_are_no_difference() -> None:
    assert not Btrfs(data="raid1", metadata="raid1").mismatches(Btrfs())


def test_a_subvolume_that_nobody_asked_for_stays_unless_all_goes() -> None:
    extra = Subvolume(name="var/lib/machines", state=State.ACTIVE)
    there = machine(THERE, "a", inside=(extra, Subvolume(name="root", state=State.ACTIVE)))
    same = Wanted(graph=machine(Btrfs(label="old"), "a", inside=(Subvolume(name="root"),)), takes=("disk:a",))
    assert difference(there, same).ids(Fate.GONE, Fate.CHANGED, Fate.REPLACED) == []
    nothing = Wanted(graph=assemble([(Disk(id="disk:a"), ())]), takes=("disk:a",))
    assert "disk:a/btrfs/var/lib/machines" in difference(there, nothing).ids(Fate.GONE)


def test_a_mount_belongs_to_its_subvolume() -> None:
    assert Subvolume(name="/home").mounted_as() == ("btrfs", ("subvol=/home",))
    disk = Found(Disk(device=BlockDevice(name="sda", number="8:0", size=1, serial="S")))
    inside = Found(Subvolume(name="home"), on=[Ref(number="8:0", content="btrfs")])
    mount = Found(Mount(at="/home", root="/"), on=[Ref(number="8:0", content="btrfs", name="home")])
    graph = resolve([mount, inside, Found(Btrfs(), on=["8:0"]), disk])
    assert graph.on("disk:S/btrfs/home/mount@/home") == ("disk:S/btrfs/home",)


def objections(layer: Btrfs, *inside: Layer, serials: tuple[str, ...] = ("a",)) -> list[str]:
    after = machine(layer, *serials, inside=inside)
    before = assemble([(Disk(id=f"disk:{each}", serial=each), ()) for each in serials])
    wanted = Wanted(graph=after, takes=tuple(f"disk:{each}" for each in serials))
    plan = Plan(before=before, wanted=wanted, reasons=difference(before, wanted).verdicts)
    return [each.text for each in btrfs.object_to(plan)]


@pytest.mark.parametrize(
    ("layer", "inside", "said"),
    [
        (Btrfs(label="fine"), (Subvolume(name="a"),), []),
        (Btrfs(data="raid7"), (), ["btrfs: there is no profile 'raid7' for data."]),
        (Btrfs(metadata="raid1"), (), ["btrfs: raid1 for metadata takes 2 devices, and it has 1."]),
        (Btrfs(label="a\nb"), (), [r"btrfs 'a\nb': 'a\nb' is no label for it."]),
        (
            Btrfs(),
            (Subvolume(name="s", origin="nowhere"),),
            ["subvolume s: it is to be a snapshot of nowhere, which nobody wants."],
        ),
        (Btrfs(), (Subvolume(name="s", read_only=True),), ["subvolume s: nothing could ever be put into it."]),
        (
            Btrfs(),
            (Subvolume(name="x" * 256),),
            [f"subvolume {'x' * 256}: a name in its path is longer than 255 bytes."],
        ),
    ],
)
def test_objections(layer: Btrfs, inside: tuple[Layer, ...], said: list[str]) -> None:
    assert objections(layer, *inside) == said


def test_removing_one_on_a_single_device() -> None:
    graph = machine(Btrfs(label="pool", devices=1, state=State.ACTIVE), "a")
    action = only(btrfs.remove(graph["disk:a/btrfs"], graph))
    assert action.summary == "remove btrfs 'pool' from disk a"
    assert action.steps == (RequireFree(target=A), Zero(target=A, ranges=(*WINDOWS, *MIRRORS)))


def test_removing_one_on_several_devices() -> None:
    graph = machine(Btrfs(devices=2, state=State.ACTIVE), "a", "b")
    action = only(btrfs.remove(graph["btrfs:btrfs"], graph))
    assert action.steps == (
        RequireFree(target=A),
        RequireFree(target=B),
        Run(argv=("btrfs", "device", "scan", A, B)),
        Run(argv=("btrfs", "device", "scan", "--forget", A, B)),
        Zero(target=A, ranges=(*WINDOWS, *MIRRORS)),
        Zero(target=B, ranges=(*WINDOWS, *MIRRORS)),
    )
