"""Consent: exactly what was shown may happen, to exactly those disks, and nothing that was not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from pre_nixos.flow.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pre_nixos.flow.journal import Journal
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


def not_covered(plan: Plan, agreed: Plan, made: Collection[str]) -> Sequence[str]:
    """Name what a follow-up would remove that nobody was shown.

    Covered is what went with the plan that was agreed to, what was made since, and whatever comes to light where either
    of them is or was. What turns up on something that stays, or where nothing was, is somebody's.
    """
    going = {each.id: each for lost in agreed.losses().values() for each in lost}
    uuids = {each.label_for_uuid() for each in going.values()} - {""}
    emptied = {support for each in going if not going[each].ephemeral for support in agreed.before.on(each)}
    there = plan.before

    def covered(id_: str) -> bool:
        if id_ in made or id_ in going or there[id_].label_for_uuid() in uuids:
            return True
        verdict = agreed.reasons.get(id_)
        if verdict is not None and verdict.fate.stays:
            return False
        supports = there.on(id_)
        return bool(supports) and all(each in emptied or covered(each) for each in supports)

    lost = {each.id: each for each_disk in plan.losses().values() for each in each_disk if not each.ephemeral}
    return [f"{each.id} ({each.describe() or each.kind})" for each in lost.values() if not covered(each.id)]
