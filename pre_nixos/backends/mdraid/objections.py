"""Arrays that mdadm would not make, or not so, found before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mdraid.geometry import chunk_of, component_size
from pre_nixos.backends.mdraid.kinds import DEFAULT_METADATA, GROW, Array, Subarray
from pre_nixos.plugin import MIB, Health, Node, Objection, Plan, Run, hooks, human, implements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pre_nixos.plugin import DeviceGraph

LONGEST_NAME = 32
"""Bytes in the superblock; a name that fills them leaves no room for a host, and gets none."""
MADE = ("1.0", "1.1", "1.2")


@implements(hooks.objections)
def object_to(plan: Plan) -> Iterable[Objection]:
    """Object to every array that is to be made, or to grow, and cannot be."""
    for array in plan.wanted.graph.of(Array):
        verdict = plan.reasons.get(array.id)
        if verdict is not None and verdict.fate.makes:
            for text, remedy in problems(array, plan.wanted.graph):
                yield Objection(subject=array.id, text=f"Array {array.name!r}: {text}.", remedy=remedy)
    for array in plan.before.of(Array):
        if plan.wanted.graph.get(array.id) is not None and _grows(array.id, plan):
            busy = array.remark if array.health is not Health.OK else _at_work(array)
            if busy:
                text = f"Array {array.name!r} is to grow with its members, and md does not do that now: {busy}."
                remedy = "Wait until /proc/mdstat says that it is done, or mend it, and run the same command again."
                yield Objection(subject=array.id, text=text, remedy=remedy)


@implements(hooks.objections)
def deserted(plan: Plan) -> Iterable[Objection]:
    """Refuse to have anything written to an array whose monitor has died, or ended there: nobody could stop waiting."""
    at_work = {action.target for action in plan.actions}
    for array in plan.before.of(Subarray):
        graphs = [graph for graph in (plan.before, plan.wanted.graph) if array.deserted and array.id in graph]
        waiting = {graph[id_].title for graph in graphs for id_ in graph.above(array.id) if id_ in at_work}
        if waiting:
            said = f"The monitor of {array.title} has died, so that what is written to it waits for ever"
            remedy = f"Start it: mdmon {array.deserted}. Then run the same command again."
            yield Objection(subject=array.id, text=f"{said}; here {', '.join(sorted(waiting))}.", remedy=remedy)


def _grows(id_: str, plan: Plan) -> bool:
    steps = (step for action in plan.actions for step in action.steps if isinstance(step, Run))
    return any(step.argv[:3] == (*GROW, Node(layer=id_)) for step in steps)


def _at_work(array: Array) -> str:
    return "" if array.action in {"", "idle"} else f"a {array.action} of it runs"


def problems(array: Array, graph: DeviceGraph) -> Iterator[tuple[str, str]]:
    """Give everything that is wrong with an array, and what to do about each."""
    devices = graph.devices(array)
    members = max(0, len(devices) - (array.spares or 0))
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
    if array.spares is not None and array.spares < 0:
        yield f"there cannot be {array.spares} spares", "Leave them out."
    elif array.spares and not array.raid.is_redundant:
        yield f"{array.level} cannot use spares", "Leave them out."
    if array.chunk is not None and (array.chunk < 4096 or array.chunk & (array.chunk - 1)):
        yield f"a chunk of {array.chunk} bytes is not a power of two of at least 4096", "Write for example 524288."
    elif devices and metadata in MADE:
        smallest = min(graph.space(each) for each in devices)
        if component_size(smallest, metadata, chunk_of(array.raid, array.chunk)) < MIB:
            yield f"its smallest member has {human(smallest)}, too little for an array", "Make it larger."
