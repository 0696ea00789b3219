"""Ids, made here and nowhere else; and what probing found, made into a graph."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from sys import intern
from typing import TYPE_CHECKING

import msgspec

from pre_nixos.model.data import Data
from pre_nixos.model.graph import DeviceGraph
from pre_nixos.model.layer import Disk, Layer, State, Unrecognised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pre_nixos.model.device import BlockDevice

TWIN = "#"
"""Sets off what was added to the ids of layers that would have shared one."""


class Ref(Data):
    """Something another plugin may have found: a device by its number, or a layer by kind, name and UUID.

    With `content`, the number leads further: to what is on that device and accounts for that signature (or else to the
    only thing on it), and if there is a `name`, to the part of it that has this name. Where there is nothing of the
    kind it means the device after all.
    """

    number: str = ""
    kind: str = ""
    name: str = ""
    uuid: str = ""
    content: str = ""
    """libblkid's name of a signature, such as `ext4` or `swap`."""


class Found:
    """A layer that probing found, and what it stands on."""

    __slots__ = ("fallback", "layer", "on")

    def __init__(self, layer: Layer, on: Iterable[Ref | str] = (), *, fallback: bool = False) -> None:
        """Take the layer and what it stands on, a bare string being a device number.

        With `fallback` it counts only if nobody else found the device it offers.
        """
        self.layer = layer
        self.on = tuple(Ref(number=each) if isinstance(each, str) else each for each in on)
        self.fallback = fallback

    def __repr__(self) -> str:
        return f"Found({self.layer!r}, on={self.on!r})"


def disk_id(device: BlockDevice) -> str:
    """Tell a disk by what it carries to another machine, then by where it is plugged in; never by the kernel's name."""
    if device.wwn:
        return f"disk:{device.wwn}"
    if device.serial:
        unit = f"-{device.unit}" if device.unit else ""
        model = f"{device.model}-" if device.model else ""
        return f"disk:{_word(model + device.serial + unit)}"
    if device.path:
        return f"disk:path-{device.path}"
    return "disk:unidentified"


def _word(text: str) -> str:
    return _plain("_".join(text.split()))


def shared(id: str) -> bool:  # noqa: A002 - it is an id
    """Whether this id was shared with another layer, so that it says nothing of which is which."""
    return TWIN in id or id == "disk:unidentified"


def plain_id(id_: str, on: Sequence[str]) -> str:
    """Give the id a layer would have if it shared it with nobody, but for what is below it."""
    base = f"{on[0]}/" if len(on) == 1 and id_.startswith(f"{on[0]}/") else ""
    return base + id_.removeprefix(base).partition(TWIN)[0]


def assemble(entries: Sequence[tuple[Layer, tuple[int, ...]]]) -> DeviceGraph:
    """Make a graph of layers, each with the positions of those it stands on, and give every layer its id."""
    order = _order(entries)
    return _build(order, entries, _identified(order, entries))


def translated(graph: DeviceGraph, say: Callable[[Layer], Layer | None]) -> Mapping[str, tuple[Layer, tuple[int, ...]]]:
    """Give what to make a graph of once more, each layer said otherwise, by the ids they have in this one.

    What nothing is said for is left out, with all that stands on it.
    """
    found: dict[str, tuple[Layer, tuple[int, ...]]] = {}
    positions: dict[str, int] = {}
    for layer in graph.layers():
        on = graph.on(layer.id)
        said = say(layer)
        if said is not None and all(each in positions for each in on):
            positions[layer.id] = len(positions)
            found[layer.id] = (said, tuple(positions[each] for each in on))
    return found


def identify(entries: Sequence[tuple[Layer, tuple[int, ...]]]) -> Sequence[str]:
    """Give the ids that layers get when a graph is made of them, by their positions."""
    ids = _identified(_order(entries), entries)
    return [ids[position] for position in range(len(entries))]


