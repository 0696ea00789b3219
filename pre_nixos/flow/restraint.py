"""Plans that cannot lose anything: what a difference comes to when nothing may be made, changed or removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pre_nixos.hooks import specs
from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import installed
from pre_nixos.model.action import Objection, Verb
from pre_nixos.model.difference import Difference, Fate, Verdict
from pre_nixos.model.layer import Disk, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.hooks.registry import Registry
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.layer import Layer
    from pre_nixos.model.plan import Plan


def released(wanted: Wanted, *, registry: Registry | None = None) -> Wanted:
    """Give the same with nothing of it in use: what can be inactive is wanted so, and what only exists in use, absent.

    Scheduled with `only={Verb.DEACTIVATE}` that is unmounting, closing and stopping, which cannot destroy.
    """
    calls = Calls(registry or installed())
    graph = wanted.graph
    resting: set[str] = set()

    def rested(layer: Layer) -> Layer:
        can = layer.ephemeral or calls.can(specs.deactivate, graph.container(layer) or layer)
        if isinstance(layer, Disk) or not (can or not resting.isdisjoint(graph.on(layer.id))):
            return layer
        resting.add(layer.id)
        return msgspec.structs.replace(layer, state=State.INACTIVE)

    return msgspec.structs.replace(wanted, graph=graph.with_each(rested))


def restrained(found: Difference, there: DeviceGraph, wanted: DeviceGraph) -> Difference:
    """Leave everything that is not as wanted as it is, and what would stand on it unmade; what nobody wants stays."""
    verdicts: dict[str, Verdict] = {}
    for layer in wanted.layers():
        verdict = found.verdicts[layer.id]
        if not _can_be(layer, verdict, there, [verdicts[each].fate for each in wanted.on(layer.id)]):
            verdict = msgspec.structs.replace(verdict, fate=Fate.LEFT)
        verdicts[layer.id] = verdict
    return Difference(verdicts=_without_what_is_inside(verdicts, wanted))


def _without_what_is_inside(verdicts: dict[str, Verdict], wanted: DeviceGraph) -> dict[str, Verdict]:
    """Leave also what would be put where something that is left should have been first."""
    uses = [layer for layer in wanted.layers() if layer.ephemeral]
    missing = {name: layer for layer in uses if verdicts[layer.id].fate is Fate.LEFT for name in layer.occupies()}
    for layer in sorted(uses, key=lambda each: each.segment):
        around = [missing[each] for each in sorted(layer.within() & missing.keys())]
        if around and verdicts[layer.id].fate in {Fate.NEW, Fate.UNSEEN}:
            why = f"it is inside of {around[-1].title}, which is not there"
            verdicts[layer.id] = Verdict(layer=layer.id, fate=Fate.LEFT, why=why)
            missing |= dict.fromkeys(layer.occupies(), layer)
    return verdicts


def _can_be(layer: Layer, verdict: Verdict, there: DeviceGraph, below: Sequence[Fate]) -> bool:
    """Whether activating alone gets it where it is wanted, as far as can be told."""
    match verdict.fate:
        case Fate.KEPT | Fate.CHANGED:
            return True
        case Fate.NEW:
            return layer.ephemeral and all(each.stays or each in {Fate.NEW, Fate.UNSEEN} for each in below)
        case Fate.UNSEEN:
            return Fate.LEFT not in below
        case Fate.PARTIAL:
            return there[layer.id].state is State.ACTIVE
        case _:
            return False


def to_release(there: DeviceGraph, wanted: Wanted) -> Sequence[Layer]:
    """Give what is in use and wanted not to be: the very thing, whatever else of it is not as wanted.

    What is on other disks alone is another thing, also under the same id.
    """
    resting = {layer.id: type(layer) for layer in wanted.graph.layers() if layer.state is State.INACTIVE}
    if not resting:
        return ()
    takes = frozenset(wanted.takes)

    def is_ours(layer: Layer) -> bool:
        disks = there.disks(layer.id)
        return not disks or not takes.isdisjoint(disks)

    return [
        layer
        for layer in there.layers()
        if layer.state is State.ACTIVE and type(layer) is resting.get(layer.id) and is_ours(layer)
    ]


def still_used(plan: Plan, there: DeviceGraph) -> Sequence[Objection]:
    """Object to ending uses below others that nobody asked to end."""
    ending = {action.target for action in plan.actions if action.verb is Verb.DEACTIVATE}
    used: dict[str, Layer] = {}
    for target in ending:
        used |= {each: there[each] for each in there.above(target) if there[each].ephemeral and each not in ending}
    return [
        Objection(
            subject=each.id,
            text=f"{each.title} is on it too, and is no part of what is to be ended.",
            remedy="End that first.",
        )
        for each in used.values()
    ]
