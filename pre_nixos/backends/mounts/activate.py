"""Mounting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.mounts.kinds import Mount, Mountable
from pre_nixos.plugin import Action, Attach, MakeDirectory, Node, Step, Verb, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.activate, Mount)
def mount(layer: Mount, graph: DeviceGraph) -> Sequence[Action]:
    """Make the directory, mount, and give the filesystem's root directory its mode."""
    target = Node(layer=graph.devices(layer)[0].id) if graph.under(layer) else None
    kind, needed = mounted_as(layer, graph)
    steps: list[Step] = [
        MakeDirectory(path=layer.place),
        Attach(
            target=target,
            at=layer.place,
            type=kind,
            options=(*needed, *(each for each in layer.options or () if each not in needed)),
            directory=layer.directory or "",
        ),
    ]
    if layer.mode is not None:
        steps.append(MakeDirectory(path=layer.place, mode=layer.mode))
    part = f"{layer.directory} of " if layer.directory else ""
    what = "".join(f"{part}{each.describe() or each.title}" for each in graph.under(layer)[:1]) or kind
    summary = f"mount {what} at {layer.place}"
    return [Action(verb=Verb.ACTIVATE, target=layer.id, summary=summary, steps=tuple(steps))]


def mounted_as(layer: Mount, graph: DeviceGraph) -> tuple[str, tuple[str, ...]]:
    """Give the type and the options that what is below must be mounted with. Raises ValueError if nothing says so."""
    below = graph.under(layer)[0] if graph.under(layer) else None
    if isinstance(below, Mountable):
        return below.mounted_as()
    kind = layer.type or (below.type if isinstance(below, Filesystem) else None)
    if kind is None:
        what = f"a {below.kind} does not say what type of filesystem it is" if below else "it is on nothing"
        raise ValueError(f"{layer.title}: {what}; give the type")
    return kind, ()