def _identified(order: Sequence[int], entries: Sequence[tuple[Layer, tuple[int, ...]]]) -> dict[int, str]:
    ids: dict[int, str] = {}
    rootless: dict[str, list[int]] = {}
    children: dict[int, list[int]] = {}
    for position in order:
        layer, on = entries[position]
        if layer.gathers or len(on) != 1:
            rootless.setdefault(_alone(layer), []).append(position)
        else:
            children.setdefault(on[0], []).append(position)
    for plain, positions in rootless.items():
        ids.update(_tell_apart(plain, positions, entries))
    for position in order:
        siblings: dict[str, list[int]] = {}
        for child in children.get(position, ()):
            siblings.setdefault(f"{ids[position]}/{_plain(entries[child][0].segment)}", []).append(child)
        for plain, positions in siblings.items():
            ids.update(_tell_apart(plain, positions, entries))
    return ids


def _order(entries: Sequence[tuple[Layer, tuple[int, ...]]]) -> Sequence[int]:
    sorter = TopologicalSorter({position: on for position, (_, on) in enumerate(entries)})
    try:
        return list(sorter.static_order())
    except CycleError as error:
        circle: list[int] = error.args[1]
        names = " on ".join(entries[position][0].title for position in circle)
        raise ValueError(f"these layers stand on each other in a circle: {names}") from error


def _alone(layer: Layer) -> str:
    if isinstance(layer, Disk):
        return layer.id or (disk_id(layer.device) if layer.device else "disk:unidentified")
    return f"{layer.kind}:{_plain(layer.alone)}"


def _plain(name: str) -> str:
    """Give a name in which nothing sets off what may be added to it."""
    return name.replace(TWIN, "%23")


def _tell_apart(
    plain: str, positions: Sequence[int], entries: Sequence[tuple[Layer, tuple[int, ...]]]
) -> Mapping[int, str]:
    if len(positions) == 1:
        return {positions[0]: plain}
    marks = [_mark_of_its_own(entries[position][0]) for position in positions]
    if len(set(marks)) < len(marks) or "" in marks:
        marks = [f"{mark}{TWIN}{count}" if mark else str(count) for count, mark in enumerate(marks, 1)]
    return {position: f"{plain}{TWIN}{mark}" for position, mark in zip(positions, marks, strict=True)}


def _mark_of_its_own(layer: Layer) -> str:
    if isinstance(layer, Disk):
        return (layer.device.path if layer.device else None) or ""
    return layer.label_for_uuid()


def _build(
    order: Sequence[int], entries: Sequence[tuple[Layer, tuple[int, ...]]], ids: Mapping[int, str]
) -> DeviceGraph:
    # Sorted by depth, then id: the same things give the same graph, whatever order they were found in.
    depth: dict[int, int] = {}
    for position in order:
        depth[position] = 1 + max((depth[each] for each in entries[position][1]), default=-1)
    # One string for one id in whatever graph: most of comparing two graphs is looking up ids of one in the other.
    ids = {position: intern(id_) for position, id_ in ids.items()}
    placed = sorted(order, key=lambda position: (depth[position], ids[position]))
    return DeviceGraph(
        {ids[position]: msgspec.structs.replace(entries[position][0], id=ids[position]) for position in placed},
        {ids[position]: tuple(sorted(ids[each] for each in entries[position][1])) for position in placed},
    )


MEMBER = "_member"
"""How libblkid ends the types of what is spread over several devices."""


class Unresolved(ValueError):
    """A plugin said that a layer stands on something nobody found."""


def resolve(found: Iterable[Found]) -> DeviceGraph:
    """Make the graph of what all plugins found, whatever order they were asked in."""
    kept = _without_echoes(_without_shadowed_fallbacks(found))
    by_number: dict[str, int] = {}
    by_uuid: dict[tuple[str, str], int] = {}
    by_name: dict[tuple[str, str], int] = {}
    for position, each in enumerate(kept):
        layer = each.layer
        if layer.device is not None:
            by_number[layer.device.number] = position
        by_name.setdefault((layer.kind, layer.segment), position)
        if layer.label_for_uuid():
            by_uuid[layer.kind, layer.label_for_uuid()] = position

    contents = _Contents(kept)

    def position_of(ref: Ref) -> int | None:
        if ref.number:
            inside = contents.position(ref)
            return by_number.get(ref.number) if inside is None else inside
        if ref.uuid:
            return by_uuid.get((ref.kind, ref.uuid))
        return by_name.get((ref.kind, ref.name))

    entries: list[tuple[Layer, tuple[int, ...]]] = []
    for each in kept:
        on = [position_of(ref) for ref in each.on]
        if None in on:
            raise Unresolved(f"{each.layer.title} stands on {each.on[on.index(None)]}, which nobody found")
        entries.append((each.layer, tuple(dict.fromkeys(position for position in on if position is not None))))
    return assemble(entries)


