"""What is in a pool, or fills the store of a snapshot, is not cleared before it goes: that takes room of others."""

from __future__ import annotations

import pytest

import pre_nixos as pn
from pre_nixos.backends import dmcrypt, filesystems, lvm, mdraid, mounts, swap
from pre_nixos.model.step import Zero
from tests.unit.layouts.cases import disk, with_disks

POOL = (("pool", "thin-pool"), ("stays", "thin"))
GROUP = "lvm.group:main"


def layout(machine: pn.Machine, *volumes: tuple[str, str]) -> pn.Wanted:
    """A group on the first disk, with something in every volume that is told by its name."""
    one, two = machine.all_disks
    draft = pn.Draft(machine, take=[one, two])
    group = draft.add(lvm.Group(name="main"), on=[one])
    for name, type_ in volumes:
        pool, of = {"thin": ("pool", None), "snapshot": (None, "origin")}.get(type_, (None, None))
        on = draft.add(lvm.Volume(name=name, size="1GiB", type=type_, pool=pool, origin=of), on=[group])
        if name == "swap":
            draft.add(swap.Use(), on=[draft.add(swap.Area(), on=[on])])
        elif name == "luks":
            on = draft.add(dmcrypt.Luks(mapper="luks", keys=("file:/k",)), on=[on])
            draft.add(filesystems.Filesystem(type="ext4"), on=[on])
        elif name == "half":
            array = draft.add(mdraid.Array(name="half", level=1), on=[on, two])
            draft.add(filesystems.Filesystem(type="ext4"), on=[array])
        elif type_ != "thin-pool":
            content = draft.add(filesystems.Filesystem(type="ext4"), on=[on])
            if name == "mounted":
                draft.add(mounts.Mount(at="/x"), on=[content])
    return draft.wanted()


def cleared(*going: tuple[str, str]) -> tuple[list[str], pn.Plan]:
    """Take volumes out, and give the devices that are written to for that."""
    blank = with_disks(disk("a"), disk("b"))
    there = pn.Machine(graph=layout(blank, *POOL, *going).graph)
    plan = pn.schedule(there, layout(there, *POOL))
    zeroed = [step.target.layer for action in plan.actions for step in action.steps if isinstance(step, Zero)]
    assert not plan.objections
    return zeroed, plan


@pytest.mark.parametrize(
    ("going", "lost"),
    [
        ([("mounted", "thin")], ["mounted", "mounted/filesystem"]),
        ([("swap", "thin")], ["swap", "swap/swap"]),
        ([("luks", "thin")], ["luks", "luks/luks", "luks/luks/filesystem"]),
        ([("copy", "snapshot"), ("origin", "linear")], ["copy", "copy/filesystem", "origin", "origin/filesystem"]),
        ([("cached", "cache")], ["cached", "cached/filesystem"]),
    ],
)
def test_nothing_is_written_to_what_goes(going: list[tuple[str, str]], lost: list[str]) -> None:
    zeroed, plan = cleared(*going)
    assert not zeroed
    assert {id_ for action in plan.actions for id_ in action.destroys} == {f"{GROUP}/{each}" for each in lost}
    assert {f"{GROUP}/{each}" for each in lost} <= {each.id for all_ in plan.losses().values() for each in all_}


def test_what_has_extents_of_its_own_is_cleared() -> None:
    assert cleared(("plain", "linear"))[0] == [f"{GROUP}/plain"]


def test_of_what_stands_on_several_only_the_others_are_cleared() -> None:
    zeroed, plan = cleared(("half", "thin"))
    assert zeroed == [plan.wanted.takes[1]]
    assert "mdraid.array:half/filesystem" in {id_ for action in plan.actions for id_ in action.destroys}
