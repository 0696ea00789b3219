"""Making a table with all its partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.gpt import types
from pre_nixos.backends.gpt.kinds import Partition, Table
from pre_nixos.plugin import (
    WINDOW,
    Action,
    Await,
    Node,
    Objection,
    Plan,
    Range,
    RequireBlank,
    RequireClear,
    RequireFree,
    Step,
    TableEntry,
    Verb,
    WriteTable,
    Zero,
    exact_bytes,
    for_kind,
    hooks,
    implements,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.format, Table)
def make(layer: Table, graph: DeviceGraph) -> Sequence[Action]:
    """Write an empty table, clear through the disk where partitions will begin and end, then write the full one."""
    device = graph.devices(layer)[0]
    node = Node(layer=device.id)
    parts = graph.parts_of_kind(layer, Partition)
    zones = landing_zones(placed(parts))
    steps: list[Step] = [
        RequireFree(target=node),
        RequireBlank(target=node),
        WriteTable(target=node),
    ]
    if parts:
        steps += [
            Zero(target=node, ranges=zones),
            RequireClear(target=node, ranges=zones),
            WriteTable(target=node, entries=tuple(entry(each) for each in by_number(parts))),
            *(Await(target=Node(layer=each.id)) for each in by_number(parts)),
        ]
    count = "1 partition" if len(parts) == 1 else f"{len(parts)} partitions"
    summary = f"write a GPT with {count} on {device.title}"
    return [Action(verb=Verb.FORMAT, target=layer.id, summary=summary, steps=tuple(steps))]


def by_number(parts: Iterable[Partition]) -> Sequence[Partition]:
    """Order partitions as people count them."""
    return sorted(parts, key=lambda part: part.number)


def entry(part: Partition, there: Partition | None = None) -> TableEntry:
    """Write a partition as an entry of the table; what was not asked for stays as it is `there`."""
    old = there or part
    return TableEntry(
        number=part.number,
        start=(old.start if part.start is None else part.start) or 0,
        length=exact_bytes(part.size),
        type=part.type or old.type or types.DEFAULT,
        name=(old.label if part.label is None else part.label) or "",
        uuid=part.uuid,
        attributes=(old.attributes if part.attributes is None else part.attributes) or 0,
    )


def placed(parts: Iterable[Partition]) -> Sequence[tuple[int, int]]:
    """Give the start and the length of each partition."""
    return [(part.start or 0, exact_bytes(part.size)) for part in parts]


def landing_zones(places: Iterable[tuple[int, int]]) -> tuple[Range, ...]:
    """Give the ranges of the disk at which partitions begin and end, given the start and the length of each.

    Each lies within its partition; those that meet are merged.
    """
    spans: list[tuple[int, int]] = []
    for start, length in places:
        end = start + length
        spans += [(start, min(start + WINDOW, end)), (max(start, end - WINDOW), end)]
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(Range(start=start, length=end - start) for start, end in merged)


@implements(hooks.objections)
def where_no_partitions_show(plan: Plan) -> Iterable[Objection]:
    """Refuse tables on devices in which the kernel shows no partitions."""
    for table in plan.wanted.graph.of(Table):
        verdict = plan.reasons.get(table.id)
        if verdict is None or not verdict.fate.makes:
            continue
        for below in plan.wanted.graph.devices(table):
            if (below.mark() or {}).keys() & {"partition", "dm/name", "dm/uuid"}:
                yield Objection(
                    subject=table.id,
                    text=f"A table on {below.title} would have partitions that the kernel does not show.",
                    remedy="Put tables on disks or arrays.",
                )
