"""Which disks carry a volume group of the policy `tiered` already: those of an earlier run, by names and labels."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pre_nixos.backends.gpt import Partition
from pre_nixos.backends.lvm import Group, Volume
from pre_nixos.backends.mdraid import Array
from pre_nixos.plugin import InvalidLayout
from pre_nixos.policies.selection import Bucket, is_rotational
from pre_nixos.policies.tiered.tiers import Carried, Demands
from pre_nixos.policies.tiered.volumes import SWAP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pre_nixos.plugin import DeviceGraph, Disk, Machine


def find_carried(machine: Machine, disks: Sequence[Disk], demands: Demands) -> Mapping[str, Carried]:
    """Give, by name, the groups that lie on these disks and no others. Raises InvalidLayout if a name is there twice.

    A partition that is called so is not enough: a run that was stopped has left some of a group's, and others not. An
    array, and a group, is made at once on all of its disks, and either will do, for what is in an array that is closed
    nobody knows. Each has its disks to itself; where that is not so, it was somebody else who made them.
    """
    graph = machine.graph
    mine = {disk.id: disk for disk in disks}
    there: list[Array | Group] = [*graph.of(Array), *graph.of(Group)]
    found: dict[str, dict[frozenset[str], list[Array | Group]]] = {}
    for layer in there:
        on = graph.disks(layer.id)
        if demands.place(layer.name) and on and on <= mine.keys() and _is_labelled(graph, layer):
            found.setdefault(layer.name, {}).setdefault(on, []).append(layer)
    problems = [
        _twice(name, [[mine[each] for each in on] for on in places])
        for name, places in found.items()
        if len(places) > 1
    ]
    if problems:
        raise InvalidLayout(problems)
    uses = Counter(each for places in found.values() for on in places for each in on)
    return {
        name: _carried(graph, [mine[each] for each in on], layers)
        for name, places in found.items()
        for on, layers in places.items()
        if all(uses[each] == 1 for each in on)
    }


def _is_labelled(graph: DeviceGraph, layer: Array | Group) -> bool:
    """Whether it is on partitions of its name: what somebody else called so is not meant."""
    partitions = [each for id_ in graph.below(layer.id) if isinstance(each := graph[id_], Partition)]
    return bool(partitions) and all(each.label == layer.name for each in partitions)


def _carried(graph: DeviceGraph, disks: Iterable[Disk], layers: Sequence[Array | Group]) -> Carried:
    ordered = tuple(sorted(disks, key=lambda disk: disk.id))
    members = [each.members or 0 for each in layers if isinstance(each, Array)]
    volumes = [part.name for each in layers for part in graph.parts_of_kind(each, Volume)]
    bucket = Bucket(disks=ordered, rotational=is_rotational(ordered[0]))
    return Carried(bucket=bucket, members=max(members, default=0), swaps=SWAP in volumes)


def _twice(name: str, places: Iterable[Sequence[Disk]]) -> str:
    said = ", and on ".join(" and ".join(sorted(each.title for each in disks)) for disks in places)
    return (
        f"there are several volume groups {name}, of several machines or runs: on {said}. Name the disks that are "
        "meant (option disks), or clear the others first (pre-nixos wipe), which loses what is on them."
    )
