"""Mounting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.mounts.kinds import Mount, Mountable, wholes
from pre_nixos.backends.mounts.options import of_the_mount, overruled
from pre_nixos.plugin import Action, Attach, MakeDirectory, Node, Step, Verb, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.activate, Mount)
def mount(layer: Mount, graph: DeviceGraph) -> Sequence[Action]:
    """Make the directory, mount, and give the filesystem's root directory its mode."""
    target = Node(layer=graph.devices(layer)[0].id) if graph.under(layer) else None
    kind, needed = mounted_as(layer, graph)
    # Whichever is mounted first decides how the filesystem is: what is in it is no reason for it to be otherwise.
    of_all = [each for each in _source_options(layer, graph) if not of_the_mount(each) and each not in layer.given]
    steps: list[Step] = [
        MakeDirectory(path=layer.place),
        Attach(
            target=target,
            at=layer.place,
            type=kind,
            options=(*needed, *(each for each in (*of_all, *layer.given) if each not in needed)),
            directory=layer.directory or "",
        ),
    ]
    if layer.mode is not None:
        steps.append(MakeDirectory(path=layer.place, mode=layer.mode))
    part = f"{layer.directory} of " if layer.directory not in {None, "/"} else ""
    what = "".join(f"{part}{each.describe() or each.title}" for each in graph.under(layer)[:1]) or kind
    summary = f"mount {what} at {layer.place}"
    return [Action(verb=Verb.ACTIVATE, target=layer.id, summary=summary, steps=tuple(steps))]


def _source_options(layer: Mount, graph: DeviceGraph) -> Sequence[str]:
    """Give the options with which that is mounted of which this is only a directory, or one subvolume of several."""
    below = graph.under(layer)
    if below and isinstance(below[0], Mountable):
        top = next((each.id for each in graph.under(below[0]) if isinstance(each, Mountable)), below[0].id)
        inside = [top, *(each for each in graph.standing_on(top) if isinstance(graph[each], Mountable))]
        others = [graph[each] for support in inside for each in graph.standing_on(support)]
        mounts = sorted((each for each in others if isinstance(each, Mount)), key=lambda each: each.at)
        said = [each for mount in mounts for each in mount.given]
        return list(dict.fromkeys(each for each in said if not overruled(layer.given, [each])))
    whole = [each for support in graph.on(layer.id) for each in wholes(support, graph)]
    return whole[0].options or () if layer.directory is not None and whole else ()


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
