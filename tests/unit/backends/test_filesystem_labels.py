"""Filesystems that could not be made as asked are objected to while everything is still there."""

from __future__ import annotations

import pytest

import pre_nixos as pn
from pre_nixos.backends import gpt, mounts
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.model.identity import Found, Ref
from pre_nixos.model.layer import State
from pre_nixos.model.machine import Machine
from pre_nixos.model.step import Node, Run
from tests.unit.toys import disk, machine

DISK = Node(layer="disk:naa.500000000000000a")


def objections(layer: Filesystem, size: int = 1 << 30) -> str:
    there: Machine = machine(Found(disk("a", size=size)))
    draft = pn.Draft(there, take=there.all_disks)
    draft.add(layer, on=list(there.all_disks))
    return " ".join(str(each) for each in pn.schedule(there, draft.wanted()).objections)


@pytest.mark.parametrize(
    ("type_", "label"),
    [
        ("ext4", "sixteen--bytes--"),
        ("ext4", "é" * 8),
        ("ext4", "-L $(x)'\""),
        ("xfs", "twelve-bytes"),
        ("vfat", "lower"),
    ],
)
def test_labels_that_fit(type_: str, label: str) -> None:
    assert objections(Filesystem(type=type_, label=label)) == ""


@pytest.mark.parametrize(
    ("type_", "label", "says"),
    [
        ("ext4", "seventeen--bytes-", "longer than the 16 bytes"),
        ("xfs", "thirteen-bytes", "longer than the 12 bytes"),
        ("vfat", "twelve-bytes", "longer than the 11 bytes"),
        ("ext4", "é" * 9, "longer than the 16 bytes"),
        ("ext4", "blank ", "begins or ends with a blank"),
        ("ext4", "", "is empty"),
        ("ext4", "a\nb", "characters that ext4 does not take"),
        ("vfat", "a/b", "characters that vfat does not take"),
        ("ntfs", "x", "not made here"),
    ],
)
def test_labels_that_would_not_read_back(type_: str, label: str, says: str) -> None:
    assert says in objections(Filesystem(type=type_, label=label))


def test_a_device_too_small() -> None:
    assert "xfs needs 300 MiB" in objections(Filesystem(type="xfs"), size=200 << 20)


@pytest.mark.parametrize(
    ("type_", "argv"),
    [
        ("ext4", ("tune2fs", "-L", "new", DISK)),
        ("xfs", ("xfs_admin", "-L", "new", DISK)),
        ("vfat", ("fatlabel", DISK, "new")),
    ],
)
def test_a_label_is_changed_and_nothing_else(type_: str, argv: tuple[str | Node, ...]) -> None:
    there = machine(Found(disk("a")), Found(Filesystem(type=type_, label="OLD", state=State.ACTIVE), on=["8:0"]))
    draft = pn.Draft(there, take=there.all_disks)
    draft.add(Filesystem(type=type_, label="new"), on=list(there.all_disks))
    (action,) = pn.schedule(there, draft.wanted()).actions
    assert action.verb is pn.Verb.MODIFY
    assert [each.argv for each in action.steps if isinstance(each, Run)] == [argv]
    assert not action.destroys


@pytest.mark.parametrize("wish", [Filesystem(type="xfs", label="OLD"), Filesystem(type="ext4", label="new", uuid="u2")])
def test_anything_else_takes_another_filesystem_and_is_shown_to(wish: Filesystem) -> None:
    found = Filesystem(type="ext4", label="OLD", uuid="u1", state=State.ACTIVE)
    there = machine(Found(disk("a")), Found(found, on=["8:0"]))
    draft = pn.Draft(there, take=there.all_disks)
    draft.add(wish, on=list(there.all_disks))
    plan = pn.schedule(there, draft.wanted())
    assert [each.verb for each in plan.actions] == [pn.Verb.TEARDOWN, pn.Verb.FORMAT]
    assert [lost.describe() for each in plan.losses().values() for lost in each] == ["ext4 'OLD'"]


def test_of_two_to_start_from_it_is_said_which_one_is_mounted() -> None:
    there = machine(Found(disk("a")))
    draft = pn.Draft(there, take=there.all_disks)
    table = draft.add(gpt.Table(), on=list(there.all_disks))
    for number in (1, 2):
        part = draft.add(gpt.Partition(number=number, size="1GiB", type="esp"), on=[table])
        esp = draft.add(Filesystem(type="vfat", label=f"BOOT{number}"), on=[part])
        if number == 1:
            draft.add(mounts.Mount(at="/boot"), on=[esp])
    said = [each.summary for each in pn.schedule(there, draft.wanted()).actions]
    assert said[1:] == [
        "make vfat labelled BOOT1 on partition 1 of disk Toy SERIAL-A",
        "make vfat labelled BOOT2 on partition 2 of disk Toy SERIAL-A, a spare that is mounted nowhere",
        "mount vfat 'BOOT1' at /mnt/boot",
    ]


@pytest.mark.parametrize(("label", "said"), [("seventeen--bytes-", "longer than"), ("fits", "")])
def test_a_label_that_is_only_changed_must_fit_too(label: str, said: str) -> None:
    there = machine(Found(disk("a")), Found(Filesystem(type="ext4", label="OLD", state=State.ACTIVE), on=["8:0"]))
    draft = pn.Draft(there, take=there.all_disks)
    draft.add(Filesystem(type="ext4", label=label), on=list(there.all_disks))
    objections = [each.text for each in pn.schedule(there, draft.wanted()).objections]
    assert bool(objections) is bool(said)
    assert all(said in each for each in objections)


def test_a_uuid_is_the_same_however_it_is_written() -> None:
    upper = "6A1C22F0-0000-4000-8000-00000000ABCD"
    assert not Filesystem(type="ext4", uuid=upper).mismatches(Filesystem(type="ext4", uuid=upper.lower()))
    assert Filesystem(type="vfat", uuid="6a1c22f0").uuid == "6A1C-22F0"


@pytest.mark.parametrize(("type_", "refused"), [("ext4", False), ("xfs", True), ("vfat", True)])
def test_a_label_is_not_changed_under_whoever_uses_it(type_: str, refused: bool) -> None:  # noqa: FBT001 - a column
    used = mounts.Mount(at="/mnt", root="/", type=type_, state=State.ACTIVE)
    found = Found(Filesystem(type=type_, label="OLD", state=State.ACTIVE), on=["8:0"])
    there = machine(Found(disk("a")), found, Found(used, on=[Ref(number="8:0", content=type_)]))
    draft = pn.Draft(there, take=there.all_disks)
    draft.add(Filesystem(type=type_, label="new"), on=list(there.all_disks))
    said = f"{type_} can be given another label only while nobody uses it, and there is a mount at /mnt."
    assert [each.text for each in pn.schedule(there, draft.wanted()).objections] == [said] * refused
