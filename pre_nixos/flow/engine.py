"""Handing the making to a program of somebody else's: one action in place of all that make and use something.

Such a program makes everything on its disks, and knows nothing of what is there. So either nothing has to be made, and
then nothing is handed over; or everything is. What is released, removed and proven before is as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.model.action import Action, Objection, Verb
from pre_nixos.model.layer import AT, Disk, State
from pre_nixos.model.step import (
    MIB,
    WINDOW,
    MakeDirectory,
    Node,
    Range,
    RequireBlank,
    RequireClear,
    RequireFree,
    RequireLink,
    RequireUnclaimed,
    Run,
    Step,
    WriteFile,
    WriteTable,
    Zero,
    secrets_in,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from pre_nixos.model.difference import Difference
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.layer import Layer
    from pre_nixos.model.machine import Machine

DEEP = 160 * MIB
"""How far into a partition an array that another program makes may begin, and what is in it be looked for: mdadm leaves
up to 129 MiB to itself if nobody says how much."""
IN_FILES = ("file:", "keyfile:")
"""Where a program that is not ours can read a secret."""


def all_or_nothing(
    found: Difference, there: DeviceGraph, wanted: Wanted, declined: Collection[str]
) -> Mapping[str, str]:
    """Say of all that is wanted and there that it is made anew, if anything is to be made by somebody else."""
    graph, engine = wanted.graph, wanted.engine
    if engine is None or not any(_is_made(each, found, graph) for each in graph.layers()):
        return {}
    why = f"{engine.name} makes everything on these disks or nothing"
    staying = (each for each in graph.layers() if not isinstance(each, Disk) and not each.ephemeral)
    return {
        each.id: why
        for each in staying
        if each.id in there and each.id not in declined and (fate := found.fate(each.id)) is not None and fate.stays
    }


def _is_made(layer: Layer, found: Difference, graph: DeviceGraph) -> bool:
    """Whether it is to be made by an action of its own; what is added to something that stays is a change of that."""
    fate = found.fate(layer.id)
    if layer.ephemeral or fate is None or not fate.makes:
        return False
    container = graph.container(layer)
    around = found.fate(container.id) if container is not None else None
    return around is None or not around.stays


def makes_something(actions: Iterable[Action]) -> bool:
    """Whether anything is made by them; only then is anything handed over."""
    return any(each.verb is Verb.FORMAT for each in actions)


def handed_over(makings: Sequence[Action], wanted: Wanted) -> Sequence[Action]:
    """Put one action in the place of those that make and use, if anything is made and somebody else is to make it."""
    engine, graph = wanted.engine, wanted.graph
    if engine is None or not makes_something(makings):
        return makings
    replaced = [each for each in makings if each.verb in {Verb.FORMAT, Verb.ACTIVATE}]
    targets = {each.target for each in replaced}
    parts = {part.id for each in targets for part in graph.parts(graph[each])}
    made = [each for each in graph.layers() if each.id in targets or each.id in parts]
    target, *others = made
    disks = [each for each in graph.of(Disk) if graph.standing_on(each.id)]
    zones = _zones(replaced)
    steps: list[Step] = []
    for disk in disks:
        node = Node(layer=disk.id)
        steps += [RequireFree(target=node), RequireBlank(target=node)]
        if disk.id in zones:
            steps += [Zero(target=node, ranges=zones[disk.id]), RequireClear(target=node, ranges=zones[disk.id])]
    steps += [MakeDirectory(path=engine.path.rpartition("/")[0]), WriteFile(path=engine.path, content=engine.content)]
    addressed = {each.id for each in disks}
    steps += [
        RequireLink(target=Node(layer=disk), path=path)
        for disk, path in sorted(engine.addresses.items())
        if disk in addressed
    ]
    if engine.claims or engine.unmounts:
        apart = sorted(_places(each for each in graph.layers() if not graph.disks(each.id)))
        steps.append(RequireUnclaimed(paths=engine.claims, directories=engine.unmounts, apart=tuple(apart)))
    steps.append(Run(argv=engine.argv, timeout=engine.timeout, aloud=True))
    names = ", ".join(each.title.removeprefix("disk ") for each in disks)
    handing = Action(
        verb=Verb.FORMAT,
        target=target.id,
        summary=f"have {engine.name} make and mount everything on {'disk' if len(disks) == 1 else 'disks'} {names}",
        steps=tuple(steps),
        makes=tuple(each.id for each in others),
    )
    return [*(each for each in makings if each not in replaced), handing]


def _zones(actions: Iterable[Action]) -> Mapping[str, tuple[Range, ...]]:
    """Find, by disk, every place in which something old could be recognised inside what will be made."""
    found: dict[str, set[tuple[int, int]]] = {}
    for action in actions:
        for step in action.steps:
            if isinstance(step, Zero):
                found.setdefault(step.target.layer, set()).update((each.start, each.length) for each in step.ranges)
            elif isinstance(step, WriteTable):
                for entry in step.entries:
                    end = entry.start + entry.length
                    tail = max(entry.start, end - WINDOW)
                    places = {(entry.start, min(entry.length, DEEP)), (tail, end - tail)}
                    found.setdefault(step.target.layer, set()).update(places)
    return {disk: tuple(_joined(places)) for disk, places in found.items()}


def _joined(places: Iterable[tuple[int, int]]) -> Iterator[Range]:
    """Put together what overlaps; what is counted from the end stays by itself."""
    last: tuple[int, int] | None = None
    for start, length in sorted(places):
        if last is not None and last[0] >= 0 and start <= last[0] + last[1]:
            last = (last[0], max(last[1], start + length - last[0]))
            continue
        if last is not None:
            yield Range(start=last[0], length=last[1])
        last = (start, length)
    if last is not None:
        yield Range(start=last[0], length=last[1])


def _places(layers: Iterable[Layer]) -> Iterator[str]:
    """Give the directories at which layers are mounted."""
    for layer in layers:
        yield from (each.removeprefix(AT) for each in layer.occupies() if each.startswith(AT))


def about_bystanders(machine: Machine, makings: Sequence[Action], wanted: Wanted) -> Iterator[Objection]:
    """Object to what a program that knows nothing of disks but their names would take for its own, or would touch."""
    engine, graph = wanted.engine, machine.graph
    if engine is None or not makes_something(makings):
        return
    takes = frozenset(wanted.takes)
    for layer in graph.layers():
        disks = graph.disks(layer.id)
        if disks and disks <= takes:
            continue
        where = graph.called(layer)
        paths = layer.reached_by()
        taken = [each for each in sorted(paths) if any(_is_in(each, claim) for claim in engine.claims)]
        taken += [each for each in engine.addresses.values() if each in paths]
        if taken:
            yield Objection(
                subject=layer.id,
                text=f"{where}, which stays, is found at {' and '.join(taken)}. {engine.name} looks for its own there, "
                "and might write to the wrong one.",
                remedy=f"Name that otherwise or take its disks away, or leave {engine.name} out.",
            )
        unmounted = [each for each in _places([layer]) if any(_is_in(each, place) for place in engine.unmounts)]
        if unmounted and layer.id not in wanted.graph:
            yield Objection(
                subject=layer.id,
                text=f"{where} stays, and {engine.name} would unmount it from {unmounted[0]}.",
                remedy=f"Unmount it first, or leave {engine.name} out.",
            )
        if layer.kind in engine.wakes and any(each.state is State.INACTIVE for each in (layer, *graph.parts(layer))):
            yield Objection(
                subject=layer.id,
                text=f"{where} stays inactive, and {engine.name} would activate it, as it does with every one.",
                remedy=f"Take its disks away, or leave {engine.name} out.",
            )


def _is_in(path: str, directory: str) -> bool:
    return f"{path}/".startswith(f"{directory.rstrip('/')}/")


def about_secrets(
    there: DeviceGraph, releases: Sequence[Action], makings: Sequence[Action], wanted: Wanted
) -> Iterator[Objection]:
    """Object to secrets that a program which is not ours could not get."""
    engine = wanted.engine
    if engine is None or not makes_something(makings):
        return
    for action in makings:
        references = {secret.reference for step in action.steps for secret in secrets_in(step)}
        hidden = sorted(each for each in references if not each.startswith(IN_FILES))
        if hidden:
            yield Objection(
                subject=action.target,
                text=f"{engine.name} reads keys from files alone, and {action.target} has {', '.join(hidden)}.",
                remedy="Name a file (file:/PATH), or leave the engine out.",
            )
    for layer in (there[each.target] for each in releases):
        for path in engine.reads:
            if any(_is_in(path, place) for place in _places([layer])):
                yield Objection(
                    subject=layer.id,
                    text=f"{engine.name} is to read a key from {path}, which has to go first, with {layer.title}.",
                    remedy="Put the key somewhere else.",
                )


__all__ = ["about_bystanders", "about_secrets", "all_or_nothing", "handed_over", "makes_something"]
