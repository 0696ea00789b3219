"""Changing a table in place: what entries say, and partitions that come, go and grow; none is ever moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.gpt.format import by_number, entry, landing_zones
from pre_nixos.backends.gpt.kinds import Partition, Table
from pre_nixos.plugin import (
    WINDOW,
    Action,
    Await,
    Node,
    Range,
    Replace,
    RequireClear,
    Step,
    Verb,
    WriteTable,
    Zero,
    exact_bytes,
    for_kind,
    growth,
    hooks,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pre_nixos.plugin import DeviceGraph, Layer

AT_THE_START = frozenset({"filesystem", "btrfs", "luks", "swap", "lvm.group"})
"""Kinds that are found by what is at the start of their device, and so whatever comes behind its end."""


@for_kind(hooks.modify, Table)
def change(old: Table, new: Table, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Rewrite what entries say, take partitions out, let them grow, and put new ones where nothing is."""
    there = {each.number: each for each in before.parts_of_kind(old, Partition)}
    wanted = {each.number: each for each in after.parts_of_kind(new, Partition)}
    why = [*_moved(there, wanted), *_cut_off(there, wanted, before)]
    if why:
        return Replace(why="; ".join(why))
    node = Node(layer=after.devices(new)[0].id)
    gone = [there[number] for number in sorted(there.keys() - wanted.keys())]
    made = [each for each in by_number(wanted.values()) if each.number not in there]
    grown = [each for each in by_number(wanted.values()) if each.number in there and _gains(there[each.number], each)]
    zones = _zones(there, made, grown)
    steps: list[Step] = []
    if gone and zones:
        # What goes leaves the kernel first: what is cleared may lie where it was.
        kept = [each for each in there.values() if each.number in wanted]
        steps.append(WriteTable(target=node, entries=tuple(entry(each, each) for each in by_number(kept))))
    if zones:
        steps += [Zero(target=node, ranges=zones), RequireClear(target=node, ranges=zones)]
    entries = tuple(entry(each, there.get(each.number)) for each in by_number(wanted.values()))
    steps.append(WriteTable(target=node, entries=entries))
    absent = [each for each in by_number(wanted.values()) if each.number not in there or not there[each.number].device]
    steps += [Await(target=Node(layer=each.id)) for each in absent]
    for each in grown:
        steps += growth(each.id, before, after)
    said = [*_said(old, new, there, wanted), *(f"take out partition {each.number}" for each in gone)]
    said += [f"make partition {each.number} of {each.size}" for each in made]
    summary = f"rewrite the GPT on {after.devices(new)[0].title}, moving nothing: {'; '.join(said)}"
    destroys = tuple(each.id for each in gone)
    return [Action(verb=Verb.MODIFY, target=new.id, summary=summary, steps=tuple(steps), destroys=destroys)]


def _moved(there: Mapping[int, Partition], wanted: Mapping[int, Partition]) -> Iterator[str]:
    """List what would have to be somewhere else, or be smaller."""
    for number in sorted(wanted.keys() & there.keys()):
        moves = wanted[number].start not in {None, there[number].start}
        if moves or exact_bytes(wanted[number].size) < exact_bytes(there[number].size):
            for each in wanted[number].mismatches(there[number]):
                if each.field in {"start", "size"}:
                    yield f"partition {number}: {each}"


def _cut_off(there: Mapping[int, Partition], wanted: Mapping[int, Partition], before: DeviceGraph) -> Iterator[str]:
    """List what would not be found any more, because it is looked for at the end of its device."""
    for number in sorted(wanted.keys() & there.keys()):
        if not _gains(there[number], wanted[number]):
            continue
        for each in before.standing_on(there[number].id):
            if not before[each].ephemeral and not _begins_at_the_start(before[each]):
                yield f"partition {number} is to grow, and {before[each].title} on it may be known by its end"


def _begins_at_the_start(layer: Layer) -> bool:
    if layer.kind == "mdraid.array":
        return getattr(layer, "metadata", None) in {"1.1", "1.2"}
    return layer.kind in AT_THE_START


def _gains(was: Partition, part: Partition) -> bool:
    return exact_bytes(part.size) > exact_bytes(was.size)


def _zones(there: Mapping[int, Partition], made: Sequence[Partition], grown: Sequence[Partition]) -> tuple[Range, ...]:
    """Give what is to be cleared: both ends of what is new, and the new end of what has grown."""
    places = [(each.start or 0, exact_bytes(each.size)) for each in made]
    for each in grown:
        start = there[each.number].start or 0
        end, was = start + exact_bytes(each.size), start + exact_bytes(there[each.number].size)
        begin = max(was, end - WINDOW)
        places.append((begin, end - begin))
    return landing_zones(places)


def _said(old: Table, new: Table, there: Mapping[int, Partition], wanted: Mapping[int, Partition]) -> Iterator[str]:
    for mismatch in new.mismatches(old):
        yield str(mismatch)
    for number, each in sorted(wanted.items()):
        for mismatch in each.mismatches(there[number]) if number in there else ():
            yield f"partition {number}: {mismatch}"
