"""Consent: exactly what was shown may happen, to exactly those disks, and nothing that was not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from pre_nixos.flow.outcome import Refused
from pre_nixos.model.layer import State

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


def unexamined(plan: Plan) -> frozenset[str]:
    """Name the layers that stay, and whose content nobody could see when consent was given."""
    return frozenset(
        layer.id
        for layer in plan.before.layers()
        if layer.state is State.INACTIVE
        and layer.mark() is not None
        and (verdict := plan.reasons.get(layer.id)) is not None
        and verdict.fate.stays
    )


def not_covered(plan: Plan, unseen: Collection[str], made: Collection[str]) -> Sequence[str]:
    """Name what a follow-up would remove that nobody was shown: what came to light inside something that stays."""
    return [
        f"{layer.id} ({layer.describe() or layer.kind})"
        for lost in plan.losses().values()
        for layer in lost
        if not layer.ephemeral and layer.id not in made and set(unseen).intersection(plan.before.below(layer.id))
    ]
