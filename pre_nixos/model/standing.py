"""What may stand on what, as far as that follows from what the kinds say of themselves.

What breaks these rules cannot be made, whoever's kinds they are; and that would otherwise be noticed by the tools, when
what was there before has gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.model.identity import TWIN
from pre_nixos.model.layer import Disk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.layer import Layer


def misplaced(graph: DeviceGraph) -> Iterator[tuple[str, str]]:
    """Give the ids of the layers that cannot be where they are wanted, each with the reason."""
    for layer in graph.layers():
        why = _misplaced(layer, graph)
        if why:
            where = " and ".join(_named(each, graph.called(each)) for each in graph.under(layer)) or "nothing"
            yield layer.id, f"{_named(layer, layer.title)} stands on {where}; {why}"
    for support in graph.crowded():
        contents = [each for each in (graph[id_] for id_ in graph.standing_on(support.id)) if is_content(each)]
        if contents and support.mark() is not None:
            yield from _crowding(support, contents, graph)


def is_content(layer: Layer) -> bool:
    """Whether a layer takes the devices it stands on for itself: parts share their container, uses come and go."""
    return layer.part_of is None and not layer.ephemeral and not isinstance(layer, Disk)


def _misplaced(layer: Layer, graph: DeviceGraph) -> str:
    below = graph.under(layer)
    if layer.part_of is not None and graph.container(layer) is None:
        return f"a {layer.kind} is part of a {layer.part_of}, so put it on one"
    if is_content(layer) and all(each.mark() is None for each in below):
        none = "there is none" if not below else "that offers none" if len(below) == 1 else "none of these offers one"
        return f"it needs a device, and {none}: put it on a disk, or on something else that offers one"
    odd = [each.title for each in below if each.mark() is None] if layer.gathers and is_content(layer) else []
    return f"{odd[0]} offers no device, and every member is one" if odd else layer.unfit(below)


def _crowding(support: Layer, contents: Sequence[Layer], graph: DeviceGraph) -> Iterator[tuple[str, str]]:
    first, where = contents[0], _named(support, graph.called(support))
    why = f"and so does {_named(first, first.title)}; a device has one content: put one of them elsewhere"
    for other in contents[1:]:
        if other.id.split(TWIN)[0] != first.id.split(TWIN)[0]:  # of which it is said that there are two
            yield other.id, f"{_named(other, other.title)} stands on {where}, {why}"


def _named(layer: Layer, title: str) -> str:
    """Give the name for people, with the kind where that does not say it."""
    return title if layer.kind in title or isinstance(layer, Disk) else f"{title} ({layer.kind})"
