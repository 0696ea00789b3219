"""Changes of a table that would take one partition for another, or overwrite what is in none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.gpt.kinds import Partition, Table
from pre_nixos.backends.gpt.types import BIOS_BOOT, ESP
from pre_nixos.plugin import Objection, Plan, Verb, hooks, implements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pre_nixos.plugin import DeviceGraph, Layer

TO_START_FROM = frozenset({ESP, BIOS_BOOT})
"""Types of what every disk may have one of, all alike: a boot loader's installer fills whichever it finds."""


@implements(hooks.objections)
def object_to(plan: Plan) -> Iterable[Objection]:
    """Refuse where a partition is wanted under a number or in a table, and is there under another.

    Layouts number partitions by their names where they say nothing else. One that is added or taken out shifts those
    behind it, and what is in them would be lost, or be taken for something else. So it is with all partitions of two
    disks, where somebody says of each that it is the other.
    """
    if Verb.ACTIVATE not in plan.only:
        return  # ending what is in use takes nothing for another
    allowed = frozenset(plan.wanted.replaces)
    for table in plan.wanted.graph.of(Table):
        there = plan.before.get(table.id)
        if isinstance(there, Table) and allowed.isdisjoint((table.id, *plan.before.below(table.id))):
            yield from _shifted(table, plan.before.parts_of_kind(there, Partition), plan)
    yield from _exchanged(plan, allowed)


@implements(hooks.objections)
def what_a_change_would_overwrite(plan: Plan) -> Iterable[Objection]:
    """Refuse to change a table in place where that would overwrite what is in none of its partitions.

    Where the table goes with all there is on its disk, nothing is left that could be meant to stay.
    """
    for action in plan.actions:
        table = plan.before.get(action.target)
        if action.verb is Verb.MODIFY and isinstance(table, Table):
            on = _place(table, plan.before)
            kept = {each.number for each in plan.wanted.graph.parts_of_kind(plan.wanted.graph[table.id], Partition)}
            stays = any(each.number in kept for each in plan.before.parts_of_kind(table, Partition))
            yield from _overwritten(table, on, stays=stays)


def _overwritten(table: Table, on: str, *, stays: bool) -> Iterator[Objection]:
    """Object to losing what an MBR has besides, and to a list of partitions that would not stay as it is.

    libparted writes an MBR that only protects the table, and keeps a list only if it can go by it.
    """
    if table.beside:
        yield Objection(
            subject=table.id,
            text=f"The MBR of {on} is a hybrid: it has partitions of its own beside the GPT (of type "
            f"{', '.join(table.beside)}), which a change of the GPT would drop.",
            remedy="Leave the table as it is, or make the MBR a plain one if nothing starts by it (gdisk: x, n, w); or "
            "wipe the disk.",
        )
    if table.unusual and not (stays and table.lasting):
        why = (table.remark or "libparted cannot write over it") if stays else "no partition of it stays"
        yield Objection(
            subject=table.id,
            text=f"The list of partitions of the GPT on {on} {table.unusual}, and cannot stay like that ({why}): what "
            "lies in the place of a usual one, such as the boot loader of a board, would be overwritten.",
            remedy="If only its backup is damaged, or not where the disk ends, mend that first (sfdisk --relocate "
            "gpt-bak-std); or wipe the disk.",
        )


def _shifted(table: Table, there: Sequence[Partition], plan: Plan) -> Iterator[Objection]:
    for wish in plan.wanted.graph.parts_of_kind(table, Partition):
        now = next((each for each in there if each.number == wish.number), None)
        others = [each.number for each in there if each.number != wish.number and _is_known_as(wish, each)]
        if len(others) == 1 and (now is None or not _is_known_as(wish, now)):
            yield Objection(
                subject=wish.id,
                text=f"Partition {_name(wish)} of {_place(table, plan.wanted.graph)} is number {others[0]}, and wanted "
                f"as number {wish.number}: one would be taken for another.",
                remedy=_say(f"Say which it is (number = {others[0]} in a layout)", table.id, plan),
            )


