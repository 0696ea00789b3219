"""Making groups and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.lvm.command import lvm
from pre_nixos.backends.lvm.extents import PREFERRED_EXTENT, mirrors_of, pool_metadata, stripes_of
from pre_nixos.backends.lvm.kinds import Group, Volume
from pre_nixos.plugin import (
    MIB,
    WINDOWS,
    Action,
    Await,
    Node,
    RequireBlank,
    RequireFree,
    Verb,
    Zero,
    exact_bytes,
    for_kind,
    hooks,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pre_nixos.plugin import DeviceGraph, Step


@for_kind(hooks.format, Group)
def make(layer: Group, graph: DeviceGraph) -> Sequence[Action]:
    """Prove blank, make the group, then its volumes; the physical volumes come with the group."""
    devices = graph.devices(layer)
    nodes = [Node(layer=device.id) for device in devices]
    extent = layer.extent_size or PREFERRED_EXTENT
    # Aligned to this and nothing else: stripes below would otherwise move the start by an amount known only later.
    alignment = ("--dataalignment", f"{MIB}b", "--dataalignmentoffset", "0b")
    steps: list[Step] = [RequireFree(target=node) for node in nodes]
    steps += [RequireBlank(target=node) for node in nodes]
    steps.append(lvm("vgcreate", nodes, "--physicalextentsize", f"{extent}b", *alignment, layer.name, *nodes))
    parts = graph.parts_of_kind(layer, Volume)
    for volume in in_order(parts):
        steps += creation(volume, layer, nodes)
    listed = f" with {', '.join(each.name for each in parts)}" if parts else ""
    on = ", ".join(graph.called(device) for device in devices)
    summary = f"make volume group {layer.name}{listed} on {on}"
    return [Action(verb=Verb.FORMAT, target=layer.id, summary=summary, steps=tuple(steps))]


def in_order(volumes: Iterable[Volume]) -> Sequence[Volume]:
    """Put first what needs room on several devices at once, and what others need before them."""
    return sorted(volumes, key=lambda each: (_rank(each), each.name))


def _rank(volume: Volume) -> int:
    kind = volume.type or ("striped" if volume.stripes else "linear")
    return {"linear": 1, "thin-pool": 1, "thin": 2, "snapshot": 3}.get(kind, 0)


def creation(volume: Volume, group: Group, nodes: Sequence[Node]) -> Sequence[Step]:
    """Give the steps that make one volume, and clear what its ends held in an earlier life.

    Thin volumes read as zeros until they are written, snapshots are to show what their origin holds, and pools are
    nobody's to read.
    """
    size, extent = exact_bytes(volume.size), group.extent_size or PREFERRED_EXTENT
    extents = ("--extents", str(-(-size // extent)))
    name = ("--name", volume.name)
    node = Node(layer=volume.id)
    how: tuple[str, ...]
    match volume.type:
        case "thin-pool":
            metadata = ("--poolmetadatasize", f"{pool_metadata(size, extent)}b")
            return [lvm("lvcreate", nodes, "--type", "thin-pool", *extents, *metadata, *name, group.name)]
        case "thin":
            how = ("--type", "thin", "--virtualsize", f"{size}b", "--thinpool", volume.pool or "", *name, group.name)
            return [lvm("lvcreate", nodes, *how), Await(target=node)]
        case "snapshot":
            how = ("--snapshot", *extents, *name, f"{group.name}/{volume.origin}")
            return [lvm("lvcreate", nodes, *how), Await(target=node)]
        case _:
            wipe = ("--yes", "--wipesignatures", "y", "--zero", "y")
            how = (*wipe, *_layout(volume), *extents, *name, group.name)
            return [lvm("lvcreate", nodes, *how), Await(target=node), Zero(target=node, ranges=WINDOWS)]


def _layout(volume: Volume) -> tuple[str, ...]:
    kind = volume.type or ("striped" if (volume.stripes or 1) > 1 else "linear")
    copies = ("--mirrors", str(mirrors_of(volume))) if mirrors_of(volume) else ()
    spread = ("--stripes", str(stripes_of(volume))) if kind not in {"linear", "raid1"} else ()
    return ("--type", kind, *spread, *copies)
