"""Changing a table in place: what entries say, but not where partitions are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.gpt.format import by_number, entry
from pre_nixos.backends.gpt.kinds import Partition, Table
from pre_nixos.plugin import Action, Await, Node, Replace, Step, Verb, WriteTable, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.modify, Table)
def change(old: Table, new: Table, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Rewrite names, types and UUIDs, or a damaged copy, where every partition stays exactly where it is."""
    there = {each.number: each for each in before.parts_of_kind(old, Partition)}
    wanted = {each.number: each for each in after.parts_of_kind(new, Partition)}
    moved = _moved(there, wanted)
    if moved:
        return Replace(why="; ".join(moved))
    device = after.devices(new)[0]
    steps: list[Step] = [
        WriteTable(
            target=Node(layer=device.id),
            entries=tuple(entry(each, there[each.number]) for each in by_number(wanted.values())),
        ),
        *(Await(target=Node(layer=each.id)) for each in by_number(wanted.values()) if not there[each.number].device),
    ]
    said = [str(each) for each in new.mismatches(old)]
    said += [
        f"partition {number}: {mismatch}"
        for number, each in sorted(wanted.items())
        for mismatch in each.mismatches(there[number])
    ]
    summary = f"rewrite the GPT on {device.title}, moving nothing: {'; '.join(said)}"
    return [Action(verb=Verb.MODIFY, target=new.id, summary=summary, steps=tuple(steps))]


def _moved(there: Mapping[int, Partition], wanted: Mapping[int, Partition]) -> Sequence[str]:
    """List what is more than a change of words."""
    moved = [f"there is no partition {number} yet" for number in sorted(wanted.keys() - there.keys())]
    moved += [f"partition {number} is to go" for number in sorted(there.keys() - wanted.keys())]
    for number in sorted(wanted.keys() & there.keys()):
        moved += [
            f"partition {number}: {each}"
            for each in wanted[number].mismatches(there[number])
            if each.field in {"start", "size"}
        ]
    return moved
