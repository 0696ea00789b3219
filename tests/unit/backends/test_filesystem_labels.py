"""Filesystems that could not be made as asked are objected to while everything is still there."""

from __future__ import annotations

import pytest

import pre_nixos as pn
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.model.identity import Found
from pre_nixos.model.machine import Machine
from tests.unit.toys import disk, machine


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
