"""bcache for pre_nixos: a slow device with a fast one in front of it.

Backing devices are found, made, started, stopped, changed and removed; cache devices are found, started, stopped and
removed. Nothing here attaches the one to the other, so a plan that asks for it is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import (
    MIB,
    TAIL,
    WINDOW,
    WINDOWS,
    Action,
    Await,
    Backend,
    Node,
    Objection,
    Range,
    Replace,
    RequireBlank,
    RequireFree,
    Run,
    SetAttribute,
    State,
    Verb,
    Zero,
    for_kind,
    hooks,
    implements,
)
from pre_nixos_bcache.kinds import DATA_OFFSET, Backing, Cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pre_nixos.plugin import DeviceGraph, Found, Layer, Pieces, Plan, Reader, Step


@implements(hooks.backend)
def backend() -> Backend:
    """Own both kinds."""
    return Backend(kinds=[Backing, Cache], tools=["make-bcache"])


@implements(hooks.probe)
def probe(reader: Reader) -> Iterable[Found]:
    """Find them by their superblocks, and what runs by what the kernel shows."""
    from pre_nixos_bcache.finding import find  # whoever only plans need not load it

    return find(reader)


@implements(hooks.disguise)
def disguise(pieces: Pieces, other: Callable[[str], str]) -> Mapping[int, bytes]:
    """Show the superblock, as the one of another device."""
    from pre_nixos_bcache.superblock import LENGTH, OFFSET, disguised

    return {OFFSET: disguised(pieces.at(OFFSET, LENGTH), other)}


@for_kind(hooks.format, Backing)
def make(layer: Backing, graph: DeviceGraph) -> Sequence[Action]:
    """Make a backing device where nothing is, and wait for the device it offers."""
    below = _holds_the_data(layer, graph)
    node = Node(layer=below.id)
    # Nothing old may show up inside: where the new device's own head and tail will lie is cleared first.
    inside = Range(start=0, length=WINDOW + MIB)
    argv = ("make-bcache", "--bdev", "--data-offset", str(DATA_OFFSET // 512), node)
    steps = (
        RequireFree(target=node),
        RequireBlank(target=node),
        Zero(target=node, ranges=(inside, TAIL)),
        Run(argv=argv),
        *_registered(layer, below),
        *_settings(layer, layer),
    )
    return [Action(verb=Verb.FORMAT, target=layer.id, summary=f"make {layer.describe()} on {below.title}", steps=steps)]


@for_kind(hooks.activate, Backing)
def start(layer: Backing, graph: DeviceGraph) -> Sequence[Action]:
    """Have the kernel take it up again."""
    below = _holds_the_data(layer, graph)
    steps = tuple(_registered(layer, below))
    return [Action(verb=Verb.ACTIVATE, target=layer.id, summary=f"start bcache on {below.title}", steps=steps)]


@for_kind(hooks.activate, Cache)
def start_cache(layer: Cache, graph: DeviceGraph) -> Sequence[Action]:
    """Have the kernel take it up again."""
    (below,) = graph.devices(layer)
    steps = (_announce(below),)
    return [Action(verb=Verb.ACTIVATE, target=layer.id, summary=f"start the cache on {below.title}", steps=steps)]


@for_kind(hooks.deactivate, Backing)
def stop(layer: Backing, graph: DeviceGraph) -> Sequence[Action]:
    """Have the kernel let go of it. What its cache holds stays there."""
    below = _holds_the_data(layer, graph)
    node = Node(layer=layer.id)
    # One that waits for its cache offers no device that could be in use.
    free = (RequireFree(target=node),) if layer.device else ()
    ended = SetAttribute(target=Node(layer=below.id), attribute="bcache/stop", value="1")
    steps = (*free, ended, Await(target=node, present=False))
    return [Action(verb=Verb.DEACTIVATE, target=layer.id, summary=f"stop bcache on {below.title}", steps=steps)]


@for_kind(hooks.deactivate, Cache)
def stop_cache(layer: Cache, graph: DeviceGraph) -> Sequence[Action]:
    """Have the kernel let go of it; what it caches was released before."""
    (below,) = graph.devices(layer)
    steps = (SetAttribute(target=Node(layer=below.id), attribute="bcache/set/stop", value="1"),)
    return [Action(verb=Verb.DEACTIVATE, target=layer.id, summary=f"stop the cache on {below.title}", steps=steps)]


@for_kind(hooks.teardown, Backing)
def remove(layer: Backing, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends of the device, and with them the superblock."""
    return _cleared(layer, _holds_the_data(layer, graph))


