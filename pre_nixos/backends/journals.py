"""Journals of ext filesystems that have a device of their own: whoever takes that has the filesystem without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.clearing import cleared
from pre_nixos.plugin import (
    Action,
    Fact,
    Found,
    Layer,
    Ref,
    State,
    for_kind,
    hooks,
    implements,
    survey,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pre_nixos.plugin import BlockNode, DeviceGraph, Reader, Signature, Survey

SIGNATURE = "jbd"
NAMED = "EXT_JOURNAL"
"""Under what name libblkid tells, of a filesystem whose journal is on another device, which that is."""


class Journal(Layer, tag="filesystem.journal"):
    """The journal of an ext filesystem, on a device of its own."""

    uuid: Fact[str | None] = None
    """By which the filesystem names it."""

    def explains(self) -> frozenset[str]:
        """Its own signature."""
        return frozenset({SIGNATURE})

    def describe(self) -> str:
        """Say whose it is: not which filesystem's, as it knows of none."""
        return "journal of a filesystem"


@implements(hooks.probe)
def find_journals(reader: Reader) -> Iterable[Found]:
    """Find the journals libblkid sees."""
    for node, signature in survey(reader).with_signature(SIGNATURE):
        yield Found(Journal(uuid=signature.uuid or None, state=State.ACTIVE), on=[node.number])


def journals_of(signature: Signature, seen: Survey) -> Sequence[Ref]:
    """Give the journals a filesystem cannot do without: every one with the UUID that its superblock names.

    Which of two is the right one nobody can tell. But on devices that others carry, it is that of those others.
    """
    named = signature.detail.get(NAMED)
    if not named:
        return ()
    those = {node.name: node for node, each in seen.with_signature(SIGNATURE) if each.uuid == named}
    return [
        Ref(number=node.number, content=SIGNATURE)
        for node in those.values()
        if those.keys().isdisjoint(_carried_by(node, seen))
    ]


def _carried_by(node: BlockNode, seen: Survey) -> Iterable[str]:
    """Give the names of all devices that are built on this one."""
    found = dict.fromkeys(node.holders)
    queue = list(found)
    for name in queue:
        further = [each for each in (seen.nodes[name].holders if name in seen.nodes else ()) if each not in found]
        found |= dict.fromkeys(further)
        queue += further
    return found


@for_kind(hooks.teardown, Journal)
def remove_journal(layer: Journal, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends of the device, and read them back."""
    return cleared(layer, graph, f"the {layer.describe()}")
