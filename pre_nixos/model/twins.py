"""Which of several things that share an id is the one that is wanted: the one that is where it is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pre_nixos.model.identity import TWIN, plain_id
from pre_nixos.model.layer import Disk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.layer import Layer


class _Twin(NamedTuple):
    """One of several that would have the same id, by the ids that are known by now."""

    layer: Layer
    on: frozenset[str]
    is_ours: bool
    """Whether any of it is on a disk that is taken."""


def told_apart(there: DeviceGraph, wanted: Wanted) -> DeviceGraph:
    """Give, of those that share an id of something wanted, that id to the one that is meant.

    Ids are made without knowing what is wanted: somebody else's group of the same name, on whatever disk, takes from
    ours the id by which it would be found to be as wanted. Meant is what stands exactly where it is wanted, else what
    stands on a part of that, else the only one on the disks that are taken; where that is several, none is.
    """
    if not any(TWIN in layer.id for layer in there.layers() if not isinstance(layer, Disk)):
        return there
    meant: dict[str, str] = {}
    while True:
        ids = _ids(there, meant)
        twins = _twins(there, ids, wanted)
        news: dict[str, str] = {}
        for choose in (_where_wanted, _most_likely):
            for plain, those in twins.items() if not news else ():
                if id_ := choose(those, wanted.graph[plain], frozenset(wanted.graph.on(plain))):
                    news[id_] = plain
        if not news:
            return there.renamed(ids) if ids else there
        meant |= news


def _ids(there: DeviceGraph, meant: Mapping[str, str]) -> Mapping[str, str]:
    """Give the new id of every layer that has one: its own, or that of what it is named after in its beginning."""
    ids: dict[str, str] = {}
    for layer, on, _ in there.entries():
        if layer.id in meant:
            ids[layer.id] = meant[layer.id]
        elif len(on) == 1 and on[0] in ids and layer.id.startswith(f"{on[0]}/"):
            ids[layer.id] = ids[on[0]] + layer.id.removeprefix(on[0])
    return ids


def _twins(there: DeviceGraph, ids: Mapping[str, str], wanted: Wanted) -> Mapping[str, Sequence[_Twin]]:
    """Group what shares an id of something wanted that nothing there has."""
    takes, given = frozenset(wanted.takes), {*ids.values()}
    found: dict[str, list[_Twin]] = {}
    for layer, on, disks in there.entries():
        if TWIN not in layer.id or isinstance(layer, Disk):
            continue
        id_, below = ids.get(layer.id, layer.id), [ids.get(each, each) for each in on]
        plain = plain_id(id_, below)
        if plain != id_ and plain in wanted.graph and plain not in there and plain not in given:
            found.setdefault(plain, []).append(_Twin(layer, frozenset(below), not takes.isdisjoint(disks)))
    return found


def _where_wanted(twins: Sequence[_Twin], wish: Layer, on: frozenset[str]) -> str:
    """Find the one that stands exactly where it is wanted, and if that is several, is as wanted; empty for none."""
    there = [each.layer for each in twins if type(each.layer) is type(wish) and each.on == on]
    if len(there) > 1:
        there = [each for each in there if not wish.mismatches(each)]
    return there[0].id if len(there) == 1 else ""


def _most_likely(twins: Sequence[_Twin], wish: Layer, on: frozenset[str]) -> str:
    """Find the one that has lost some of what it stands on, or is the only one that is ours; empty for none."""
    ours = [each for each in twins if type(each.layer) is type(wish) and each.is_ours]
    there = [each for each in ours if each.on and each.on < on] or ours
    return there[0].layer.id if len(there) == 1 else ""
