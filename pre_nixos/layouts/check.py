"""Making what a layout says into what is wanted, with everything that speaks against it.

Without a machine it is tried out on blank disks that are large enough, so that what the owners of the kinds object to
is known before there is one. On a machine only what cannot be meant is wrong: what is there already need not be made,
and what is objected to depends on that.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

import msgspec

from pre_nixos.flow.schedule import schedule
from pre_nixos.hooks.registry import PluginError
from pre_nixos.model.device import BlockDevice
from pre_nixos.model.draft import Draft, Handle, InvalidLayout, Wanted
from pre_nixos.model.graph import DeviceGraph
from pre_nixos.model.identity import TWIN, disk_id
from pre_nixos.model.layer import Disk, State, holding
from pre_nixos.model.machine import Machine
from pre_nixos.model.script import Script
from pre_nixos.model.size import Exact, Rest, Share, human

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pre_nixos.hooks.registry import Registry
    from pre_nixos.layouts.read import Reading
    from pre_nixos.layouts.select import Choice
    from pre_nixos.model.layer import Layer

SIZES = tuple(1 << exponent for exponent in (40, 43, 46, 50))
"""Of the disks that are made up, in bytes: nobody knows how large the real ones will be."""
SMALLER = (1 << 40, 1 << 36, 1 << 32)
"""Bytes in the place of sizes that do not fit, tried in turn, so that all else can be looked at."""


class Trial:
    """A layout on certain disks: one for each choice and number of it, blank or treated as if."""

    def __init__(
        self, reading: Reading, disks: Mapping[tuple[int, int], Disk], registry: Registry, *, objecting: bool
    ) -> None:
        """Take the disks; with `objecting`, what plugins would object to is wrong too."""
        self._objecting = objecting
        self._reading = reading
        self._disks = disks
        self._registry = registry
        self.problems: list[str] = []
        self.sums: list[str] = []
        """What does not fit on these disks."""
        self._shrunk: dict[int, int] = {}
        """Bytes that the parts of those that they did not fit into have at most, by position: for a further look."""
        self.wanted: Wanted | None = None

    def run(self) -> None:
        """Find everything that is wrong with it."""
        order = self._order()
        if order is None:
            return
        out = set(self._shared_names(order))
        wanted: Wanted | None = None
        draft, handles = Draft(_blank(()), take=()), dict[int, Handle]()
        while wanted is None:
            draft = Draft(_blank(self._disks.values()), take=_once(self._disks.values()), named=self._named())
            handles = self._written(draft, [each for each in order if each not in out])
            try:
                wanted = draft.wanted()
            except InvalidLayout as error:
                unfit = self._unfit(error.problems, draft, handles)
                if not unfit:
                    return
                # With sizes that fit, or else without it, the rest can be looked at, too.
                out |= unfit - self._shrinking(unfit)
        if self._objecting:
            self.problems += self._objections(wanted, draft, handles)
        if not self.sums:
            self.wanted = msgspec.structs.replace(wanted, scripts=tuple(self._scripts(draft, handles)))

    def _named(self) -> Sequence[Disk]:
        named = {position for position, choice in enumerate(self._reading.choices) if choice.named}
        return [disk for (position, _), disk in self._disks.items() if position in named]

    def _order(self) -> Sequence[int] | None:
        """Order the entries so that what is below comes first; None if they stand on each other in a circle."""
        entries = self._reading.entries
        below = {position: self._below(position) for position in range(len(entries))}
        try:
            return list(TopologicalSorter(below).static_order())
        except CycleError as error:
            circle: list[int] = error.args[1]
            paths = dict.fromkeys(entries[each].path for each in circle)
            self.problems.append(f"{' and '.join(paths)} stand on each other in a circle")
            return None

    def _below(self, position: int) -> Sequence[int]:
        entry = self._reading.entries[position]
        if entry.having:
            layers = ((at, each.layer) for at, each in enumerate(self._reading.entries))
            found = [at for at, layer in layers if layer is not None and entry.having in layer.occupies()][:1]
            return [below for at in found for below in self._below(at)] if entry.below else found
        if entry.members is None:
            return entry.on
        joined = self._reading.joins.get(entry.members, ())
        return list(dict.fromkeys(each.position for member in joined for each in member))

    def _shared_names(self, order: Sequence[int]) -> frozenset[int]:
        """Note what two layers would both have and only one can, and give the later ones."""
        taken: dict[str, int] = {}
        late: set[int] = set()
        entries = self._reading.entries
        for position in sorted(order):
            layer = entries[position].layer
            for name in sorted(layer.occupies()) if layer is not None else ():
                other = taken.setdefault(name, position)
                if other != position:
                    late.add(position)
                    said = f"{entries[other].path} {holding(name)} already, and only one can"
                    self.problems.append(f"{entries[position].path}: {said}")
        return frozenset(late)

    def _written(self, draft: Draft, order: Sequence[int]) -> dict[int, Handle]:
        """Write into the draft whatever makes sense and stands on what does."""
        supports: dict[int, tuple[Handle | Disk, ...]] = {}
        handles: dict[int, Handle] = {}
        for position in order:
            entry = self._reading.entries[position]
            if entry.choice is not None:
                supports[position] = (self._disks[entry.choice, entry.nth],)
                continue
            below = self._below(position)
            if any(each not in supports for each in below) or (entry.having and not below):
                continue
            on = tuple(dict.fromkeys(each for position in below for each in supports[position]))
            if entry.members is not None or entry.having:
                supports[position] = on
            elif entry.layer is not None:
                most = min((self._shrunk[each] for each in entry.on if each in self._shrunk), default=0)
                handles[position] = draft.add(_smaller(entry.layer, most) if most else entry.layer, on=on)
                supports[position] = (handles[position],)
        return handles

    def _unfit(self, problems: Sequence[str], draft: Draft, handles: Mapping[int, Handle]) -> frozenset[int]:
        """Note what does not fit, with its path in the place of its id, and give the positions it is about.

        Of several that would share an id these are the later ones.
        """
        ids = draft.ids()
        at: dict[str, list[int]] = {}
        for position, handle in sorted(handles.items()):
            for id_ in {ids[handle.position], _unmarked(ids[handle.position])}:
                at.setdefault(id_, []).append(position)
        found: set[int] = set()
        for problem in problems:
            id_ = max((each for each in at if problem.startswith(f"{each}: ")), key=len, default="")
            if id_:
                found.update(at[id_][1:] or at[id_])
                paths = dict.fromkeys(self._reading.entries[each].path for each in at[id_])
                problem = f"{' and '.join(paths)}{problem[len(id_) :]}"  # noqa: PLW2901 - the same, said otherwise
            if not self._shrunk:  # else it is about sizes that nobody asked for
                self.sums.append(problem)
        return frozenset(found)

    def _shrinking(self, unfit: frozenset[int]) -> set[int]:
        """Give those of which smaller parts may fit, and note how large these are to be at most."""
        sized = [each for each in self._reading.entries if each.layer is not None and _sized(each.layer)]
        found: set[int] = set()
        for position in unfit & {below for each in sized for below in each.on} if self._objecting else ():
            further = [each for each in SMALLER if each < self._shrunk.get(position, SMALLER[0] + 1)]
            if further:
                self._shrunk[position] = further[0]
                found.add(position)
        return found

    def _scripts(self, draft: Draft, handles: Mapping[int, Handle]) -> Iterator[Script]:
        ids = draft.ids()
        for each in self._reading.scripts:
            if each.position in handles:
                yield Script(layer=ids[handles[each.position].position], moment=each.moment, text=each.text)

    def _objections(self, wanted: Wanted, draft: Draft, handles: Mapping[int, Handle]) -> Iterator[str]:
        ids = draft.ids()
        paths = {ids[handle.position]: self._reading.entries[at].path for at, handle in handles.items()}
        try:
            plan = schedule(_blank(self._disks.values()), wanted, registry=self._registry)
        except PluginError as error:
            yield str(error)
            return
        for objection in plan.objections:
            if objection.subject in paths:
                yield f"{paths[objection.subject]}: {objection}"


def try_out(reading: Reading, registry: Registry) -> Sequence[str]:
    """Give everything that is wrong with a layout whatever the machine."""
    first: Sequence[str] = ()
    for size in SIZES:
        trial = Trial(reading, dict(_made_up(reading.choices, size)), registry, objecting=True)
        trial.run()
        first = first or trial.sums
        if not trial.sums or size == SIZES[-1]:
            sums = [each if each in first else f"{each} (on disks of {human(size)})" for each in trial.sums]
            return _said(reading.problems, trial.problems, sums)
    return reading.problems


def wanted_on(reading: Reading, machine: Machine, registry: Registry) -> Wanted:
    """Give what a layout wants on a machine. Raises InvalidLayout with everything that is wrong."""
    from pre_nixos.layouts.select import choose

    chosen = choose(reading.choices, machine)
    if not (chosen.problems or reading.problems):
        disks = {(at, nth): disk for at, several in enumerate(chosen.disks) for nth, disk in enumerate(several)}
        trial = Trial(reading, disks, registry, objecting=False)
        trial.run()
        if trial.wanted is not None and not trial.problems:
            return trial.wanted
        chosen = msgspec.structs.replace(chosen, problems=(*trial.problems, *trial.sums))
    # Whatever else is wrong is to be known too, and most of it does not depend on the disks.
    raise InvalidLayout(_said(try_out(reading, registry), chosen.problems))


def _said(*groups: Sequence[str]) -> Sequence[str]:
    return list(dict.fromkeys(problem for group in groups for problem in group))


def _made_up(choices: Sequence[Choice], size: int) -> Iterator[tuple[tuple[int, int], Disk]]:
    for position, choice in enumerate(choices):
        for nth in range(choice.count):
            same = [each.name for each in choices[:position]].count(choice.name)
            serial = "-".join([choice.name, *(str(each) for each in (nth, same) if each)])
            device = BlockDevice(
                name=f"layout{position}n{nth}", number=f"{position}:{nth}", size=size, transport="nvme", serial=serial
            )
            id_ = disk_id(device)
            yield (position, nth), Disk(id=id_, serial=serial, size=size, device=device, state=State.ACTIVE)


def _sized(layer: Layer) -> bool:
    return layer.part_of is not None and isinstance(getattr(layer, "size", None), Exact | Share | Rest)


def _smaller(layer: Layer, most: int) -> Layer:
    size = getattr(layer, "size", None)
    if not _sized(layer) or (isinstance(size, Exact) and size.bytes <= most):
        return layer
    return msgspec.structs.replace(layer, size=Exact(bytes=most))


def _unmarked(id_: str) -> str:
    """Give an id without what tells it from others that are called the same."""
    plain, _, mark = id_.partition(TWIN)
    return id_ if "/" in mark else plain


def _blank(disks: Iterable[Disk]) -> Machine:
    """Give a machine with these disks and nothing on them."""
    there = {disk.id: disk for disk in disks}
    return Machine(graph=DeviceGraph(there), firmware="uefi")


def _once(disks: Iterable[Disk]) -> Sequence[Disk]:
    return list({disk.id: disk for disk in disks}.values())
