"""Making an array: on members proven blank, after clearing the places where its own ends will lie."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.backends.mdraid.geometry import chunk_of, component_size, data_offset, landing_zones, said_offset
from pre_nixos.backends.mdraid.kinds import DEFAULT_METADATA, EVERYBODYS, Array
from pre_nixos.plugin import (
    Action,
    Await,
    Node,
    RequireBlank,
    RequireFree,
    Run,
    Verb,
    Zero,
    for_kind,
    hooks,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph, Step


@for_kind(hooks.format, Array)
def make(layer: Array, graph: DeviceGraph) -> Sequence[Action]:
    """Prove blank, clear where the ends of the array will lie, create, wait."""
    devices = graph.devices(layer)
    nodes = [Node(layer=device.id) for device in devices]
    sizes = [graph.space(device) for device in devices]
    zones = landing_zones(layer.raid, sizes, layer.metadata or DEFAULT_METADATA, layer.chunk)
    steps: list[Step] = [RequireFree(target=node) for node in nodes]
    steps += [RequireBlank(target=node) for node in nodes]
    steps += [Zero(target=node, ranges=zones) for node in nodes]
    steps += [Run(argv=(*creation(layer, sizes), *nodes)), Await(target=Node(layer=layer.id))]
    members = ", ".join(graph.called(device) for device in devices)
    summary = f"make {layer.level} array {layer.name} on {members}"
    return [Action(verb=Verb.FORMAT, target=layer.id, summary=summary, steps=tuple(steps))]


def creation(layer: Array, sizes: Sequence[int]) -> tuple[str, ...]:
    """Give the command that makes an array on devices of these sizes, up to their names.

    Whatever mdadm would choose, ask or read from its configuration is said. The host `any` makes the array everybody's
    own; a name with a colon would be taken for one with a host, so it gets that host written before it.
    """
    level, metadata, spares = layer.raid, layer.metadata or DEFAULT_METADATA, layer.spares or 0
    chunk, smallest = chunk_of(level, layer.chunk), min(sizes)
    argv = ["mdadm", "--create", path_of(layer), "--run", "--config=none", f"--metadata={metadata}"]
    argv += [f"--level={level}", f"--raid-devices={len(sizes) - spares}"]
    argv += [f"--spare-devices={spares}"] if spares else []
    argv += [f"--homehost={EVERYBODYS}", f"--name={f'{EVERYBODYS}:' if ':' in layer.name else ''}{layer.name}"]
    offset = data_offset(smallest, metadata)
    argv += [said_offset(offset)] if offset else []
    argv += [f"--chunk={chunk // 1024}"] if level.is_striped else []
    if level.is_redundant:
        argv += [f"--size={component_size(smallest, metadata, chunk) // 1024}", "--bitmap=internal"]
    return tuple(argv)


def path_of(layer: Array) -> str:
    """Give the path below /dev/md for an array: its name, which may have characters a path may not.

    Where two arrays have one name, each gets a part of its UUID.
    """
    name = re.sub(r"[^A-Za-z0-9._-]", "_", layer.name).lstrip(".-") or "array"
    twin = f"-{layer.uuid[:8]}" if "#" in layer.id and layer.uuid else ""
    return f"/dev/md/{name}{twin}"
