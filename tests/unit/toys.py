"""A technology that does not exist, complete enough to plan with: pools on disks, slots in pools, stuff in slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.hooks.registry import Registry
from pre_nixos.model.identity import Found, resolve
from pre_nixos.model.machine import Machine
from pre_nixos.plugin import (
    Action,
    Backend,
    BlockDevice,
    DeviceGraph,
    Disk,
    Fact,
    Layer,
    Name,
    Node,
    Replace,
    RequireBlank,
    Run,
    State,
    Step,
    Unrecognised,
    Verb,
    for_kind,
    hooks,
    implements,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Pool(Layer, tag="toy.pool"):
    gathers = True
    name: Name[str]
    level: int | None = None
    uuid: Fact[str] = ""

    def occupies(self) -> frozenset[str]:
        return frozenset({f"pool:{self.name}"})

    def usable(self, below: Sequence[int]) -> int | None:
        return sum(below)


class Slot(Layer, tag="toy.slot"):
    part_of = "toy.pool"
    name: Name[str]
    colour: str | None = None

    def mark(self) -> Mapping[str, str] | None:
        return {"toy/name": self.name}


class Stuff(Layer, tag="toy.stuff"):
    """Content of one device, without an inactive state."""

    label: str | None = None

    def explains(self) -> frozenset[str]:
        return frozenset({"toystuff"})


class Use(Layer, tag="toy.use"):
    ephemeral = True
    at: Name[str]

    def occupies(self) -> frozenset[str]:
        return frozenset({f"at:{self.at}"})


class Fixed(Layer, tag="toy.fixed"):
    """A kind that can be read and not removed."""


def _act(verb: Verb, layer: Layer, graph: DeviceGraph) -> list[Action]:
    proofs = [RequireBlank(target=Node(layer=each.id)) for each in graph.devices(layer)] if verb is Verb.FORMAT else []
    steps: tuple[Step, ...] = (
        *proofs,
        Run(argv=("toy", str(verb), *[Node(layer=each.id) for each in graph.devices(layer)])),
    )
    return [Action(verb=verb, target=layer.id, summary=f"{verb} {layer.id}", steps=steps)]


@implements(hooks.backend)
def backend() -> Backend:
    return Backend(kinds=[Disk, Unrecognised, Pool, Slot, Stuff, Use, Fixed], tools=["toy"])


@for_kind(hooks.format, Pool)
def make_pool(layer: Pool, graph: DeviceGraph) -> Sequence[Action]:
    return _act(Verb.FORMAT, layer, graph)


@for_kind(hooks.activate, Pool)
def wake_pool(layer: Pool, graph: DeviceGraph) -> Sequence[Action]:
    return _act(Verb.ACTIVATE, layer, graph)


@for_kind(hooks.deactivate, Pool)
def release_pool(layer: Pool, graph: DeviceGraph) -> Sequence[Action]:
    return _act(Verb.DEACTIVATE, layer, graph)


@for_kind(hooks.teardown, Pool)
def remove_pool(layer: Pool, graph: DeviceGraph) -> Sequence[Action]:
    return _act(Verb.TEARDOWN, layer, graph)


@for_kind(hooks.modify, Pool)
def change_pool(old: Pool, new: Pool, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    del before
    if old.level != new.level:
        return Replace(why="the level of a pool cannot be changed")
    return _act(Verb.MODIFY, new, after)


@for_kind(hooks.format, Stuff)
def make_stuff(layer: Stuff, graph: DeviceGraph) -> Sequence[Action]:
    return _act(Verb.FORMAT, layer, graph)


@for_kind(hooks.teardown, Stuff)
def remove_stuff(layer: Stuff, graph: DeviceGraph) -> Sequence[Action]:
    return _act(Verb.TEARDOWN, layer, graph)


@for_kind(hooks.activate, Use)
def begin_use(layer: Use, graph: DeviceGraph) -> Sequence[Action]:
    return _act(Verb.ACTIVATE, layer, graph)


@for_kind(hooks.deactivate, Use)
def end_use(layer: Use, graph: DeviceGraph) -> Sequence[Action]:
    return _act(Verb.DEACTIVATE, layer, graph)


@for_kind(hooks.teardown, Unrecognised)
def remove_unknown(layer: Unrecognised, graph: DeviceGraph) -> Sequence[Action]:
    return _act(Verb.TEARDOWN, layer, graph)


def toys() -> Registry:
    import sys

    return Registry({"toys": sys.modules[__name__]}, {"toys": "toys 1.0"})


def disk(letter: str, **fields: object) -> Disk:
    """A disk whose kernel name says nothing about what it is."""
    given: dict[str, object] = {
        "name": f"sd{letter}",
        "number": f"8:{16 * (ord(letter) - ord('a'))}",
        "size": 100 * 2**30,
        "wwn": f"naa.500000000000000{letter}",
        "serial": f"SERIAL-{letter.upper()}",
        "model": "Toy",
        "diskseq": ord(letter),
        "rotational": False,
        "transport": "sata",
    } | fields
    device = BlockDevice(**given)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - fields by name
    return Disk(
        device=device, wwn=device.wwn, serial=device.serial, model=device.model, size=device.size, state=State.ACTIVE
    )


def machine(*found: Found, unfinished: Sequence[str] = ()) -> Machine:
    return Machine(graph=resolve(found), memory=8 * 2**30, unfinished=tuple(unfinished))


def slot_device(minor: int) -> BlockDevice:
    return BlockDevice(name=f"toy{minor}", number=f"250:{minor}", size=10 * 2**30)