def _exchanged(plan: Plan, allowed: frozenset[str]) -> Iterator[Objection]:
    """Object, once for every two tables, to what is wanted in one of them and is there in the other."""
    found: dict[tuple[str, str], list[Partition]] = {}
    for wish, table, other, its_table in _elsewhere(plan):
        if allowed.isdisjoint((other.id, *plan.before.below(other.id))):
            found.setdefault((table.id, its_table.id), []).append(wish)
    for (wanted_in, is_in), those in found.items():
        is_one, names = len(those) == 1, ", ".join(map(_name, those))
        said = f"Partition {names} is" if is_one else f"Partitions {names} are"
        cost = "it would be lost, or taken for another" if is_one else "they would be lost, or taken for others"
        here = _place(plan.before[is_in], plan.before)
        there = _place(plan.wanted.graph[wanted_in], plan.wanted.graph)
        yield Objection(
            subject=those[0].id,
            text=f"{said} on {here}, and wanted on {there}: {cost}.",
            remedy=_say("Say which disk is which", is_in, plan),
        )


def _elsewhere(plan: Plan) -> Iterator[tuple[Partition, Table, Partition, Table]]:
    """Find what is wanted in one table and is only in another: each as it is wanted, and as it is there."""
    wishes, there = _parts(plan.wanted.graph), _parts(plan.before)
    for wish, table in wishes.values():
        known = [each for each in there.values() if _is_known_as(wish, each[0])]
        if len(known) != 1 or known[0][1].id == table.id:
            continue  # nowhere, in several places, or in its own table: see above
        other, its_table = known[0]
        if sum(_is_known_as(each, other) for each, _ in wishes.values()) > 1 or not _holds(other, plan):
            continue  # what several are called by tells none of them; and of what is empty nothing is lost
        instead = wishes.get(other.id)
        if instead is None and wish.id not in there and not _is_lost(other, plan):
            continue  # nothing is taken for anything
        if instead is None or not _are_alike(wish, instead[0], plan.wanted.graph):
            yield wish, table, other, its_table


def _parts(graph: DeviceGraph) -> Mapping[str, tuple[Partition, Table]]:
    """Give every partition with the table it is in, by its id."""
    return {each.id: (each, table) for table in graph.of(Table) for each in graph.parts_of_kind(table, Partition)}


def _are_alike(one: Partition, other: Partition, wanted: DeviceGraph) -> bool:
    """Whether nobody can tell which of two is which: both are all for the same thing, or to start from."""
    if one.type == other.type and one.type in TO_START_FROM:
        return True
    on = set(wanted.standing_on(one.id))
    return bool(on) and on == set(wanted.standing_on(other.id))


def _is_lost(there: Partition, plan: Plan) -> bool:
    verdict = plan.reasons.get(there.id)
    return verdict is not None and verdict.fate.removes


def _holds(there: Partition, plan: Plan) -> bool:
    """Whether there is something in it that is known only by where it is.

    What has a name of its own is known by that wherever it is, and to lose it is another matter. Once it is gone, by
    consent, what it was in tells nothing any more: a run that was stopped then goes on.
    """
    return not all(plan.before[each].gathers for each in plan.before.standing_on(there.id))


def _say(which: str, table: str, plan: Plan) -> str:
    """Give the remedy; what only uses things loses nothing, and has no choice of it."""
    return f"{which}." if plan.is_harmless else f"{which}, or that the table may be replaced (--replace): {table}"


def _place(table: Layer, graph: DeviceGraph) -> str:
    return ", ".join(graph.called(each) for each in graph.under(table))


def _name(wish: Partition) -> str:
    return repr(wish.label) if wish.label else str(wish.uuid)


def _is_known_as(wish: Partition, there: Partition) -> bool:
    """Whether this is the one that is meant, by what tells it from others but its number."""
    if wish.uuid is not None and there.uuid is not None and wish.uuid.lower() == there.uuid.lower():
        return True
    return bool(wish.label) and wish.label == there.label
