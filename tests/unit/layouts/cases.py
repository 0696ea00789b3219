"""The layouts in tests/unit/cases/layouts, and machines to read them for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pre_nixos.model.identity import Found
from pre_nixos.plugin import BlockDevice, Disk, Machine, State
from tests.unit.toys import machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.model.graph import DeviceGraph

FOLDER = Path(__file__).parents[1] / "cases" / "layouts"
WRONG = sorted((FOLDER / "wrong").glob("*.json"))
EXAMPLES = sorted((FOLDER.parents[3] / "examples" / "layouts").iterdir())
UNFIT = sorted((FOLDER / "unfit").glob("*.json"))
"""Layouts that are right, or nearly so, and do not fit the machine that is there."""
RIGHT = sorted((FOLDER / "right").glob("*.json"))
GIB = 2**30
OTHER = {"id", "state"}
"""Fields that are the same for all."""


def case(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def layout(folder: Path, sections: object) -> str:
    """Write a layout into a file, and give its path."""
    path = folder / "layout.json"
    path.write_text(json.dumps(sections))
    return str(path)


def disk(serial: str, gib: int = 500, links: Sequence[str] | None = None, **fields: object) -> Disk:
    given: dict[str, object] = {
        "name": f"sd{serial}",
        "number": f"8:{sum(serial.encode())}",
        "size": gib * GIB,
        "serial": serial,
        "model": "Disk",
        "rotational": False,
        "transport": "sata",
        "links": (f"/dev/disk/by-id/{serial}",) if links is None else tuple(links),
    } | fields
    device = BlockDevice(**given)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - fields by name
    return Disk(device=device, wwn=device.wwn, serial=serial, model=device.model, size=device.size, state=State.ACTIVE)


def with_disks(*disks: Disk) -> Machine:
    return machine(*(Found(each) for each in disks))


def told(graph: DeviceGraph) -> dict[str, Any]:
    """Give a graph as cases have it: every layer with its wishes, and what it stands on."""
    found: dict[str, Any] = {}
    for layer in graph.layers():
        if not isinstance(layer, Disk):
            wishes = msgspec.to_builtins(layer)
            found[layer.id] = {
                "on": list(graph.on(layer.id)),
                **{key: wishes[key] for key in wishes if key not in OTHER},
            }
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain
