"""Consent: exactly what was shown may happen, to exactly those disks, and nothing that was not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from pre_nixos.flow.outcome import Refused
from pre_nixos.model.layer import Disk, State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pre_nixos.flow.journal import Journal
    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.layer import Layer
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan

Consent: TypeAlias = "str | Callable[[Plan], bool]"
"""A plan's digest, or something that is shown the plan and says yes or no."""

SHORTEST = 8


def require_consent(plan: Plan, consent: Consent, journal: Journal) -> str:
    """Give the digest that was consented to. Raises Refused if it is for anything else."""
    if not isinstance(consent, str):
        if consent(plan):
            return plan.digest
        raise Refused(["Nobody agreed to this plan, so nothing was done."])
    if len(consent) >= SHORTEST and plan.digest.startswith(consent):
        return plan.digest
    if journal.covers(plan, consent):
        return consent
    why = f"The consent {consent!r} is not for this plan, whose digest is {plan.digest}."
    raise Refused([f"{why} Look at the plan again and give the digest it shows."])


def not_covered(plan: Plan, agreed: Plan, made: Collection[str], removed: Collection[str]) -> Sequence[str]:
    """Name what a follow-up would remove that nobody was shown.

    Covered is what went with the plan that was agreed to, as long as it is the same (and if it was removed already,
    only what can be known again by its UUID); what was made since; and what comes to light on either of them, where
    nobody could look before. What turns up where it was seen that there is something else, or nothing, is somebody's.
    """
    going = {each.id: each for lost in agreed.losses().values() for each in lost}
    uuids = {each.label_for_uuid() for each in going.values()} - {""}
    there, then = plan.before, agreed.before

    def covered(id_: str) -> bool:
        uuid = there[id_].label_for_uuid()
        if id_ in made or uuid in uuids:
            return True
        if id_ in going and uuid == going[id_].label_for_uuid() and id_ not in removed:
            return True
        supports = there.on(id_)
        return (
            bool(supports)
            and all(each not in then or _was_unseen(then[each]) for each in supports)
            and all(covered(each) for each in supports)
        )

    lost = {each.id: each for each_disk in plan.losses().values() for each in each_disk if not each.ephemeral}
    return [f"{each.id} ({each.describe() or each.kind})" for each in lost.values() if not covered(each.id)]


def _was_unseen(layer: Layer) -> bool:
    """Whether nobody could look at what is on it."""
    return layer.state is State.INACTIVE and layer.mark() is not None


def unseen(plan: Plan, machine: Machine) -> Sequence[str]:
    """Name what is on a plan's disks now and was not when it was made, unless what was released meanwhile hid it."""
    before, there, takes = plan.before, machine.graph, frozenset(plan.wanted.takes)
    known = {each.label_for_uuid() for each in before.layers()} - {""}
    news: list[str] = []
    for layer in there.layers():
        if isinstance(layer, Disk) or takes.isdisjoint(there.disks(layer.id)):
            continue
        same = layer.id in before and layer.label_for_uuid() == before[layer.id].label_for_uuid()
        if same or layer.label_for_uuid() in known:
            continue
        if not any(_was_covered(each, before, there) for each in there.on(layer.id)):
            news.append(f"there is {layer.title} ({layer.describe() or layer.kind}) now, which was not there before")
    return news


def _was_covered(support: str, before: DeviceGraph, there: DeviceGraph) -> bool:
    """Whether something that stood on it, and hid what is below, is gone by now; or nobody could look at it before."""
    if support not in before or _was_unseen(before[support]):
        return True
    gone = [before[each] for each in before.standing_on(support) if each not in there]
    return any(each.ephemeral or each.mark() is not None for each in gone)
