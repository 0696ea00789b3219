"""Drafts: how what is wanted is written down."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from pre_nixos.model.data import Data
from pre_nixos.model.graph import DeviceGraph
from pre_nixos.model.identity import TWIN, assemble, identify, shared
from pre_nixos.model.layer import Disk, Layer, State, anonymous
from pre_nixos.model.script import Script

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pre_nixos.model.machine import Machine


class InvalidLayout(ValueError):
    """What was asked for makes no sense; `problems` has all of it, each with where it is."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Erasure(StrEnum):
    """What is to become of the bytes of disks that are to be blank, besides those by which they are recognised."""

    DISCARD = "discard"
    """The device is told that it may forget them; whether and when it does is its own affair."""
    OVERWRITE = "overwrite"
    """All of them are to read as zeros."""


class Wanted(Data):
    """What should be there when all is done, and the disks it speaks for."""

    graph: DeviceGraph
    takes: tuple[str, ...] = ()
    """Ids of disks. What stands only on these and is not wanted goes; nothing else may be touched."""
    named: tuple[str, ...] = ()
    """Those of them that a person named, which may be removable."""
    erase: Erasure | None = None
    """For disks that nothing is wanted on."""
    replaces: tuple[str, ...] = ()
    """Ids of layers, or of what they stand on, that may be made anew although what is wanted is lost by it."""
    scripts: tuple[Script, ...] = ()
    """What is to run besides, when its moment comes."""

    def replacing(self, *ids: str) -> Wanted:
        """Give the same, with these layers, and what stands on them, allowed to be made anew whatever that loses."""
        return msgspec.structs.replace(self, replaces=tuple(sorted({*self.replaces, *ids})))

    def rooted(self, root: str) -> Wanted:
        """Give the same for a system whose root is at this directory: `/` for the one that runs, often `/mnt` else."""
        layers = list(self.graph.layers())
        positions = {layer.id: position for position, layer in enumerate(layers)}
        entries = [(layer.rooted(root), tuple(positions[each] for each in self.graph.on(layer.id))) for layer in layers]
        ids = dict(zip(positions, identify(entries), strict=True))
        scripts = tuple(msgspec.structs.replace(each, layer=ids.get(each.layer, each.layer)) for each in self.scripts)
        return msgspec.structs.replace(self, graph=assemble(entries), scripts=scripts)


class Handle(Data):
    """A layer in a draft, to put others on."""

    position: int


class Draft:
    """A graph being written: add layers from the disks upwards, then take `wanted()`."""

    def __init__(self, machine: Machine, *, take: Iterable[Disk], named: Iterable[Disk] = ()) -> None:
        """Begin on these disks: nothing else may be touched, and everything on them that is not wanted goes."""
        self._machine = machine
        self._entries: list[tuple[Layer, tuple[int, ...]]] = []
        self._disks: dict[str, int] = {}
        self._named = tuple(sorted(each.id for each in named))
        for disk in take:
            self._disks[disk.id] = len(self._entries)
            # Only what makes it this disk: the state it was found in is not something to want.
            self._entries.append((anonymous(disk), ()))

    def add(self, layer: Layer, *, on: Sequence[Handle | Disk] = ()) -> Handle:
        """Put a layer on others (or on disks that were taken) and give a handle to put more on it."""
        self._entries.append((layer, tuple(self._position(each) for each in on)))
        return Handle(position=len(self._entries) - 1)

    def _position(self, support: Handle | Disk) -> int:
        if isinstance(support, Handle):
            return support.position
        if support.id not in self._disks:
            raise InvalidLayout([f"{support.title} was not taken: Draft(machine, take=...) must name it"])
        return self._disks[support.id]

    def ids(self) -> Sequence[str]:
        """Give the id every layer will have, by the position in its handle."""
        return identify(self._entries)

    def wanted(self) -> Wanted:
        """Resolve every size and give the wanted graph. Raises InvalidLayout with everything that does not fit."""
        problems: list[str] = []
        graph = assemble(self._entries)
        # A disk that cannot be told from another is no fault of the draft; plans with it are objected to.
        twins = {each.split(TWIN)[0] for each in graph if TWIN in each and not any(map(shared, graph.disks(each)))}
        problems += [f"{each}: there are two of these" for each in sorted(twins)]
        resolved: dict[str, Layer] = {}
        spaces: dict[str, int] = {}
        for layer in graph.layers():
            # Below comes before above, so a part is resolved by its container before it is looked at itself.
            container = resolved.get(layer.id, layer)
            below = [spaces[each] for each in graph.on(layer.id)]
            spaces[layer.id] = container.device.size if container.device else container.usable(below) or 0
            parts = graph.parts(layer)
            if not parts:
                continue
            try:
                arranged = container.arrange(spaces[layer.id] or sum(below), parts)
            except ValueError as error:
                problems.append(f"{layer.id}: {error}")
                continue
            for part, after in zip(parts, arranged, strict=True):
                resolved[part.id] = msgspec.structs.replace(after, id=part.id)
        if problems:
            raise InvalidLayout(problems)
        final = (resolved.get(each.id, each) for each in graph.layers())
        active = (
            (each if each.state else msgspec.structs.replace(each, state=State.ACTIVE), graph.on(each.id))
            for each in final
        )
        return Wanted(graph=graph.plus(active), takes=tuple(sorted(self._disks)), named=self._named)
