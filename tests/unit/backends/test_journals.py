"""Ext filesystems whose journal is on a device of its own, and what that means for that device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pre_nixos.backends import disks, filesystems, mounts
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.journals import Journal
from pre_nixos.flow.blank import blank
from pre_nixos.flow.looking import look
from pre_nixos.flow.schedule import schedule
from pre_nixos.hooks.registry import Registry
from pre_nixos.host.questions import BlockNode, MountEntry, Signature
from pre_nixos.layouts.write import write_layout
from pre_nixos.model.difference import Fate, shortcomings
from pre_nixos.model.draft import Draft
from pre_nixos.plugin import MIB, WINDOWS, Node, RequireFree, Verb, Zero
from pre_nixos.testing.conformance import faults_of
from tests.unit.backends.canned import Canned, disk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.model.machine import Machine

REGISTRY = Registry({"disks": disks, "filesystems": filesystems, "mounts": mounts})
UUID, JOURNAL, OTHER = (f"{each}7c5b6d1-93a4-4a83-9b4e-1f6f2f0a9d10" for each in "abc")
NAMES = {"8:0": "sda", "8:16": "sdb", "8:32": "sdc"}
A, B, C = (f"disk:naa.{name}" for name in NAMES.values())
ID = "filesystem:filesystem"
WITHOUT = Signature(type="ext4", usage="filesystem", uuid=UUID)
WITH = Signature(type="ext4", usage="filesystem", uuid=UUID, detail={"EXT_JOURNAL": JOURNAL})
THERE = Signature(type="jbd", usage="other", uuid=JOURNAL)


class Zeros:
    """A device whose superblock says nothing more."""

    def read(self, offset: int, length: int) -> bytes:
        del offset
        return bytes(length)


def machine(
    signatures: Mapping[str, Sequence[Signature]],
    *,
    mounted: bool = False,
    more: Sequence[BlockNode] = (),
    holders: tuple[str, ...] = (),
) -> Machine:
    nodes = [disk(name, number, 500 * MIB) for number, name in NAMES.items()]
    if holders:
        nodes[1] = BlockNode(
            name="sdb", number="8:16", attributes=nodes[1].attributes, path=nodes[1].path, holders=holders
        )
    entry = MountEntry(device="8:0", root="/", at="/srv", type="ext4", source="/dev/sda")
    canned = Canned([*nodes, *more], signatures, {each: Zeros() for each in NAMES}, [entry] if mounted else [])
    return look(canned, REGISTRY)


@pytest.mark.parametrize(
    ("signatures", "expected"),
    [
        ({"8:0": [WITHOUT], "8:16": [THERE]}, {f"{A}/filesystem": (A,)}),
        ({"8:0": [WITH]}, {f"{A}/filesystem": (A,)}),
        ({"8:0": [WITH], "8:16": [Signature(type="jbd", uuid=OTHER)]}, {f"{A}/filesystem": (A,)}),
        ({"8:0": [WITH], "8:16": [THERE]}, {ID: (A, f"{B}/filesystem.journal")}),
        (
            {"8:0": [WITH], "8:16": [THERE], "8:32": [THERE]},
            {ID: (A, f"{B}/filesystem.journal", f"{C}/filesystem.journal")},
        ),
    ],
)
def test_it_stands_on_the_journal_it_names_where_that_is_there(
    signatures: Mapping[str, Sequence[Signature]], expected: dict[str, tuple[str, ...]]
) -> None:
    there = machine(signatures).graph
    assert {each.id: there.on(each.id) for each in there.of(Filesystem)} == expected
    assert not [each.id for each in there.layers() if each.kind == "unrecognised"]


@pytest.mark.parametrize("mounted", [False, True])
@pytest.mark.parametrize(("taken", "other"), [("sda", "sdb"), ("sdb", "sda")])
def test_neither_goes_alone(taken: str, other: str, mounted: bool) -> None:  # noqa: FBT001 - a column of the table
    there = machine({"8:0": [WITH], "8:16": [THERE]}, mounted=mounted)
    plan = schedule(there, blank(there, [f"disk:naa.{taken}"]), registry=REGISTRY)
    said = [each.text for each in plan.objections]
    assert any(f"stands partly on {there.graph[f'disk:naa.{other}'].title}" in each for each in said), said


def test_both_go_together_the_filesystem_first() -> None:
    there = machine({"8:0": [WITH], "8:16": [THERE]}, mounted=True)
    plan = schedule(there, blank(there, [A, B]), registry=REGISTRY)
    assert not plan.objections
    assert not faults_of(plan, registry=REGISTRY)
    assert [(each.verb, each.target) for each in plan.actions] == [
        (Verb.DEACTIVATE, f"{ID}/mount@/srv"),
        (Verb.TEARDOWN, ID),
        (Verb.TEARDOWN, f"{B}/filesystem.journal"),
    ]
    assert [each.steps for each in plan.actions[1:]] == [
        (RequireFree(target=Node(layer=each)), Zero(target=Node(layer=each), ranges=WINDOWS)) for each in (A, B)
    ]
    assert plan.actions[0].touches == (A, B)


def test_a_journal_that_is_nobodys_goes_like_anything_else() -> None:
    there = machine({"8:16": [THERE]})
    plan = schedule(there, blank(there, [B]), registry=REGISTRY)
    assert not plan.objections
    assert [each.summary for each in plan.actions] == [
        f"remove the journal of a filesystem from {there.graph[B].title}"
    ]
    assert [each.uuid for each in there.graph.of(Journal)] == [JOURNAL]


def test_it_is_not_made_again_without_the_other_disk_nor_unasked() -> None:
    there = machine({"8:0": [WITH], "8:16": [THERE]})
    for takes, fate in (([A], Fate.STRADDLING), ([A, B], Fate.GONE)):
        draft = Draft(there, take=[each for each in there.all_disks if each.id in takes])
        draft.add(Filesystem(type="ext4"), on=[each for each in there.all_disks if each.id == A])
        wanted = draft.wanted()
        plan = schedule(there, wanted, registry=REGISTRY)
        assert plan.reasons[ID].fate is fate
        assert shortcomings(there.graph, wanted)
        assert plan.objections if fate is Fate.STRADDLING else ID in {x.id for y in plan.losses().values() for x in y}


def test_it_is_written_as_far_as_layouts_have_words_for_it() -> None:
    there = machine({"8:0": [WITH], "8:16": [THERE]}, mounted=True)
    written = write_layout(there.graph, found_at="/", registry=REGISTRY)
    (entry,) = (msgspec.to_builtins(each) for each in written.devices["disk"].values())
    assert entry["content"] == {"type": "filesystem", "format": "ext4", "extraArgs": ["-U", UUID], "mountpoint": "/srv"}
    assert [each for each in written.left_out if "journal" in each]


def test_of_a_device_and_what_is_built_on_it_the_latter_has_the_journal() -> None:
    """Each half of a mirror shows all that is in it, and is only the inside of something."""
    above = BlockNode(
        name="dm-0",
        number="253:0",
        attributes={"size": "1024", "dm/name": "both", "dm/uuid": "mpath-x"},
        slaves=("sdb",),
        path="/sys/devices/virtual/block/dm-0",
    )
    there = machine({"8:0": [WITH], "8:16": [THERE], "253:0": [THERE]}, more=[above], holders=("dm-0",)).graph
    (offering,) = (each.id for each in there.layers() if each.device is not None and each.device.name == "dm-0")
    assert there.on(ID) == (A, f"{offering}/filesystem.journal")
