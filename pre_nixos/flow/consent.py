"""Consent: exactly what was shown may happen, to exactly those disks, and nothing that was not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from pre_nixos.flow.journal import Agreed
from pre_nixos.flow.outcome import Refused
from pre_nixos.model.action import Objection, Verb
from pre_nixos.model.layer import Disk, State, Unrecognised

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pre_nixos.flow.journal import Journal
    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.layer import Layer
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan

Consent: TypeAlias = "str | Callable[[Plan], bool]"
"""A plan's digest, or something that is shown the plan and says yes or no."""

SHORTEST = 8


def require_consent(plan: Plan, consent: Consent, journal: Journal, machine: Machine) -> str:
    """Give the digest that was consented to. Raises Refused if it is for anything else."""
    if not isinstance(consent, str):
        if consent(plan):
            return plan.digest
        raise Refused(["Nobody agreed to this plan, so nothing was done."])
    if len(consent) >= SHORTEST and plan.digest.startswith(consent):
        return plan.digest
    if journal.open is not None and journal.covers(plan, consent):
        news = not_covered(plan, journal.open.agreed, Doings.of(journal, machine))
        if not news:
            return consent
        raise Refused([unasked(news, plan)])
    why = f"The consent {consent!r} is not for this plan, whose digest is {plan.digest}."
    raise Refused([f"{why} Look at the plan again and give the digest it shows."])


class Doings:
    """What an apply has done so far, by the ids of layers."""

    def __init__(self) -> None:
        self.made: set[str] = set()
        self.removed: set[str] = set()
        self.disturbed: set[str] = set()
        """What something stands on whose removal began and did not end."""
        self.begun: set[str] = set()
        """What something stands on that was begun to be made: it was blank, and may hold what nobody can read."""

    @classmethod
    def of(cls, journal: Journal, machine: Machine) -> Doings:
        """Give what a run that was stopped did, under the consent that is still open.

        What it had made to the end counts as what was there: since then it has been anybody's to use. So does what
        somebody uses.
        """
        doings = cls()
        doings.made.update(machine.suspects)
        doings.removed.update(journal.removed)
        doings.disturbed.update(journal.at_work_on(Verb.TEARDOWN))
        doings.begun.update(journal.at_work_on(Verb.FORMAT))
        return doings


def agreed_to(plan: Plan) -> Agreed:
    """Give what somebody agrees to who is shown a plan."""
    there, takes = plan.before, frozenset(plan.wanted.takes)
    return Agreed(
        losing={each.id: _plain(each) for lost in plan.losses().values() for each in lost},
        seen=tuple(
            layer.id
            for layer in there.layers()
            if not takes.isdisjoint(there.disks(layer.id)) and not _is_unseen(layer)
        ),
    )


def unasked(news: Sequence[str], plan: Plan) -> str:
    """Say what came to light that nobody agreed to losing."""
    return (
        f"There is {', '.join(news)} now, which would have to go, and which nobody was asked about. "
        f"Look at the plan again; it now has the digest {plan.digest}."
    )


def not_covered(plan: Plan, agreed: Agreed, doings: Doings) -> Sequence[str]:
    """Name what a follow-up would remove that nobody was shown.

    Covered is what went with the plan that was agreed to, as long as it is the same (and if it was removed already,
    only what can be known again by its UUID); what was made since; what a removal that did not end left of something;
    bytes that nobody can read where something was begun to be made; and what comes to light on any of these, where
    nobody could look before. What turns up where it was seen that there is something else, or nothing, is somebody's.
    """
    uuids = {*agreed.losing.values()} - {""}
    there, seen = plan.before, frozenset(agreed.seen)

    def covered(id_: str) -> bool:
        uuid = _plain(there[id_])
        if id_ in doings.made or uuid in uuids:
            return True
        if agreed.losing.get(id_) == uuid and id_ not in doings.removed:
            return True
        supports = there.on(id_)
        if supports and doings.disturbed.issuperset(supports):
            return True
        if supports and doings.begun.issuperset(supports) and isinstance(there[id_], Unrecognised):
            return True
        return bool(supports) and seen.isdisjoint(supports) and all(covered(each) for each in supports)

    lost = {each.id: each for each_disk in plan.losses().values() for each in each_disk if not each.ephemeral}
    return [f"{each.id} ({each.describe() or each.kind})" for each in lost.values() if not covered(each.id)]


def _plain(layer: Layer) -> str:
    """Give a UUID without what it is written with: a member's signature and its array write one UUID in two ways."""
    return "".join(each for each in layer.label_for_uuid().lower() if each.isalnum())


def _is_unseen(layer: Layer) -> bool:
    """Whether nobody can look at what is on it."""
    return layer.state is State.INACTIVE and layer.mark() is not None


def unseen(plan: Plan, machine: Machine) -> Sequence[Objection]:
    """Name what is on a plan's disks now and was not when it was made, unless what was released meanwhile hid it."""
    before, there, takes = plan.before, machine.graph, frozenset(plan.wanted.takes)
    known = {_plain(each) for each in before.layers()} - {""}
    news: list[Objection] = []
    for layer in there.layers():
        if isinstance(layer, Disk) or takes.isdisjoint(there.disks(layer.id)):
            continue
        same = layer.id in before and _plain(layer) == _plain(before[layer.id])
        if same or _plain(layer) in known:
            continue
        if not any(_was_covered(each, before, there) for each in there.on(layer.id)):
            said = layer.describe() or layer.title
            where = ", ".join(there[each].title for each in there.on(layer.id))
            # What cannot be read may be readable in a moment.
            passing = isinstance(layer, Unrecognised) and layer.immovable
            text = f"{where}: {said}, which was not so before."
            news.append(Objection(subject=layer.id, text=text, passing=passing))
    return news


def _was_covered(support: str, before: DeviceGraph, there: DeviceGraph) -> bool:
    """Whether something that stood on it, and hid what is below, is gone by now; or nobody could look at it before."""
    if support not in before or _is_unseen(before[support]):
        return True
    gone = [before[each] for each in before.standing_on(support) if each not in there]
    return any(each.ephemeral or each.mark() is not None for each in gone)
