"""A technology that does not exist, complete enough to plan with: pools on disks, slots in pools, stuff in slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pre_nixos.hooks.registry import Registry
from pre_nixos.model.codec import decode
from pre_nixos.model.identity import resolve
from pre_nixos.plugin import (
    Action,
    Backend,
    BlockDevice,
    DeviceGraph,
    Disk,
    Draft,
    Fact,
    Found,
    Fragment,
    Handle,
    InvalidLayout,
    Layer,
    Machine,
    Name,
    Node,
    Objection,
    Options,
    Plan,
    Policy,
    Reader,
    ReadFile,
    Ref,
    Replace,
    RequireBlank,
    Run,
    State,
    Step,
    Unrecognised,
    Verb,
    Wanted,
    for_kind,
    for_type,
    hooks,
    implements,
    kind_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


WORLD = "/toy/world"


class Pool(Layer, tag="toy.pool"):
    gathers = True
    precious = False
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
    lent: Fact[bool] = False

    def borrows(self, graph: DeviceGraph) -> bool:
        del graph
        return self.lent

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

    def within(self) -> frozenset[str]:
        return frozenset({f"at:{self.at.rpartition('/')[0]}"})


class Fixed(Layer, tag="toy.fixed"):
    """A kind that can be read and not removed."""


def _act(verb: Verb, layer: Layer, graph: DeviceGraph) -> list[Action]:
    proofs = [RequireBlank(target=Node(layer=each.id)) for each in graph.devices(layer)] if verb is Verb.FORMAT else []
    steps: tuple[Step, ...] = (
        *proofs,
        Run(argv=("toy", str(verb), layer.id, *[Node(layer=each.id) for each in graph.devices(layer)])),
    )
    return [Action(verb=verb, target=layer.id, summary=f"{verb} {layer.id}", steps=steps)]


@implements(hooks.backend)
def backend() -> Backend:
    return Backend(
        kinds=[Disk, Unrecognised, Pool, Slot, Stuff, Use, Fixed],
        tools=["toy"],
        disko_types=["toy"],
        disko_sections=["pool"],
    )


@implements(hooks.probe)
def probe(reader: Reader) -> Iterable[Found]:
    """Read a world that is written in a file."""
    content = reader.ask(ReadFile(path=WORLD)).content
    if content is None:
        return
    kinds = {kind_of(each): each for each in (Disk, Unrecognised, Pool, Slot, Stuff, Use, Fixed)}
    graph = decode(content.encode(), Machine, format="toy world", kinds=kinds).graph
    for layer in graph.layers():
        if any(each.state is State.INACTIVE for each in graph.devices(layer)):
            continue  # its device is not there, so nobody can see it
        yield Found(msgspec.structs.replace(layer, id=""), on=[_ref(each, graph) for each in graph.under(layer)])


def _ref(layer: Layer, graph: DeviceGraph) -> Ref:
    if layer.device is not None:
        return Ref(number=layer.device.number)
    if layer.label_for_uuid():
        return Ref(kind=layer.kind, uuid=layer.label_for_uuid())
    (below,) = graph.devices(layer)
    assert below.device is not None
    return Ref(number=below.device.number, content="toystuff")


@for_type(hooks.from_disko, "toy")
def read_member(content: Fragment, on: Sequence[Handle]) -> None:
    name = content.text("pool", needed=True)
    if name is not None:
        content.join("pool", name, on)


@for_type(hooks.from_disko, "pool")
def read_pool(entry: Fragment, on: Sequence[Handle]) -> None:
    pool = entry.add(on, Pool, name=entry.name, level=entry.number("level"))
    for each in entry.children("slots"):
        stuff = each.add([each.add([pool], Slot, name=each.name)], Stuff, label=each.text("label"))
        at = each.text("at")
        if at is not None:
            each.add([stuff], Use, at=f"{entry.root}{at}")


@for_kind(hooks.nixos_options, Slot)
def slot_options(layer: Slot, graph: DeviceGraph) -> Mapping[str, object]:
    """Slots have a service each; one that is named so has no words for it."""
    del graph
    if layer.name == "unspeakable":
        raise InvalidLayout([f"{layer.name} cannot be said"])
    if layer.name == "broken":
        raise KeyError(layer.name)
    return {"services": {"toys": {"enable": True, "slots": [layer.name]}}}


@implements(hooks.guard)
def guard(device: BlockDevice, reader: Reader) -> Iterable[Objection]:
    """Object if the world has a file that says so."""
    if reader.ask(ReadFile(path="/toy/objection")).content is not None:
        yield Objection(subject=device.name, text="this is not the moment")


@implements(hooks.objections)
def objections(plan: Plan) -> Iterable[Objection]:
    """Object to cursed pools."""
    for pool in plan.wanted.graph.of(Pool):
        if pool.name == "cursed":
            yield Objection(subject=pool.id, text="this pool is cursed")


class PoolOptions(Options):
    name: str = "new"
    disks: int = 1


@implements(hooks.policies)
def policies() -> Iterable[Policy]:
    """Offer a pool on the first disks."""
    yield Policy(name="pool", summary="a pool on so many disks", options=PoolOptions, propose=propose_pool)


def propose_pool(there: Machine, options: Options) -> Wanted:
    assert isinstance(options, PoolOptions)
    disks = list(there.disks.some(options.disks))[: options.disks]
    draft = Draft(there, take=disks)
    pool = draft.add(Pool(name=options.name, level=1), on=disks)
    draft.add(Use(at="/mnt"), on=[draft.add(Stuff(label="precious"), on=[draft.add(Slot(name="s"), on=[pool])])])
    return draft.wanted()


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
    if old.level != new.level:
        return Replace(why="the level of a pool cannot be changed")
    gone = [each.id for each in before.parts(old) if each.id not in after]
    return [msgspec.structs.replace(each, destroys=tuple(gone)) for each in _act(Verb.MODIFY, new, after)]


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
