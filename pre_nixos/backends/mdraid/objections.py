"""Arrays that mdadm would not make, or not so, found before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mdraid.geometry import chunk_of, component_size
from pre_nixos.backends.mdraid.kinds import DEFAULT_METADATA, Array
from pre_nixos.plugin import MIB, Objection, Plan, hooks, human, implements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pre_nixos.plugin import DeviceGraph

LONGEST_NAME = 32
"""Bytes in the superblock; a name that fills them leaves no room for a host, and gets none."""
MADE = ("1.0", "1.1", "1.2")


@implements(hooks.objections)
def object_to(plan: Plan) -> Iterable[Objection]:
    """Object to every array that is to be made and cannot be."""
    for array in plan.wanted.graph.of(Array):
        verdict = plan.reasons.get(array.id)
        if verdict is not None and verdict.fate.makes:
            for text, remedy in problems(array, plan.wanted.graph):
                yield Objection(subject=array.id, text=f"Array {array.name!r}: {text}.", remedy=remedy)


def problems(array: Array, graph: DeviceGraph) -> Iterator[tuple[str, str]]:
    """Give everything that is wrong with an array, and what to do about each."""
    devices = graph.devices(array)
    members = len(devices) - (array.spares or 0)
    metadata = array.metadata or DEFAULT_METADATA
    if metadata not in MADE:
        yield f"metadata {metadata} is not made", f"Choose one of {', '.join(MADE)}."
    if not array.name or "/" in array.name or len(array.name.encode()) > LONGEST_NAME:
        yield (
            f"its name must have 1 to {LONGEST_NAME} bytes and no slash",
            "Shorten it: the superblock has no room for more.",
        )
    if members < array.raid.fewest:
        yield (
            f"{array.level} needs {array.raid.fewest} members beside its spares, and there are {members}",
            "Put it on more devices, or choose another level.",
        )
    if array.spares and not array.raid.is_redundant:
        yield f"{array.level} cannot use spares", "Leave them out."
    if array.chunk is not None and (array.chunk < 4096 or array.chunk & (array.chunk - 1)):
        yield f"a chunk of {array.chunk} bytes is not a power of two of at least 4096", "Write for example 524288."
    elif devices and metadata in MADE:
        smallest = min(graph.space(each) for each in devices)
        if component_size(smallest, metadata, chunk_of(array.raid, array.chunk)) < MIB:
            yield f"its smallest member has {human(smallest)}, too little for an array", "Make it larger."
