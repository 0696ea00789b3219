"""What does not outlive a root that is put back to its empty snapshot: said once, for whoever has to refuse it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.backends.btrfs.kinds import Subvolume, blank_of
from pre_nixos.plugin import InvalidLayout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pre_nixos.plugin import DeviceGraph

OLD = "old-roots"
"""The directory at the top of the filesystem that the last roots are in."""
DIGITS = (6, 4, 2, 2, 6)
"""A former root is called by its number, which puts them in order whatever the clock says, and when it was put away."""
FORMER = "-".join(["root", *("[0-9]" * each for each in DIGITS)])
"""What it is called, as a pattern for the shell: whatever is called otherwise was put there by somebody."""
REMEDY = "call it otherwise, or have no empty snapshot of the root"
_FORMER = re.compile("-".join(["root", *(f"[0-9]{{{each}}}" for each in DIGITS)]))
SHOWN = 5
"""How many subvolumes a sentence names: programs for containers make them by the hundred."""


def why_lost(name: str, root: str) -> str:
    """Say why a subvolume is lost if the root, a subvolume of that other name, is emptied; nothing if it is not."""
    if _is_below(name, root):
        return "would lie inside the root, and go with it at the next boot"
    if name == OLD or _is_below(name, OLD):
        return "would lie where former roots are kept, and could be taken for one of them"
    return ""


def lost_with(root: Subvolume, graph: DeviceGraph) -> Iterator[tuple[Subvolume, str]]:
    """Give the subvolumes that are lost with a root, each with the reason; none if it is not emptied."""
    if blank_of(root, graph) is None:
        return
    for pool in graph.under(root):
        for each in graph.parts_of_kind(pool, Subvolume):
            if why := why_lost(each.name, root.name):
                yield each, why


def unspoken(root: Subvolume, graph: DeviceGraph, there: DeviceGraph) -> Sequence[str]:
    """Say which subvolumes are there, are wanted by nobody, and are lost with a root that is emptied.

    Where the root was emptied before, whatever is in it came into being since then, as systemd makes some at every
    boot: then that is all. Raises InvalidLayout where this would be the first time.
    """
    if blank_of(root, graph) is None:
        return ()
    names = [
        each.name
        for pool in graph.under(root)
        if (same := there.get(pool.id)) is not None
        for each in there.parts_of_kind(same, Subvolume)
        if each.id not in graph
    ]
    lost = sorted(each for each in names if why_lost(each, root.name) and not _is_below(each, OLD))
    if not lost:
        return ()
    more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
    said = f"{', '.join(lost[:SHOWN])}{more}"
    if any(_is_below(each, OLD) and _FORMER.fullmatch(each.split("/")[1]) for each in names):
        return [f"{root.title}: subvolumes that were made in it since it was last emptied go with it again: {said}."]
    remedy = (
        "move them to the top of the btrfs (mount -o subvolid=5) and have them mounted from there, "
        "or remove what nobody needs (btrfs subvolume delete)"
    )
    text = f"subvolumes that nobody asked for are inside, and would go with it at the next boot: {said}; {remedy}"
    raise InvalidLayout([f"{root.title}: {text}"])


def _is_below(name: str, directory: str) -> bool:
    return name.startswith(f"{directory}/")


__all__ = ["FORMER", "OLD", "REMEDY", "lost_with", "unspoken", "why_lost"]
