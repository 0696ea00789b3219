"""Whole layouts from blank disks: every plan keeps to the rules, and leads to just what is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pre_nixos.backends import btrfs, dmcrypt, filesystems, gpt, lvm, mdraid, mounts, swap
from pre_nixos.flow.schedule import schedule
from pre_nixos.model.action import Verb
from pre_nixos.model.draft import Draft
from pre_nixos.model.identity import Found, resolve
from pre_nixos.model.layer import Disk
from pre_nixos.model.machine import Machine
from pre_nixos.model.step import Run
from pre_nixos.plugin import BlockDevice, Rest
from pre_nixos.testing import faults_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GIB = 1 << 30
TOOLS = ("cryptsetup", "mkfs.btrfs", "mkfs.vfat", "mkfs.ext4", "lvm", "mdadm", "mkswap")


def machine(count: int) -> Machine:
    devices = [
        BlockDevice(name=f"sd{each}", number=f"8:{each}", size=100 * GIB, serial=f"S{each}") for each in range(count)
    ]
    disks = [Disk(size=each.size, device=each) for each in devices]
    return Machine(graph=resolve([Found(each) for each in disks]), tools=dict.fromkeys(TOOLS, "/bin/true"))


def impermanence(draft: Draft, disks: Sequence[Disk]) -> None:
    (disk,) = disks
    table = draft.add(gpt.Table(), on=[disk])
    esp = draft.add(gpt.Partition(number=1, size="1GiB", type="esp"), on=[table])
    draft.add(mounts.Mount(at="/boot"), on=[draft.add(filesystems.Filesystem(type="vfat", label="boot"), on=[esp])])
    part = draft.add(gpt.Partition(number=2, size=Rest()), on=[table])
    volume = draft.add(dmcrypt.Luks(mapper="cryptroot", keys=("prompt:",), allow_discards=True), on=[part])
    pool = draft.add(btrfs.Btrfs(), on=[volume])
    for name, at in {"root": "/", "home": "/home", "nix": "/nix", "persist": "/persist", "log": "/var/log"}.items():
        options = ("compress=zstd", "noatime")
        draft.add(mounts.Mount(at=at, options=options), on=[draft.add(btrfs.Subvolume(name=name), on=[pool])])
    draft.add(btrfs.Subvolume(name="root-blank", origin="root", read_only=True), on=[pool])


def mirrored(draft: Draft, disks: Sequence[Disk]) -> None:
    members = [
        draft.add(gpt.Partition(number=1, size=Rest(), type="raid"), on=[draft.add(gpt.Table(), on=[disk])])
        for disk in disks
    ]
    array = draft.add(mdraid.Array(name="main", level=1), on=members)
    volume = draft.add(dmcrypt.Luks(mapper="crypted", keys=("file:/run/keys/disk",)), on=[array])
    group = draft.add(lvm.Group(name="main"), on=[volume])
    for name, size in {"root": "20G", "home": "10%"}.items():
        on = draft.add(lvm.Volume(name=name, size=size), on=[group])
        draft.add(mounts.Mount(at=f"/{name}"), on=[draft.add(filesystems.Filesystem(type="ext4"), on=[on])])
    area = draft.add(swap.Area(), on=[draft.add(lvm.Volume(name="swap", size="4G"), on=[group])])
    draft.add(swap.Use(), on=[area])
    draft.add(mounts.Mount(at="/tmp", type="tmpfs"))


@pytest.mark.parametrize(("layout", "count", "processes"), [(impermanence, 1, 4), (mirrored, 2, 10)])
def test_from_blank(layout: Callable[[Draft, Sequence[Disk]], None], count: int, processes: int) -> None:
    there = machine(count)
    draft = Draft(there, take=there.disks)
    layout(draft, list(there.disks))
    wanted = draft.wanted()
    plan = schedule(there, wanted)
    assert not plan.objections
    assert not faults_of(plan)
    assert sum(isinstance(step, Run) for action in plan.actions for step in action.steps) == processes
    assert not schedule(Machine(graph=plan.result(), tools=there.tools), wanted).actions
    assert {each.verb for each in plan.actions} == {Verb.FORMAT, Verb.ACTIVATE}
