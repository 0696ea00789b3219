"""What a change of one wish leads to on a machine where everything else is as wanted: every wish of every kind.

What is missing in the table is a wish of which nobody knows whether it is compared, and whether it costs what is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest

from pre_nixos.backends import btrfs, dmcrypt, filesystems, gpt, lvm, mdraid, mounts, swap
from pre_nixos.flow.schedule import schedule
from pre_nixos.hooks.registry import installed
from pre_nixos.model.difference import Fate, shortcomings
from pre_nixos.model.identity import resolve
from pre_nixos.model.layer import Role, roles
from pre_nixos.plugin import BlockDevice, Disk, Draft, Exact, Found, Machine, Rest, Verb, Wanted
from pre_nixos.testing import faults_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.plugin import Handle, Layer, Plan

GIB = 1 << 30
ONE, TWO = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
NEVER = {
    "dos.partition": "tables of this kind are recognised, and not made",
    "mdraid.subarray": "arrays of the firmware are recognised, and not made",
}
"""Kinds that nobody can want."""

GPT = "disk:S0/gpt"
ROOT = "lvm.group:main/root"
LUKS = "mdraid.array:main/luks"
POOL = "disk:S2/btrfs"
SECRET = "disk:S3/gpt/1/crypt-plain"


class Row(NamedTuple):
    """One change: of which layer, to what, from what if that is not what was made, and what follows."""

    layer: str
    wanted: object
    fate: Fate
    lost: str = ""
    """Kinds of what goes for good."""
    there: object = None
    why: str = ""


KEPT, CHANGED, REPLACED = Fate.KEPT, Fate.CHANGED, Fate.REPLACED
ABOVE_THE_ARRAY = "mdraid.array luks lvm.group lvm.volume filesystem swap"
ABOVE_LUKS = ABOVE_THE_ARRAY.removeprefix("mdraid.array ")
IN_THE_GROUP = ABOVE_LUKS.removeprefix("luks ")
WHOLE_POOL = "btrfs btrfs.subvolume"
LAST_TABLE = "gpt gpt.partition crypt-plain swap filesystem"

YES, NO = True, False
TABLE: Mapping[str, Sequence[Row]] = {
    "gpt.partition.size": [
        Row("disk:S3/gpt/2", Exact(bytes=3 * GIB), CHANGED, why="size is 2 GiB, wanted 3 GiB"),
        Row("disk:S3/gpt/2", Exact(bytes=GIB), REPLACED, LAST_TABLE),
    ],
    "gpt.partition.start": [Row("disk:S3/gpt/2", 4 * GIB, REPLACED, LAST_TABLE)],
    "gpt.partition.type": [Row(f"{GPT}/1", "linux", CHANGED, why="type is esp, wanted linux")],
    "gpt.partition.label": [Row(f"{GPT}/1", "other", CHANGED, why="label is boot-0, wanted other")],
    "gpt.partition.uuid": [Row(f"{GPT}/1", TWO, CHANGED, there=ONE), Row(f"{GPT}/1", ONE.upper(), KEPT, there=ONE)],
    "gpt.partition.attributes": [Row(f"{GPT}/1", 4, CHANGED, there=0)],
    "mdraid.array.level": [Row("mdraid.array:main", 0, REPLACED, ABOVE_THE_ARRAY)],
    "mdraid.array.metadata": [Row("mdraid.array:main", "1.0", REPLACED, ABOVE_THE_ARRAY, there="1.2")],
    "mdraid.array.chunk": [Row("mdraid.array:main", 65536, KEPT)],
    "mdraid.array.spares": [Row("mdraid.array:main", 1, REPLACED, ABOVE_THE_ARRAY, there=0)],
    "luks.mapper": [Row(LUKS, "other", CHANGED)],
    "luks.version": [Row(LUKS, "1", REPLACED, ABOVE_LUKS, there="2")],
    "luks.label": [Row(LUKS, "other", CHANGED)],
    "luks.uuid": [Row(LUKS, TWO, REPLACED, ABOVE_LUKS, there=ONE)],
    "luks.cipher": [Row(LUKS, "serpent-xts-plain64", REPLACED, ABOVE_LUKS, there="aes-xts-plain64")],
    "luks.key_size": [Row(LUKS, 512, REPLACED, ABOVE_LUKS, there=256), Row(LUKS, 512, KEPT)],
    "luks.sector_size": [Row(LUKS, 4096, REPLACED, ABOVE_LUKS, there=512)],
    "luks.pbkdf": [Row(LUKS, "pbkdf2", CHANGED, there="argon2id")],
    "luks.allow_discards": [
        Row(LUKS, YES, CHANGED, there=NO),
        Row(LUKS, NO, CHANGED, there=YES),
        Row(LUKS, None, KEPT, there=YES),
        Row(LUKS, YES, KEPT),
    ],
    "luks.bypass_workqueues": [Row(LUKS, YES, CHANGED, there=NO), Row(LUKS, NO, CHANGED, there=YES)],
    "crypt-plain.mapper": [Row(SECRET, "other", CHANGED)],
    "crypt-plain.cipher": [Row(SECRET, "serpent-xts-plain64", REPLACED, "crypt-plain swap", there="aes-xts-plain64")],
    "crypt-plain.key_size": [Row(SECRET, 512, REPLACED, "crypt-plain swap", there=256)],
    "crypt-plain.allow_discards": [Row(SECRET, YES, REPLACED, "crypt-plain swap", there=NO, why="nobody has the key")],
    "lvm.group.extent_size": [Row("lvm.group:main", 8 << 20, REPLACED, IN_THE_GROUP, there=4 << 20)],
    "lvm.volume.size": [
        Row(ROOT, Exact(bytes=9 * GIB), CHANGED),
        Row(ROOT, Exact(bytes=7 * GIB), REPLACED, IN_THE_GROUP, why="shrinking would cut off data"),
    ],
    "lvm.volume.type": [Row(ROOT, "raid0", REPLACED, IN_THE_GROUP)],
    "lvm.volume.stripes": [Row(ROOT, 2, REPLACED, IN_THE_GROUP), Row(ROOT, 1, KEPT)],
    "lvm.volume.mirrors": [Row(ROOT, 1, REPLACED, IN_THE_GROUP), Row(ROOT, 0, KEPT)],
    "lvm.volume.pool": [Row("lvm.group:main/thin", "pool", REPLACED, IN_THE_GROUP, there="other")],
    "lvm.volume.origin": [Row("lvm.group:main/snap", "root", REPLACED, IN_THE_GROUP, there="thin")],
    "lvm.volume.group": [Row(ROOT, "other", REPLACED, IN_THE_GROUP)],  # which nobody can ask for: the group fills it in
    "filesystem.type": [Row(f"{ROOT}/filesystem", "xfs", REPLACED, "filesystem")],
    "filesystem.label": [
        Row(f"{ROOT}/filesystem", "other", CHANGED),
        Row(f"{GPT}/1/filesystem", "OTHER", CHANGED),
        Row(f"{GPT}/1/filesystem", "", CHANGED, there="OLD"),
        Row("disk:S3/gpt/2/filesystem", "other", CHANGED),
        Row("disk:S3/gpt/2/filesystem", "", KEPT, there=None),
    ],
    "filesystem.uuid": [
        Row(f"{ROOT}/filesystem", TWO, REPLACED, "filesystem", there=ONE),
        Row(f"{ROOT}/filesystem", ONE.upper(), KEPT, there=ONE),
        Row(f"{GPT}/1/filesystem", "6a1c22f0", KEPT, there="6A1C-22F0"),
    ],
    "btrfs.label": [Row(POOL, "other", CHANGED)],
    "btrfs.uuid": [Row(POOL, TWO, REPLACED, WHOLE_POOL, there=ONE), Row(POOL, ONE.upper(), KEPT, there=ONE)],
    "btrfs.data": [Row(POOL, "dup", REPLACED, WHOLE_POOL, there="single"), Row(POOL, "dup", KEPT)],
    "btrfs.metadata": [Row(POOL, "single", REPLACED, WHOLE_POOL, there="dup")],
    "btrfs.subvolume.read_only": [Row(f"{POOL}/blank", YES, REPLACED, WHOLE_POOL, there=NO)],
    "swap.label": [Row("lvm.group:main/swap/swap", "other", CHANGED)],
    "swap.uuid": [Row("lvm.group:main/swap/swap", TWO, CHANGED, there=ONE)],
    "swap.use.priority": [Row("lvm.group:main/swap/swap/swap.use", 7, CHANGED)],
    "swap.file.size": [Row(f"{POOL}/home/swap@/mnt/home/swap", Exact(bytes=2 * GIB), CHANGED)],
    "swap.file.priority": [Row(f"{POOL}/home/swap@/mnt/home/swap", 7, CHANGED)],
    "mount.options": [
        Row(f"{ROOT}/filesystem/mount@/mnt", ("noatime",), CHANGED, there=("rw",)),
        Row(f"{ROOT}/filesystem/mount@/mnt", ("noatime",), KEPT, there=("rw", "noatime", "nodev")),
    ],
    "mount.directory": [Row(f"{ROOT}/filesystem/mount@/mnt", "/other", REPLACED, there="/one")],
}


def machine() -> Machine:
    devices = [
        BlockDevice(name=f"sd{each}", number=f"8:{each}", size=100 * GIB, serial=f"S{each}") for each in range(4)
    ]
    return Machine(graph=resolve([Found(Disk(serial=each.serial, size=each.size, device=each)) for each in devices]))


def layout(there: Machine) -> Draft:
    draft = Draft(there, take=there.disks)
    disks = list(there.disks)
    members: list[Handle | Disk] = []
    for position, disk in enumerate(disks[:2]):
        table = draft.add(gpt.Table(), on=[disk])
        esp = draft.add(gpt.Partition(number=1, size="1GiB", type="esp", label=f"boot-{position}"), on=[table])
        boot = draft.add(filesystems.Filesystem(type="vfat", label="BOOT"), on=[esp])
        if not position:
            draft.add(mounts.Mount(at="/boot"), on=[boot])
        members.append(draft.add(gpt.Partition(number=2, size=Rest(), type="raid"), on=[table]))
    array = draft.add(mdraid.Array(name="main", level=1), on=members)
    luks = draft.add(dmcrypt.Luks(mapper="crypt", version="2", label="luks", keys=("env:KEY",)), on=[array])
    group = draft.add(lvm.Group(name="main"), on=[luks])
    root = draft.add(lvm.Volume(name="root", size="8GiB", type="linear"), on=[group])
    draft.add(mounts.Mount(at="/"), on=[draft.add(filesystems.Filesystem(type="ext4", label="root"), on=[root])])
    draft.add(lvm.Volume(name="pool", size="4GiB", type="thin-pool"), on=[group])
    draft.add(lvm.Volume(name="thin", size="4GiB", type="thin", pool="pool"), on=[group])
    draft.add(lvm.Volume(name="snap", size="1GiB", type="snapshot", origin="root"), on=[group])
    volume = draft.add(lvm.Volume(name="swap", size="1GiB", type="linear"), on=[group])
    draft.add(swap.Use(), on=[draft.add(swap.Area(label="swap"), on=[volume])])
    pool = draft.add(btrfs.Btrfs(label="pool"), on=[disks[2]])
    home = draft.add(btrfs.Subvolume(name="home"), on=[pool])
    draft.add(mounts.Mount(at="/home"), on=[home])
    draft.add(swap.File(path="/home/swap", root="/mnt", size="1GiB"), on=[home])
    draft.add(btrfs.Subvolume(name="blank", origin="home"), on=[pool])
    table = draft.add(gpt.Table(), on=[disks[3]])
    one = draft.add(gpt.Partition(number=1, size="1GiB", type="scratch"), on=[table])
    plain = draft.add(dmcrypt.Plain(mapper="secret"), on=[one])
    draft.add(swap.Use(), on=[draft.add(swap.Area(), on=[plain])])
    two = draft.add(gpt.Partition(number=2, size="2GiB"), on=[table])
    draft.add(filesystems.Filesystem(type="xfs"), on=[two])
    return draft


BLANK = machine()
WANTED = layout(BLANK).wanted()
FINISHED = (
    schedule(BLANK, WANTED)
    .result()
    .with_each(lambda layer: msgspec.structs.replace(layer, type="ext4") if isinstance(layer, mounts.Mount) else layer)
)


def planned(field: str, row: Row, *replaces: str) -> Plan:
    """Plan for a machine that differs in nothing but one field, if it differs."""

    def with_(layer: Layer, value: object) -> Layer:
        return msgspec.structs.replace(layer, **{field: value}) if layer.id == row.layer else layer

    there = FINISHED if row.there is None else FINISHED.with_each(lambda layer: with_(layer, row.there))
    wanted = Wanted(
        graph=WANTED.graph.with_each(lambda layer: with_(layer, row.wanted)), takes=WANTED.takes, replaces=replaces
    )
    return schedule(Machine(graph=there, tools=BLANK.tools), wanted)


@pytest.mark.parametrize(
    ("name", "row"),
    [pytest.param(name, row, id=f"{name}-{row.wanted}-{row.there}") for name, rows in TABLE.items() for row in rows],
)
def test_one_wish_that_changed(name: str, row: Row) -> None:
    field = name.rpartition(".")[2]
    plan = planned(field, row)
    verdict = plan.reasons[row.layer]
    assert verdict.fate is row.fate
    assert any(row.why in each.why for each in plan.reasons.values())
    lost = {each.kind for layers in plan.losses().values() for each in layers if not each.ephemeral}
    assert lost == set(row.lost.split())
    assert not faults_of(plan)
    if row.fate is CHANGED:
        assert {each.verb for each in plan.actions} == {Verb.MODIFY}
    if row.fate is KEPT:
        assert not plan.actions


@pytest.mark.parametrize(
    ("name", "row"),
    [
        pytest.param(name, row, id=f"{name}-{row.wanted}")
        for name, rows in TABLE.items()
        for row in rows
        if row.fate is REPLACED
    ],
)
def test_what_somebody_would_miss_goes_only_if_it_is_named(name: str, row: Row) -> None:
    field = name.rpartition(".")[2]
    refused = [each for each in planned(field, row).objections if "would have to be made anew" in each.text]
    assert len(refused) == bool({"filesystem", "btrfs"} & set(row.lost.split()))
    for each in refused:
        agreed = planned(field, row, each.subject)
        assert not [again for again in agreed.objections if again.subject == each.subject and again.text == each.text]


def test_nothing_is_missing_in_the_table() -> None:
    ours = {kind: cls for kind, cls in installed().kinds.items() if cls.__module__.startswith("pre_nixos.")}
    wishes = {
        f"{kind}.{field}"
        for kind, cls in ours.items()
        if kind not in NEVER
        for field, role in roles(cls).items()
        if role is Role.WISH
    }
    assert wishes == set(TABLE), "say what follows where such a wish changes"
    for name, rows in TABLE.items():
        assert {FINISHED[row.layer].kind for row in rows} == {name.rpartition(".")[0]}


ROOM = {
    "mdraid.array": "mdraid.array:main",
    "luks": LUKS,
    "lvm.group": "lvm.group:main",
    "filesystem": f"{ROOT}/filesystem",
    "btrfs": POOL,
    "swap": "lvm.group:main/swap/swap",
}
"""What can take the room when a device below it has grown."""


@pytest.mark.parametrize("id_", ROOM.values(), ids=ROOM)
def test_room_below_is_taken_in_place(id_: str) -> None:
    found = FINISHED.with_each(lambda layer: msgspec.structs.replace(layer, unused=GIB) if layer.id == id_ else layer)
    plan = schedule(Machine(graph=found, tools=BLANK.tools), WANTED)
    assert "unused is 1 GiB, wanted nothing" in plan.reasons[id_].why
    assert [(each.verb, each.target) for each in plan.actions] == [(Verb.MODIFY, id_)]
    assert not any(plan.losses().values())
    assert not faults_of(plan)
    assert shortcomings(plan.before, plan.wanted)


def test_nothing_that_can_take_room_is_missing() -> None:
    ours = {kind: cls for kind, cls in installed().kinds.items() if cls.__module__.startswith("pre_nixos.")}
    assert {kind for kind, cls in ours.items() if "unused" in roles(cls)} == set(ROOM)


def test_what_differs_is_told() -> None:
    """Whatever is not kept is told by a verification as well."""
    for name, rows in TABLE.items():
        for row in rows:
            plan = planned(name.rpartition(".")[2], row)
            assert bool(shortcomings(plan.before, plan.wanted)) is (row.fate is not KEPT), (name, row)