class _Contents:
    """What was found directly on each device, for references to the content of a device."""

    def __init__(self, kept: Sequence[Found]) -> None:
        self._kept = kept
        self._on: dict[str, list[int]] = {}
        for position, each in enumerate(kept):
            if each.layer.ephemeral or each.layer.mark() is not None:
                continue
            for number in {ref.number for ref in each.on if ref.number and not ref.content}:
                self._on.setdefault(number, []).append(position)

    def position(self, ref: Ref) -> int | None:
        """Give the position of what a reference with `content` means, or None if it means the device."""
        there = self._on.get(ref.number, []) if ref.content else []
        fitting = [each for each in there if ref.content in self._kept[each].layer.explains()] or there
        if len(fitting) != 1:
            return None
        part = self._part(fitting[0], ref.name) if ref.name else None
        return fitting[0] if part is None else part

    def _part(self, container: int, name: str) -> int | None:
        whole = self._kept[container].layer
        for position, each in enumerate(self._kept):
            named = each.layer.part_of == whole.kind and each.layer.segment == name
            if named and any(self._means(ref, whole, container) for ref in each.on):
                return position
        return None

    def _means(self, ref: Ref, whole: Layer, container: int) -> bool:
        if ref.number:
            return self.position(ref) == container
        its = whole.label_for_uuid() if ref.uuid else whole.segment
        return ref.kind == whole.kind and (ref.uuid or ref.name) == its


def _without_shadowed_fallbacks(found: Iterable[Found]) -> Sequence[Found]:
    listed = list(found)
    sure = [each.layer for each in listed if not each.fallback]
    claimed = {layer.device.number for layer in sure if layer.device is not None}.union(
        *(each.inner() for each in sure)
    )
    return [
        each
        for each in listed
        if not each.fallback or each.layer.device is None or each.layer.device.number not in claimed
    ]


def _without_echoes(found: Sequence[Found]) -> Sequence[Found]:
    """Leave out what was seen a second time, through a device that is only the inside of a layer.

    A filesystem on a mirror shows on each of the mirror's hidden halves, too.
    """
    offered = {each.layer.device.number for each in found if each.layer.device is not None}
    inside = frozenset[str]().union(*(each.layer.inner() for each in found)) - offered
    return [each for each in found if not any(ref.number in inside for ref in each.on)]


def unclaimed(graph: DeviceGraph, signatures: Mapping[str, Sequence[tuple[str, str]]]) -> Sequence[Found]:
    """Find the signatures (type and UUID, by device number) that no layer standing on that device accounts for."""
    by_number = {layer.device.number: layer for layer in graph.layers() if layer.device is not None}
    places: dict[tuple[str, str, str], list[str]] = {}
    for number, seen in signatures.items():
        owner = by_number.get(number)
        if owner is None:
            continue
        explained = frozenset[str]().union(*(graph[each].explains() for each in graph.standing_on(owner.id)))
        for type_, uuid in seen:
            if type_ not in explained:
                # Members of one thing carry one UUID: whoever removes it from one device takes it from the others.
                alone = "" if uuid and type_.endswith(MEMBER) else number
                places.setdefault((type_, uuid, alone), []).append(number)
    return [
        Found(Unrecognised(what=type_, uuid=uuid, state=State.INACTIVE), on=numbers)
        for (type_, uuid, _), numbers in places.items()
    ]