@for_kind(hooks.teardown, Cache)
def remove_cache(layer: Cache, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends of the device, and with them the superblock."""
    (below,) = graph.devices(layer)
    return _cleared(layer, below)


@for_kind(hooks.modify, Backing)
def change(old: Backing, new: Backing, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Everything one can wish of it can be changed while it runs."""
    del before
    first = _registered(new, _holds_the_data(new, after)) if old.state is State.INACTIVE else ()
    wishes = "; ".join(str(each) for each in new.mismatches(old))
    steps = (*first, *_settings(new, old))
    return [Action(verb=Verb.MODIFY, target=new.id, summary=f"change bcache: {wishes}", steps=steps)]


@implements(hooks.objections)
def objections(plan: Plan) -> Iterable[Objection]:
    """Say so where more is asked for than this can do."""
    graph = plan.wanted.graph
    for layer in graph.of(Backing):
        verdict = plan.reasons.get(layer.id)
        if verdict and verdict.fate.makes and any(isinstance(each, Cache) for each in graph.under(layer)):
            yield Objection(
                subject=layer.id,
                text=f"{layer.id} is wanted with a cache, and the bcache plugin cannot attach one yet.",
                remedy="Leave the cache out, and attach it afterwards with bcache's own tools.",
            )


@for_kind(hooks.nixos_options, Backing)
def started_at_boot(layer: Backing, graph: DeviceGraph) -> Mapping[str, object]:
    """Have NixOS start it, in the initrd too: its device appears by itself then."""
    del layer, graph
    return {"boot": {"bcache": {"enable": True}, "initrd": {"services": {"bcache": {"enable": True}}}}}


@for_kind(hooks.nixos_options, Cache)
def started_with_what_it_caches(layer: Cache, graph: DeviceGraph) -> Mapping[str, object]:
    """Say nothing: devices that are cached have said it."""
    del layer, graph
    return {}


def _holds_the_data(layer: Backing, graph: DeviceGraph) -> Layer:
    return next(each for each in graph.under(layer) if not isinstance(each, Cache))


def _announce(below: Layer) -> SetAttribute:
    """Have udev look at a device again: its own rule for bcache registers it, and knows if it is already."""
    return SetAttribute(target=Node(layer=below.id), attribute="uevent", value="change")


def _registered(layer: Backing, below: Layer) -> Sequence[Step]:
    return [_announce(below), Await(target=Node(layer=layer.id))]


def _settings(new: Backing, old: Backing) -> Iterable[Step]:
    made = new is old
    node = Node(layer=new.id)
    if new.mode is not None and (made or new.mode != old.mode):
        yield SetAttribute(target=node, attribute="bcache/cache_mode", value=new.mode)
    if new.label is not None and (made or new.label != old.label):
        yield SetAttribute(target=node, attribute="bcache/label", value=new.label)
        yield Await(target=node)  # udev is told of a new label, and looks at the device


def _cleared(layer: Layer, below: Layer) -> Sequence[Action]:
    node = Node(layer=below.id)
    steps = (RequireFree(target=node), Zero(target=node, ranges=WINDOWS))
    summary = f"remove {layer.describe()} from {below.title}"
    return [Action(verb=Verb.TEARDOWN, target=layer.id, summary=summary, steps=steps, destroys=(layer.id,))]
