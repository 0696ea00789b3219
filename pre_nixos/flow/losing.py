"""Content of what is wanted that would be lost because what it is in cannot be changed in place."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pre_nixos.model.action import Objection
from pre_nixos.model.difference import Fate
from pre_nixos.model.layer import Disk, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pre_nixos.model.difference import Difference
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.layer import Layer
    from pre_nixos.model.machine import Machine

LABEL = "label"
"""What tells people which of several it is; something of another label is something else."""


def about_wanted_content(machine: Machine, wanted: Wanted, found: Difference) -> Iterator[Objection]:
    """Object to losing the content of something wanted that is there, unless that was allowed by name.

    What an earlier installation left goes by consent: nobody wants it. But who changes what is said of one thing does
    not mean to lose it, nor what else is on it.
    """
    losses = _Losses(machine, wanted, found)
    grouped: dict[str, list[Layer]] = {}
    for layer in machine.graph.layers():
        if losses.counts(layer):
            grouped.setdefault(losses.bottom(layer.id), []).append(layer)
    allowed = frozenset(wanted.replaces)
    for id_, lost in grouped.items():
        layer = machine.graph[id_]
        if allowed.isdisjoint((id_, *machine.graph.below(id_))):
            more = ", ".join(dict.fromkeys(each.describe() or each.title for each in lost if each is not layer))
            cost = f"with it would be lost: {more}" if more else "it would be lost"
            end = "be made anew" if found.fate(id_) is Fate.REPLACED else "go"
            yield Objection(
                subject=id_,
                text=f"{_where(layer, machine)} would have to {end}, because {found.verdicts[id_].why}; {cost}.",
                remedy=f"Leave it as it is, or say that it may be replaced (--replace): {id_}",
            )


class _Losses:
    """What goes by a plan, and whether it belongs to something that is wanted."""

    def __init__(self, machine: Machine, wanted: Wanted, found: Difference) -> None:
        self._there = machine.graph
        self._unfinished = frozenset(machine.unfinished)
        self._wanted = wanted.graph
        self._found = found
        self._same: dict[str, bool] = {}

    def counts(self, layer: Layer) -> bool:
        """Whether it holds content that goes, of something wanted."""
        if layer.ephemeral or not self._goes(layer.id) or layer.id in self._unfinished:
            return False
        # What is in something closed was never looked at.
        holds = layer.precious if layer.mark() is None else layer.state is State.INACTIVE
        if not holds:
            return False
        return self._is_same(layer.id) or self._is_in_its_place(self.bottom(layer.id))

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
            there, wish = self._there[id_], self._wanted.get(id_)
            self._same[id_] = (
                wish is not None
                and type(wish) is type(there)
                and all(each.field != LABEL for each in wish.mismatches(there))
                and all(self._is_same(each) for each in self._there.on(id_) if each in self._wanted)
            )
        return self._same[id_]

    def _is_in_its_place(self, id_: str) -> bool:
        """Whether it is on something wanted that stays, a disk aside, and has to make room for something else there."""
        supports = self._there.on(id_)
        return bool(supports) and all(
            not isinstance(self._there[each], Disk)
            and self._there[each].mark() is not None
            and each in self._wanted
            and not self._goes(each)
            and (self._is_same(each) or not self._ours.isdisjoint(self._there.disks(each)))
            for each in supports
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


def _where(layer: Layer, machine: Machine) -> str:
    """Name what has no name by what it is, and on what."""
    if layer.segment != layer.kind:
        return machine.graph.called(layer)
    below = ", ".join(machine.graph.called(each) for each in machine.graph.devices(layer))
    return f"{layer.describe() or layer.title} on {below}"
