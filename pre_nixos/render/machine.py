"""A machine as text: what it is, what is on its disks, and what should be known of how that was found out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.model.layer import Disk
from pre_nixos.model.size import human
from pre_nixos.render.text import UNICODE, Guides, Line, Span, Style, line, paragraph, printable
from pre_nixos.render.tree import WIDTH, tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.machine import Machine

NO_DISKS = "No disks were found."


def machine_text(machine: Machine, *, width: int = WIDTH, guides: Guides = UNICODE) -> Iterator[Line]:
    """Show a machine to a person."""
    about = [machine.architecture, machine.firmware.upper() if machine.firmware else ""]
    about.append(f"{human(machine.memory)} of memory" if machine.memory else "")
    yield line(", ".join(printable(each) for each in about if each), Style.FAINT)
    if not machine.graph.of(Disk):
        yield line(NO_DISKS, Style.CAUTION)
    yield from tree(
        _of_interest(machine.graph), width=width, guides=guides, notes=_notes(machine), empty="nothing on it"
    )
    remarks = [*machine.remarks]
    if not machine.boot_medium.determined:
        remarks.append(f"It could not be determined what this system runs from: {machine.boot_medium.how}.")
    for remark in remarks:
        yield from paragraph(f"Note: {remark}", width, style=Style.CAUTION)


def _of_interest(graph: DeviceGraph) -> DeviceGraph:
    """Leave out what merely takes a place: a tmpfs stands on no disk, and nothing stands on it."""
    return graph.without(
        layer.id
        for layer in graph.layers()
        if layer.ephemeral and not graph.on(layer.id) and not graph.standing_on(layer.id) and layer.device is None
    )


def _notes(machine: Machine) -> Mapping[str, Sequence[Line]]:
    notes: dict[str, list[Line]] = {}
    for id_ in machine.boot_medium.disks:
        notes.setdefault(id_, []).append((Span("this system runs from it", Style.CAUTION),))
    for id_ in machine.unfinished:
        notes.setdefault(id_, []).append((Span("left unfinished by an earlier run", Style.CAUTION),))
    return notes
