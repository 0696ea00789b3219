"""Partitions whose numbers have shifted: what is known by its label or UUID is not to be taken for another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.gpt.kinds import Partition, Table
from pre_nixos.plugin import Objection, Plan, hooks, implements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@implements(hooks.objections)
def object_to(plan: Plan) -> Iterable[Objection]:
    """Refuse where a partition is wanted under a number, and is there under another.

    Layouts number partitions by their names where they say nothing else. One that is added or taken out shifts those
    behind it, and what is in them would be lost, or be taken for something else.
    """
    allowed = frozenset(plan.wanted.replaces)
    for table in plan.wanted.graph.of(Table):
        there = plan.before.get(table.id)
        if isinstance(there, Table) and allowed.isdisjoint((table.id, *plan.before.below(table.id))):
            on = ", ".join(plan.wanted.graph.called(each) for each in plan.wanted.graph.under(table))
            wanted = plan.wanted.graph.parts_of_kind(table, Partition)
            yield from _shifted(wanted, plan.before.parts_of_kind(there, Partition), on, table.id)


def _shifted(wanted: Sequence[Partition], there: Sequence[Partition], on: str, table: str) -> Iterator[Objection]:
    for wish in wanted:
        now = next((each for each in there if each.number == wish.number), None)
        others = [each for each in there if each.number != wish.number and _is_known_as(wish, each)]
        if len(others) == 1 and (now is None or not _is_known_as(wish, now)):
            name = repr(wish.label) if wish.label else wish.uuid
            yield Objection(
                subject=wish.id,
                text=f"Partition {name} of {on} is number {others[0].number}, and wanted as number {wish.number}: "
                "one would be taken for another.",
                remedy=f"Say which it is (number = {others[0].number} in a layout), or that the table may be replaced "
                f"(--replace): {table}",
            )


def _is_known_as(wish: Partition, there: Partition) -> bool:
    """Whether this is the one that is meant, by what tells it from others but its number."""
    if wish.uuid is not None and there.uuid is not None and wish.uuid.lower() == there.uuid.lower():
        return True
    return bool(wish.label) and wish.label == there.label
