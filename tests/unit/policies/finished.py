"""Machines with something on their disks, and what the tests of policies ask of every one of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

import pre_nixos as pn
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.gpt import Partition, Table
from pre_nixos.backends.lvm import Group, Volume
from pre_nixos.backends.mdraid import Array
from pre_nixos.backends.mounts import Mount
from pre_nixos.model.difference import Fate, shortcomings
from pre_nixos.plugin import Disk, Draft, Rest
from tests.unit.render.nixeval import evaluate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pre_nixos.plugin import Handle


def _seen(machine: pn.Machine, layer: pn.Layer) -> pn.Layer:
    """A disk is found again as it was."""
    return machine.graph[layer.id] if isinstance(layer, Disk) else layer


def dirty(machine: pn.Machine, takes: Sequence[str]) -> pn.Machine:
    """Give a machine on whose disks an earlier system is, in use; it has nothing to do with the other disks."""
    disks = list(machine.graph.of(Disk))
    draft = Draft(machine, take=disks, named=disks)
    parts: list[Handle] = []
    for disk in disks:
        table = draft.add(Table(), on=[disk])
        esp = draft.add(Partition(number=1, size="200MiB", type="esp", label="OLD"), on=[table])
        draft.add(Filesystem(type="vfat", label="OLD"), on=[esp])
        part = draft.add(Partition(number=2, size=Rest(), type="raid", label="old"), on=[table])
        if disk.id in takes:
            parts.append(part)
        else:
            draft.add(Mount(at=f"/mnt/{disk.serial}"), on=[draft.add(Filesystem(type="ext4"), on=[part])])
    on = [draft.add(Array(name="old", level=0), on=parts)] if len(parts) > 1 else parts
    group = draft.add(Group(name="old"), on=on)
    volume = draft.add(Volume(name="data", size="512MiB"), on=[group])
    draft.add(Mount(at="/data"), on=[draft.add(Filesystem(type="ext4"), on=[volume])])
    return msgspec.structs.replace(machine, graph=draft.wanted().graph.with_each(lambda each: _seen(machine, each)))


def insist(machine: pn.Machine, policy: str, options: dict[str, object]) -> pn.Wanted:
    """Insist that a policy leads where it says, from wherever the machine is, and then to nothing more."""
    wanted = pn.propose(machine, policy, options)
    for before in (machine, dirty(machine, wanted.takes)):
        assert pn.propose(before, policy, options) == wanted
        plan = pn.schedule(before, wanted)
        assert plan.objections == ()
        assert {each for action in plan.actions for each in action.touches} <= set(wanted.takes)
        assert not shortcomings(plan.result(), wanted)
        assert plan.result().wishes() == wanted.graph.wishes()
        after = msgspec.structs.replace(before, graph=plan.result().with_each(lambda each: _seen(machine, each)))
        again = pn.schedule(after, pn.propose(after, policy, options))
        assert again.actions == ()
        assert {verdict.fate for verdict in again.reasons.values()} == {Fate.KEPT}
    return wanted


def read_back(machine: pn.Machine, wanted: pn.Wanted, folder: Path) -> None:
    """Insist that it can be written as a layout, which is read as the same graph."""
    written = pn.write_layout(wanted.graph)
    assert written.left_out == ()
    file = folder / "layout.json"
    file.write_text(json.dumps(evaluate(written.to_nix(), folder)))
    assert pn.check_layout(str(file)) == ()
    assert pn.read_layout(machine, str(file)).graph == wanted.graph


def after(machine: pn.Machine, wanted: pn.Wanted) -> pn.Machine:
    """Give the machine on which all that is wanted was made."""
    made = pn.schedule(machine, wanted).result().with_each(lambda each: _seen(machine, each))
    others = machine.graph.without(wanted.takes)
    return msgspec.structs.replace(machine, graph=others.plus((each, made.on(each.id)) for each in made.layers()))


def plugged_in(machine: pn.Machine, *disks: Disk) -> pn.Machine:
    """Give the machine with these disks beside its own."""
    return msgspec.structs.replace(machine, graph=machine.graph.plus((each, ()) for each in disks))
