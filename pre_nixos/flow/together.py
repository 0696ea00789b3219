"""Which actions of a plan may be carried out at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.model.step import Await, Discard, RequireBlank, RequireClear, RequireFree, WriteTable, Zero

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pre_nixos.model.action import Action
    from pre_nixos.model.plan import Plan

APART = (Await, Discard, RequireBlank, RequireClear, RequireFree, WriteTable, Zero)
"""Steps that have to do with one device and nothing else. A program may look at whatever it likes, and take locks of
its own or the next number that is free: programs run one at a time."""


def batches(plan: Plan, jobs: int) -> Iterator[Sequence[tuple[int, Action]]]:
    """Divide the actions of a plan, with their positions, into what is done one after the other.

    Several are in one batch only if they follow each other in the plan, are of one verb, none needs another one, each
    has disks of its own, and all of their steps are about these alone. Whatever comes before a batch is over when it
    begins: nothing is made while it can still turn out that something is not to be removed.
    """
    needs = frozenset(plan.edges)
    batch: list[tuple[int, Action]] = []
    disks: set[str] = set()
    for position, action in enumerate(plan.actions):
        joins = (
            jobs > 1
            and all(map(_is_apart, (action, *(each for _, each in batch[:1]))))
            and all(action.verb is each.verb for _, each in batch[:1])
            and disks.isdisjoint(action.touches)
            and not any((other - 1, position) in needs for other, _ in batch)
        )
        if batch and not joins:
            yield batch
            batch, disks = [], set()
        batch.append((position + 1, action))
        disks.update(action.touches)
    if batch:
        yield batch


def _is_apart(action: Action) -> bool:
    return bool(action.touches) and all(isinstance(each, APART) for each in action.steps)
