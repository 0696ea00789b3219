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
    device = graph.devices(layer)[0]
    kind, needed = mounted_as(layer, graph)
    steps: list[Step] = [
        MakeDirectory(path=layer.place),
        Attach(
            target=Node(layer=device.id),
            at=layer.place,
            type=kind,
            options=(*needed, *(each for each in layer.options or () if each not in needed)),
        ),
    ]
    if layer.mode is not None:
        steps.append(MakeDirectory(path=layer.place, mode=layer.mode))
    below = graph.under(layer)[0]
    summary = f"mount {below.describe() or below.title} at {layer.place}"
    return [Action(verb=Verb.ACTIVATE, target=layer.id, summary=summary, steps=tuple(steps))]


def mounted_as(layer: Mount, graph: DeviceGraph) -> tuple[str, tuple[str, ...]]:
    """Give the type and the options that what is below must be mounted with. Raises ValueError if nothing says so."""
    below = graph.under(layer)[0]
    if isinstance(below, Mountable):
        return below.mounted_as()
    kind = layer.type or (below.type if isinstance(below, Filesystem) else None)
    if kind is None:
        raise ValueError(f"{layer.title}: a {below.kind} does not say what type of filesystem it is; give the type")
    return kind, ()
