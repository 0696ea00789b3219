"""Drafts: how what is wanted is written down."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from pre_nixos.model.data import Data
from pre_nixos.model.graph import DeviceGraph
from pre_nixos.model.identity import TWIN, assemble, identify, shared, translated
from pre_nixos.model.layer import Disk, Layer, State, anonymous
from pre_nixos.model.script import Script
from pre_nixos.model.standing import misplaced

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pre_nixos.model.machine import Machine


BY_NAME = "machine.all_disks.named(['SERIAL']) finds disks by what they are called"


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


class Engine(Data):
    """A program that makes what is wanted in our place, all of it at once, from a description of its own."""

    name: str
    argv: tuple[str, ...]
    """What to run; it reads the file by itself, or is given it as one of the words."""
    path: str
    """Where the description is to be."""
    content: str
    """The description; whoever agrees to a plan agrees to every byte of it."""
    timeout: float = 3600.0
    trial: tuple[str, ...] = ()
    """What to run, once the file is written, before anything is touched: it finds out whether the description will do,
    and touches no disk."""
    trial_timeout: float = 1800.0
    reads: tuple[str, ...] = ()
    """Paths of the files it reads keys from."""
    addresses: dict[str, str] = {}
    """By the ids of its disks, the paths by which it is told which they are."""
    claims: tuple[str, ...] = ()
    """Paths below /dev, each with all that is below it, by which it finds what it makes: whatever is there it takes for
    its own."""
    unmounts: tuple[str, ...] = ()
    """Directories at which, and below which, it unmounts whatever is there."""
    wakes: tuple[str, ...] = ()
    """Kinds of layers of which it activates every one, whoever's it is."""


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
    engine: Engine | None = None
    """What makes it; None for the owners of its kinds."""

    def replacing(self, *ids: str) -> Wanted:
        """Give the same, with these layers, and what stands on them, allowed to be made anew whatever that loses."""
        return msgspec.structs.replace(self, replaces=tuple(sorted({*self.replaces, *ids})))

    def rooted(self, root: str) -> Wanted:
        """Give the same for a system whose root is at this directory: `/` for the one that runs, often `/mnt` else."""
        said = translated(self.graph, lambda layer: layer.rooted(root))
        entries = list(said.values())
        ids = dict(zip(said, identify(entries), strict=True))
        scripts = tuple(msgspec.structs.replace(each, layer=ids.get(each.layer, each.layer)) for each in self.scripts)
        return msgspec.structs.replace(self, graph=assemble(entries), scripts=scripts)


class Handle(Data):
    """A layer in a draft, to put others on."""

    position: int
    of: object = None
    """Whatever tells its draft from others."""


class Draft:
    """A graph being written: add layers from the disks upwards, then take `wanted()`."""

    def __init__(self, machine: Machine, *, take: Iterable[Disk], named: Iterable[Disk] = ()) -> None:
        """Begin on these disks: nothing else may be touched, and everything on them that is not wanted goes."""
        if isinstance(take, Disk):
            raise TypeError("take is for several disks, also of one: write take=[...]")
        self._machine = machine
        self._own = object()
        self._entries: list[tuple[Layer, tuple[int, ...]]] = []
        self._disks: dict[str, int] = {}
        self._named = tuple(sorted(each.id for each in named))
        for disk in take:
            if not isinstance(disk, Disk):  # pyright: ignore[reportUnnecessaryIsInstance] - scripts may be untyped
                raise TypeError(f"take is for disks of the machine, and {disk!r} is none: {BY_NAME}")
            self._disks[disk.id] = len(self._entries)
            # Only what makes it this disk: the state it was found in is not something to want.
            self._entries.append((anonymous(disk), ()))

    def add(self, layer: Layer, *, on: Sequence[Handle | Disk] = ()) -> Handle:
        """Put a layer on others (or on disks that were taken) and give a handle to put more on it."""
        if not isinstance(layer, Layer):  # pyright: ignore[reportUnnecessaryIsInstance] - scripts may be untyped
            raise TypeError(f"{layer!r} is no layer: what is added is made of a kind, as in add(Kind(...), on=[...])")
        if isinstance(on, Handle | Disk):
            raise TypeError("what a layer stands on is a list, also of one: write on=[...]")
        self._entries.append((layer, tuple(self._position(each) for each in on)))
        return Handle(position=len(self._entries) - 1, of=self._own)

    def _position(self, support: Handle | Disk) -> int:
        if isinstance(support, Handle):
            if support.of is not self._own:
                raise ValueError("this handle is of another draft: what it stands for is not in this one")
            return support.position
        if not isinstance(support, Disk):  # pyright: ignore[reportUnnecessaryIsInstance] - scripts may be untyped
            raise TypeError(f"a layer stands on disks and on handles that add() gave, and {support!r} is neither")
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
        problems += [f"{each}: there may be only one of these" for each in sorted(twins)]
        out_of_place = dict(misplaced(graph))
        problems += [f"{id_}: {why}" for id_, why in out_of_place.items()]
        resolved: dict[str, Layer] = {}
        spaces: dict[str, int] = {}
        adrift: set[str] = set()
        for layer in graph.layers():
            if layer.id in out_of_place or not adrift.isdisjoint(graph.on(layer.id)):
                adrift.add(layer.id)  # what it would have room for says nothing
                continue
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
