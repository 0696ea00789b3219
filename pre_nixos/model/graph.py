"""The graph of layers: immutable, acyclic, every layer with an id."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from pre_nixos.model.layer import Layer, without_passing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

L = TypeVar("L", bound=Layer)

_NOBODYS = frozenset[str]()


class _Place(msgspec.Struct, gc=False):
    """All that a graph knows of one layer, in one piece: with very many layers, every table to look into is felt."""

    layer: Layer
    on: tuple[str, ...]
    above: list[str] | None = None
    """What stands on it, once the graph was asked for that of any layer."""
    disks: frozenset[str] = _NOBODYS
    """What it stands on in the end, once the graph was asked for that of any layer."""
    depth: int = 0
    """How many layers are between it and what stands on nothing, itself included; likewise."""


def _id_of(place: _Place) -> str:
    return place.layer.id


class DeviceGraph:
    """Layers by id, each with what it stands on; what is below comes before what is above.

    Made by `identity.assemble`, which gives the ids, or by changing another graph; never changed itself.
    """

    __slots__ = ("_has_above", "_has_disks", "_places")

    def __init__(self, layers: Mapping[str, Layer] = {}, on: Mapping[str, tuple[str, ...]] = {}) -> None:
        self._places = {each: _Place(layer, on.get(each, ())) for each, layer in layers.items()}
        self._has_above = self._has_disks = False

    @classmethod
    def _of(cls, places: dict[str, _Place], *, has_above: bool = False, has_disks: bool = False) -> DeviceGraph:
        graph = cls()
        graph._places, graph._has_above, graph._has_disks = places, has_above, has_disks
        return graph

    def __getitem__(self, id: str) -> Layer:  # noqa: A002 - it is the layer's id, and nothing else would be clearer
        return self._places[id].layer

    def __contains__(self, id: object) -> bool:  # noqa: A002 - as above
        return id in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DeviceGraph):
            return NotImplemented
        its = other._places
        return its.keys() == self._places.keys() and all(
            each.layer == its[id_].layer and each.on == its[id_].on for id_, each in self._places.items()
        )

    def __hash__(self) -> int:
        return hash(tuple(self._places))

    def __repr__(self) -> str:
        return f"DeviceGraph({', '.join(self._places)})"

    def layers(self) -> Iterable[Layer]:
        """Every layer, below before above."""
        return [each.layer for each in self._places.values()]

    def entries(self) -> Iterator[tuple[Layer, tuple[str, ...], frozenset[str]]]:
        """Every layer with what it stands on, as `on` and `disks` have it of one; below before above."""
        self._find_disks()
        return ((each.layer, each.on, each.disks) for each in self._places.values())

    def by_id(self) -> Iterator[tuple[str, Layer, tuple[str, ...]]]:
        """Every layer with its id and what it stands on, in the order of ids."""
        return ((each.layer.id, each.layer, each.on) for each in sorted(self._places.values(), key=_id_of))

    def get(self, id: str) -> Layer | None:  # noqa: A002 - as above
        """The layer with this id, if there is one."""
        place = self._places.get(id)
        return place.layer if place is not None else None

    def on(self, id: str) -> tuple[str, ...]:  # noqa: A002 - as above
        """Give the ids of what a layer stands on, directly."""
        return self._places[id].on

    def under(self, layer: Layer) -> Sequence[Layer]:
        """Give what a layer stands on, directly."""
        places = self._places
        return [places[each].layer for each in places[layer.id].on]

    def standing_on(self, id: str) -> Sequence[str]:  # noqa: A002 - as above
        """Give the ids of what stands on a layer, directly."""
        self._find_above()
        place = self._places.get(id)
        return (place.above or ()) if place is not None else ()

    def crowded(self) -> Sequence[Layer]:
        """Give the layers that several others stand on, directly."""
        self._find_above()
        return [each.layer for each in self._places.values() if each.above is not None and len(each.above) > 1]

    def _find_above(self) -> None:
        if self._has_above:
            return
        for each, place in self._places.items():
            for support in place.on:
                below = self._places[support]
                if below.above is None:
                    below.above = [each]
                else:
                    below.above.append(each)
        self._has_above = True

    def parts(self, layer: Layer) -> Sequence[Layer]:
        """Give the layers that a container's hooks make as one set with it."""
        standing = self.standing_on(layer.id)
        if not standing:
            return ()
        kind = layer.kind
        places = self._places
        return [each for each in (places[id_].layer for id_ in standing) if each.part_of == kind]

    def parts_of_kind(self, layer: Layer, kind: type[L]) -> Sequence[L]:
        """Give the parts of a container that are of one kind."""
        return [each for each in self.parts(layer) if isinstance(each, kind)]

    def container(self, layer: Layer) -> Layer | None:
        """Give what a layer is a part of, whose hooks make it; None if it is no part, or alone."""
        if layer.part_of is None:
            return None
        return next((each for each in self.under(layer) if each.kind == layer.part_of), None)

    def above(self, id: str) -> Sequence[str]:  # noqa: A002 - as above
        """Give the ids of everything that stands on a layer, nearest first."""
        return self._walk(id, self.standing_on)

    def below(self, id: str) -> Sequence[str]:  # noqa: A002 - as above
        """Give the ids of everything a layer stands on, nearest first."""
        return self._walk(id, self.on)

    def disks(self, id: str) -> frozenset[str]:  # noqa: A002 - as above
        """Give the ids of the disks a layer stands on; a disk stands on itself.

        What offers a device and stands on nothing known, such as a loop device of a file on a server, is a place of
        its own, and nobody's disk.
        """
        self._find_disks()
        return self._places[id].disks

    def depth(self, id: str) -> int:  # noqa: A002 - as above
        """Give how far a layer is above what stands on nothing, by the longest way."""
        self._find_disks()
        return self._places[id].depth

    def _find_disks(self) -> None:
        if self._has_disks:
            return
        for each, place in self._places.items():
            below = [self._places[support] for support in place.on]
            if below:
                place.depth = 1 + max(support.depth for support in below)
                place.disks = below[0].disks
                if len(below) > 1:
                    place.disks = place.disks.union(*(support.disks for support in below[1:]))
            elif place.layer.mark() is not None:
                place.disks = frozenset({each})
        self._has_disks = True

    def of(self, kind: type[L]) -> Sequence[L]:
        """Give every layer of a kind."""
        return [each for each in self.layers() if isinstance(each, kind)]

    def space(self, layer: Layer) -> int:
        """Give the bytes a layer offers: those of its device if it is there, else a lower bound. Zero if none."""
        if layer.device is not None:
            return layer.device.size
        return layer.usable([self.space(each) for each in self.under(layer)]) or 0

    def devices(self, layer: Layer) -> Sequence[Layer]:
        """Give the nearest layers below that offer a device: what a layer's tools are pointed at.

        Where some of what it stands on directly do, the others are none of its own: the seed of a btrfs is not touched.
        """
        below = self.under(layer)
        nearest = [each for each in below if each.mark() is not None]
        if nearest:
            return nearest
        found = {each.id: each for support in below for each in self.devices(support)}
        return list(found.values())

    def found_at(self, layer: Layer) -> str:
        """Give the path by which a layer, or else the very device it is on, is found at every boot; empty if none."""
        below = self.under(layer)
        if layer.found_at() or layer.mark() is not None or len(below) != 1:
            return layer.found_at()
        return self.found_at(below[0])

    def called(self, layer: Layer) -> str:
        """Name a layer so that a person finds it: a part with its container, or with what a nameless one stands on."""
        if layer.part_of is None:
            return layer.title
        for container in self.under(layer):
            if container.segment != container.kind:
                return f"{layer.title} of {container.title}"
            below = self.under(container)
            return f"{layer.title} of {self.called(below[0])}" if len(below) == 1 else layer.title
        return layer.title

    def only(self, ids: Iterable[str]) -> DeviceGraph:
        """Give the graph of these layers alone; what they stand on must be among them."""
        chosen = set(ids)
        if len(chosen) == len(self._places) and chosen == self._places.keys():
            return self
        return self._of({each: _Place(its.layer, its.on) for each, its in self._places.items() if each in chosen})

    def without(self, ids: Iterable[str]) -> DeviceGraph:
        """Give the graph without these layers and without anything that stands on them."""
        gone: set[str] = set(ids)
        for each, place in self._places.items():
            if any(support in gone for support in place.on):
                gone.add(each)
        return self.only(each for each in self._places if each not in gone)

    def plus(self, additions: Iterable[tuple[Layer, tuple[str, ...]]]) -> DeviceGraph:
        """Give the graph with these layers added or put in the place of those with their ids."""
        places = {each: _Place(its.layer, its.on) for each, its in self._places.items()}
        for layer, supports in additions:
            missing = [support for support in supports if support not in places]
            if missing:
                raise ValueError(f"{layer.id} stands on {missing[0]}, which is not there")
            places[layer.id] = _Place(layer, supports)
        return self._of(places)

    def renamed(self, ids: Mapping[str, str]) -> DeviceGraph:
        """Give the graph with other ids for some of its layers."""
        places: dict[str, _Place] = {}
        for each, its in self._places.items():
            layer = msgspec.structs.replace(its.layer, id=ids[each]) if each in ids else its.layer
            on = its.on if ids.keys().isdisjoint(its.on) else tuple(sorted(ids.get(below, below) for below in its.on))
            places[layer.id] = _Place(layer, on)
        return self._of(places)

    def with_each(self, change: Callable[[Layer], Layer]) -> DeviceGraph:
        """Give the graph with every layer changed, in nothing that makes its id, nor in whether it offers a device."""
        shared = self._has_above and self._has_disks  # then nothing will be written into a place any more
        places: dict[str, _Place] = {}
        for each, its in self._places.items():
            layer = change(its.layer)
            same = shared and layer is its.layer
            places[each] = its if same else _Place(layer, its.on, its.above, its.disks, its.depth)
        return self._of(places, has_above=self._has_above, has_disks=self._has_disks)

    def wishes(self) -> Mapping[str, tuple[dict[str, object], tuple[str, ...]]]:
        """Give what identifies each layer, and what it stands on: for comparing what is with what should be."""
        return {each: (without_passing(its.layer), its.on) for each, its in self._places.items()}

    def _walk(self, start: str, step: Callable[[str], Sequence[str]]) -> Sequence[str]:
        found: dict[str, None] = {}
        queue = [start]
        for each in queue:
            for following in step(each):
                if following not in found:
                    found[following] = None
                    queue.append(following)
        return list(found)
