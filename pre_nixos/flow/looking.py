"""What probing does: every plugin is asked what it finds, and what none of them claims is found here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.flow.bootmedium import find_boot_medium
from pre_nixos.flow.journal import read_journal
from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import installed
from pre_nixos.host.questions import LookAround, Verdict
from pre_nixos.host.survey import Memo, survey
from pre_nixos.model.identity import Found, resolve, unclaimed
from pre_nixos.model.layer import State, Unrecognised
from pre_nixos.model.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pre_nixos.hooks.registry import Registry
    from pre_nixos.host.api import Reader
    from pre_nixos.host.survey import Survey
    from pre_nixos.model.graph import DeviceGraph

TOLD = frozenset({Verdict.BLANK, Verdict.KNOWN, Verdict.DATA, Verdict.AMBIGUOUS})
"""Verdicts that say what is on a device; any other means that nobody knows."""


def look(reader: Reader, registry: Registry | None = None) -> Machine:
    """Look at whatever machine the reader speaks for."""
    memo = Memo(reader)
    registry = registry or installed()
    found = list(Calls(registry).probe(memo))
    seen = survey(memo)
    found += _unclaimed_nodes(found, seen)
    graph = resolve(found)
    graph = resolve([*found, *unclaimed(graph, _signatures(seen)), *_untold(graph, seen)])
    around = memo.ask(LookAround(tools=tuple(sorted({tool for each in registry.tools.values() for tool in each}))))
    journal = read_journal(memo)
    suspects = journal.suspects(graph)
    return Machine(
        graph=graph,
        memory=around.memory,
        firmware=around.firmware,
        architecture=around.architecture,
        tools=around.tools,
        boot_medium=find_boot_medium(memo, graph),
        unfinished=suspects,
        leaving=tuple(each for each in suspects if each in journal.leaving),
        erased=tuple(journal.erased),
        erased_for=journal.erased_for,
        remarks=tuple(_remarks(seen)),
    )


def _remarks(seen: Survey) -> Iterator[str]:
    for each in seen.left_out:
        yield f"{each.name} was not opened: suspended or out of reach, or on something that is"
    for each in seen.mirages:
        yield (
            f"{each.name} is no partition: {each.parent} has no table, and the kernel takes the first bytes of what is"
            " on it for one"
        )


def _unclaimed_nodes(found: Sequence[Found], seen: Survey) -> Iterator[Found]:
    """Find the devices that no plugin accounts for: something holds what is below them, and nobody knows what."""
    claimed: set[str] = set()
    for each in found:
        claimed |= each.layer.inner()
        if each.layer.device is not None:
            claimed.add(each.layer.device.number)
    for node in seen.nodes.values():
        if node.number in claimed:
            continue
        below = [node.parent] if node.parent else node.slaves
        what = f"in use by {node.attributes.get('dm/name') or node.name}, which no plugin here knows"
        layer = Unrecognised(what=what, immovable=True, device=seen.device(node), state=State.ACTIVE)
        yield Found(layer, on=[seen.nodes[name].number for name in below if name in seen.nodes])


def _signatures(seen: Survey) -> dict[str, list[tuple[str, str]]]:
    return {
        number: [(signature.type, signature.uuid) for signature in content.signatures if not signature.hidden]
        for number, content in seen.contents.items()
    }


def _untold(graph: DeviceGraph, seen: Survey) -> Iterator[Found]:
    """Find what is on devices beside signatures: bytes that nobody claims, and content that could not be read."""
    layers = {layer.device.number: layer for layer in graph.layers() if layer.device}
    for node, state in seen.out_of_reach():
        what = f"its content cannot be told (the path to it is {state})"
        yield Found(Unrecognised(what=what, immovable=True, state=State.INACTIVE), on=[node.number])
    for number, content in seen.contents.items():
        if number not in layers:
            continue  # a device inside something else, which answers for what is on it
        if content.verdict is Verdict.DATA and not content.signatures and not graph.standing_on(layers[number].id):
            yield Found(Unrecognised(what="data", state=State.INACTIVE), on=[number])
        elif content.verdict not in TOLD and not layers[number].holds_nothing():
            why = f": {content.error}" if content.error else ""
            what = f"its content cannot be told ({content.verdict}{why})"
            yield Found(Unrecognised(what=what, immovable=True, state=State.INACTIVE), on=[number])
