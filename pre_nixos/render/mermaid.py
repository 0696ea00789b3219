"""A graph or a plan as a Mermaid flow chart, for documents and issue threads that draw them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.model.difference import Fate
from pre_nixos.render.words import full_name, name_of, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.layer import Layer
    from pre_nixos.model.plan import Plan

_CLASSES = {
    "gone": "stroke:#c0392b,stroke-dasharray:4 3,color:#c0392b",
    "made": "stroke:#1e8449,stroke-width:2px,color:#1e8449",
    "changed": "stroke:#b9770e,stroke-width:2px,color:#b9770e",
}
_CLASS_OF = {
    Fate.GONE: "gone",
    Fate.REPLACED: "gone",
    Fate.STRADDLING: "gone",
    Fate.PARTIAL: "changed",
    Fate.NEW: "made",
    Fate.UNSEEN: "made",
    Fate.CHANGED: "changed",
}


def graph_chart(graph: DeviceGraph, names: Mapping[str, str] = {}) -> str:
    """Draw a graph, from the disks upwards."""
    return "\n".join(["flowchart BT", *_part(graph, "n", names, {}, "  ")]) + "\n"


def plan_chart(plan: Plan, names: Mapping[str, str] = {}) -> str:
    """Draw a plan: before and after side by side, coloured by what becomes of each layer."""
    goes = {id_: _CLASS_OF[each.fate] for id_, each in plan.reasons.items() if each.fate in _CLASS_OF}
    comes = {id_: "made" if plan.reasons[id_].fate is Fate.REPLACED else kind for id_, kind in goes.items()}
    lines = [
        "flowchart BT",
        '  subgraph before["Before"]',
        *_part(plan.before, "b", names, goes, "    "),
        "  end",
        '  subgraph after["After"]',
        *_part(plan.wanted.graph, "a", names, comes, "    "),
        "  end",
        *(f"  classDef {name} {look}" for name, look in _CLASSES.items()),
    ]
    return "\n".join(lines) + "\n"


def _part(
    graph: DeviceGraph, letter: str, names: Mapping[str, str], classes: Mapping[str, str], indent: str
) -> Iterator[str]:
    numbers = {id_: f"{letter}{number}" for number, id_ in enumerate(graph)}
    for layer in graph.layers():
        look = classes.get(layer.id)
        yield f'{indent}{numbers[layer.id]}["{_label(layer, graph, names)}"]' + (f":::{look}" if look else "")
    for layer in graph.layers():
        for support in graph.on(layer.id):
            yield f"{indent}{numbers[support]} --> {numbers[layer.id]}"


def _label(layer: Layer, graph: DeviceGraph, names: Mapping[str, str]) -> str:
    name = full_name(layer, names)
    size = size_of(layer, graph)
    text = name if not size or size in name else f"{name}, {size}"
    escaped = text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped or name_of(layer, names)
