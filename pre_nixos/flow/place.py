"""Where a layer's device is at this moment: followed in sysfs from a disk upwards, never by a remembered name."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from pre_nixos.host.questions import Locate, Located, Mark
from pre_nixos.model.layer import Disk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pre_nixos.host.api import Reader
    from pre_nixos.model.graph import DeviceGraph

ROUTES = 8
"""How many ways down to a disk are tried: an array has one through each of its members, and some may be missing."""


def locate(layer: str, graph: DeviceGraph, disks: Mapping[str, str], reader: Reader) -> Located:
    """Find the device of a layer, given the numbers of the disks by id."""
    answer = Located(error=f"{layer} stands on none of the disks that are held")
    for start, trail in islice(_routes(layer, graph), ROUTES):
        if start and start not in disks:
            continue
        answer = reader.ask(Locate(start=disks[start] if start else "", trail=tuple(trail)))
        if answer.number:
            return answer
    return answer


def _routes(layer: str, graph: DeviceGraph) -> Iterator[tuple[str, Sequence[Mark]]]:
    if layer not in graph:
        return
    if isinstance(graph[layer], Disk):
        yield layer, ()
        return
    mark = graph[layer].mark()
    if mark is not None and not graph[layer].anchored:
        yield "", [Mark(attributes=dict(mark))]
        return
    for support in graph.on(layer):
        for start, trail in _routes(support, graph):
            yield start, [*trail, Mark(attributes=dict(mark))] if mark is not None else trail
