"""What speaks against making or changing something is nothing to plans that only use what is there, or end that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import pre_nixos as pn
from pre_nixos.backends import btrfs, dmcrypt, filesystems, gpt, lvm, mounts, swap
from pre_nixos.model.action import Verb
from tests.unit.layouts.cases import disk, with_disks

if TYPE_CHECKING:
    from collections.abc import Mapping

LONG = "a label that is longer than any place for one" * 6
LAYERS: dict[str, tuple[type[pn.Layer], dict[str, Any]]] = {
    "esp": (filesystems.Filesystem, {"type": "vfat", "label": "BOOT"}),
    "root": (filesystems.Filesystem, {"type": "ext4"}),
    "pool": (btrfs.Btrfs, {}),
    "luks": (dmcrypt.Luks, {"mapper": "open", "keys": ("prompt:",)}),
    "swap": (swap.Area, {}),
    "group": (lvm.Group, {"name": "v"}),
}
OTHERWISE: dict[str, Mapping[str, Any]] = {
    "another label": {"esp": {"label": "BOOT2"}},
    "a label too long": {each: {"label": LONG} for each in ("esp", "root", "pool", "luks", "swap")},
    "other arguments": {"root": {"arguments": ("-d", "/x")}, "pool": {"arguments": ("--rootdir", "/x")}},
    "a header elsewhere": {"luks": {"arguments": ("--header", "/x")}},
    "a pool that nobody wants": {"volume": {"type": "thin", "pool": "p"}},
}
ALL, USE, END = frozenset(Verb), frozenset({Verb.ACTIVATE}), frozenset({Verb.DEACTIVATE})


def wanted(machine: pn.Machine, otherwise: Mapping[str, Any]) -> pn.Wanted:
    one, two = machine.all_disks
    draft = pn.Draft(machine, take=[one, two])

    def made(name: str, on: pn.Handle | pn.Disk) -> pn.Handle:
        kind, fields = LAYERS[name]
        return draft.add(kind(**{**fields, **otherwise.get(name, {})}), on=[on])

    table = draft.add(gpt.Table(), on=[one])
    parts = [draft.add(gpt.Partition(number=number, size="1G"), on=[table]) for number in (1, 2)]
    part = {"number": 3, "label": "known", "size": "50G"} | otherwise.get("partition", {})
    parts.append(draft.add(gpt.Partition(**part), on=[table]))
    draft.add(mounts.Mount(at="/boot"), on=[made("esp", parts[0])])
    draft.add(swap.Use(), on=[made("swap", parts[1])])
    draft.add(mounts.Mount(at="/pool"), on=[made("pool", made("luks", parts[2]))])
    volume = {"name": "data", "size": "1G"} | otherwise.get("volume", {})
    draft.add(mounts.Mount(at="/"), on=[made("root", draft.add(lvm.Volume(**volume), on=[made("group", two)]))])
    return draft.wanted()


def objections(otherwise: Mapping[str, Any], only: frozenset[Verb]) -> str:
    blank = with_disks(disk("a"), disk("b"))
    there = pn.Machine(graph=wanted(blank, {}).graph)
    now = wanted(there, otherwise)
    plan = pn.schedule(there, pn.released(now) if only == END else now, only=only)
    return " ".join(str(each) for each in plan.objections)


@pytest.mark.parametrize("otherwise", [pytest.param(each, id=name) for name, each in OTHERWISE.items()])
def test_what_is_objected_to_is_the_change_and_not_the_use(otherwise: Mapping[str, Any]) -> None:
    assert objections(otherwise, ALL)
    assert objections(otherwise, USE) == objections(otherwise, END) == ""


def test_a_partition_for_another_would_be_mounted_in_its_place() -> None:
    otherwise = {"partition": {"number": 4, "label": "known"}}
    assert "is number 3, and wanted as number 4" in objections(otherwise, USE)
    assert "wanted as number" not in objections(otherwise, END)


def test_what_a_use_is_to_be_like_is_objected_to_unless_it_only_ends() -> None:
    otherwise = {"luks": {"open_arguments": ("--header", "/x")}}
    assert "the header belongs on the device" in objections(otherwise, USE)
    assert objections(otherwise, END) == ""
