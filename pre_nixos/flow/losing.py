"""Content of what is wanted that would be lost with what it is in, or be taken for another of its kind."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pre_nixos.model.action import Objection
from pre_nixos.model.difference import Fate
from pre_nixos.model.identity import plain_id
from pre_nixos.model.layer import Disk, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pre_nixos.model.difference import Difference
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.layer import Layer
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan

LABEL = "label"
"""What tells people which of several it is; something of another label is something else."""

LEAVE = "Leave it as it is"
LOOK = "Use it yourself if it is whole, for what is in use is trusted"
"""What to do about what a run was removing when it was stopped."""


def about_wanted_content(machine: Machine, wanted: Wanted, found: Difference) -> Iterator[Objection]:
    """Object to losing the content of something wanted that is there, unless that was allowed by name.

    What an earlier installation left goes by consent: nobody wants it. But who changes what is said of one thing does
    not mean to lose it, nor what else is on it.
    """
    losses = _Losses(machine, wanted, found)
    counting = {each for each in found.going if losses.counts(machine.graph[each])}
    if not counting:
        return
    grouped: dict[str, list[Layer]] = {}
    for layer in machine.graph.layers():
        if layer.id in counting:
            grouped.setdefault(losses.bottom(layer.id), []).append(layer)
    allowed = frozenset(wanted.replaces)
    for id_, lost in grouped.items():
        layer = machine.graph[id_]
        if allowed.isdisjoint((id_, *machine.graph.below(id_))):
            more = ", ".join(dict.fromkeys(each.describe() or each.title for each in lost if each is not layer))
            cost = f"with it would be lost: {more}" if more else "it would be lost"
            end = "be made anew" if found.fate(id_) is Fate.REPLACED else "go"
            instead = LOOK if id_ in machine.leaving else LEAVE
            yield Objection(
                subject=id_,
                text=f"{_where(layer, machine.graph)} would have to {end}, because {found.verdicts[id_].why}; {cost}.",
                remedy=f"{instead}, or say that it may be replaced (--replace): {id_}",
            )


def about_mistaken_content(plan: Plan) -> Iterator[Objection]:
    """Object to taking one content for another, where what is wanted by its label is there, in another place.

    Only where nothing below has a label: whoever gave it one tells by that what it is. What has a name of its own is
    known by that wherever it is, and of what holds nothing it makes no difference.
    """
    wanted, there = plan.wanted.graph, plan.before
    wishes, found = _by_label(wanted), _by_label(there)
    allowed = frozenset(plan.wanted.replaces)
    for key, those in wishes.items():
        wish, others = those[0], found.get(key, ())
        now = there.get(wish.id)
        if len(those) > 1 or len(others) != 1 or others[0].id == wish.id or now is None or type(now) is not type(wish):
            continue
        other = others[0]
        if not _labels_below(wanted, wish.id) and allowed.isdisjoint((other.id, *there.below(other.id))):
            below = ", ".join(wanted.called(each) for each in wanted.devices(wish))
            leave = "" if plan.is_harmless else f", or that it may be replaced (--replace): {other.id}"
            yield Objection(
                subject=wish.id,
                text=f"{_where(other, there)} is wanted on {below}, and there is {now.describe() or now.title}: one "
                "would be taken for the other.",
                remedy=f"Say where each of them is{leave or '.'}",
            )


def _by_label(graph: DeviceGraph) -> Mapping[tuple[str, str], Sequence[Layer]]:
    """Group content that is told from others by its label alone, by its kind and that."""
    found: dict[tuple[str, str], list[Layer]] = {}
    for layer in graph.layers():
        label = getattr(layer, LABEL, None)
        if label and layer.precious and layer.part_of is None and not (layer.gathers or layer.ephemeral):
            found.setdefault((layer.kind, label), []).append(layer)
    return found


class _Losses:
    """What goes by a plan, and whether it belongs to something that is wanted."""

    def __init__(self, machine: Machine, wanted: Wanted, found: Difference) -> None:
        self._there = machine.graph
        self._unfinished = machine.suspects.difference(machine.leaving)
        self._wanted = wanted.graph
        self._found = found
        self._same: dict[str, bool] = {}

    def counts(self, layer: Layer) -> bool:
        """Whether what goes here holds content, of something wanted."""
        if layer.ephemeral or layer.id in self._unfinished:
            return False
        # What is in something closed was never looked at.
        holds = layer.precious if layer.mark() is None else layer.state is State.INACTIVE
        if not holds:
            return False
        # What stands on several may be in the place of something, although the loss of it begins at another of these.
        places = {self.bottom(layer.id), layer.id}
        return (
            self._is_same(layer.id) or any(map(self._is_in_its_place, places)) or self._was_put_into_something(layer.id)
        )

    def bottom(self, id_: str) -> str:
        """Find where the loss of it begins: the lowest below it that goes."""
        for below in reversed([id_, *self._there.below(id_)]):
            if self._goes(below) and below not in self._unfinished:
                return below
        return id_

    def _goes(self, id_: str) -> bool:
        fate = self._found.fate(id_)
        return fate is not None and fate.removes

    def _is_same(self, id_: str) -> bool:
        """Whether it is wanted, by what it is and by every label on the way to it."""
        if id_ not in self._same:
            there, on = self._there[id_], self._there.on(id_)
            wish = self._wanted.get(id_) or self._meant_by(id_, on)
            self._same[id_] = (
                wish is not None
                and type(wish) is type(there)
                and all(each.field != LABEL for each in wish.mismatches(there))
                and (all(self._is_same(each) for each in on if each in self._wanted) or self._moves(there))
            )
        return self._same[id_]

    def _meant_by(self, id_: str, on: Sequence[str]) -> Layer | None:
        """Give what is wanted exactly where this is, of several that share its id and could not be told apart."""
        plain = plain_id(id_, on)
        return self._wanted[plain] if plain in self._wanted and self._wanted.on(plain) == tuple(on) else None

    def _was_put_into_something(self, id_: str) -> bool:
        """Whether it is on something that is wanted for its own sake, with nothing on it: somebody put it there."""
        return any(
            not isinstance(self._there[each], Disk)
            and each in self._wanted
            and not self._wanted.standing_on(each)
            and self._is_same(each)
            for each in self._there.on(id_)
        )

    def _moves(self, layer: Layer) -> bool:
        """Whether what goes by its own name is wanted elsewhere, with every label that is asked for below it there."""
        asked = _labels_below(self._wanted, layer.id)
        return layer.gathers and bool(asked) and asked <= _labels_below(self._there, layer.id)

    def _is_in_its_place(self, id_: str) -> bool:
        """Whether it is on something wanted that stays, a disk aside, and has to make room for something else there."""
        return any(
            not isinstance(self._there[each], Disk)
            and self._there[each].mark() is not None
            and each in self._wanted
            and not self._goes(each)
            and (self._is_same(each) or not self._ours.isdisjoint(self._there.disks(each)))
            for each in self._there.on(id_)
        )

    @cached_property
    def _ours(self) -> frozenset[str]:
        """The disks with content that is wanted and stays: what else is on them was not left by somebody else."""
        staying = (
            layer
            for layer in self._there.layers()
            if layer.mark() is None and layer.precious and not layer.ephemeral and layer.id in self._wanted
        )
        disks = (
            self._there.disks(layer.id)
            for layer in staying
            if (fate := self._found.fate(layer.id)) and fate.stays and self._is_same(layer.id)
        )
        return frozenset[str]().union(*disks)


def _labels_below(graph: DeviceGraph, id_: str) -> frozenset[tuple[str, str]]:
    """Give the labels on the way to a layer, each with the kind of what has it."""
    below = [graph[each] for each in graph.below(id_)]
    return frozenset((each.kind, label) for each in below if (label := getattr(each, LABEL, None)))


def _where(layer: Layer, graph: DeviceGraph) -> str:
    """Name what has no name by what it is, and on what."""
    if layer.segment != layer.kind:
        return graph.called(layer)
    below = ", ".join(graph.called(each) for each in graph.devices(layer))
    return f"{layer.describe() or layer.title} on {below}"
