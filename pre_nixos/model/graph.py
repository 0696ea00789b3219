"""The graph of layers: immutable, acyclic, every layer with an id."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pre_nixos.model.layer import Layer, without_passing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

L = TypeVar("L", bound=Layer)


class DeviceGraph:
    """Layers by id, each with what it stands on; what is below comes before what is above.

    Made by `identity.assemble`, which gives the ids, or by changing another graph; never changed itself.
    """

    __slots__ = ("_above", "_layers", "_on", "_roots")

    def __init__(self, layers: Mapping[str, Layer] = {}, on: Mapping[str, tuple[str, ...]] = {}) -> None:
        self._layers = dict(layers)
        self._on = {each: on.get(each, ()) for each in self._layers}
        self._above: dict[str, list[str]] | None = None
        self._roots: dict[str, frozenset[str]] | None = None

    def __getitem__(self, id: str) -> Layer:  # noqa: A002 - it is the layer's id, and nothing else would be clearer
        return self._layers[id]

    def __contains__(self, id: object) -> bool:  # noqa: A002 - as above
        return id in self._layers

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DeviceGraph):
            return NotImplemented
        return self._layers == other._layers and self._on == other._on

    def __hash__(self) -> int:
        return hash(tuple(self._layers))

    def __repr__(self) -> str:
        return f"DeviceGraph({', '.join(self._layers)})"

    def layers(self) -> Iterable[Layer]:
        """Every layer, below before above."""
        return self._layers.values()

    def get(self, id: str) -> Layer | None:  # noqa: A002 - as above
        """The layer with this id, if there is one."""
        return self._layers.get(id)

    def on(self, id: str) -> tuple[str, ...]:  # noqa: A002 - as above
        """Give the ids of what a layer stands on, directly."""
        return self._on[id]

    def under(self, layer: Layer) -> Sequence[Layer]:
        """Give what a layer stands on, directly."""
        return [self._layers[each] for each in self._on[layer.id]]

    def standing_on(self, id: str) -> Sequence[str]:  # noqa: A002 - as above
        """Give the ids of what stands on a layer, directly."""
        if self._above is None:
            above: dict[str, list[str]] = {}
            for each, supports in self._on.items():
                for support in supports:
                    above.setdefault(support, []).append(each)
            self._above = above
        return self._above.get(id, ())

    def parts(self, layer: Layer) -> Sequence[Layer]:
        """Give the layers that a container's hooks make as one set with it."""
        standing = self.standing_on(layer.id)
        if not standing:
            return ()
        kind = layer.kind
        return [each for each in map(self._layers.__getitem__, standing) if each.part_of == kind]

    def parts_of_kind(self, layer: Layer, kind: type[L]) -> Sequence[L]:
        """Give the parts of a container that are of one kind."""
        return [each for each in self.parts(layer) if isinstance(each, kind)]

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
        if self._roots is None:
            roots: dict[str, frozenset[str]] = {}
            for each, layer in self._layers.items():
                supports = self._on[each]
                if not supports and layer.mark() is not None:
                    roots[each] = frozenset({each})
                elif len(supports) == 1:
                    roots[each] = roots[supports[0]]
                else:
                    roots[each] = frozenset[str]().union(*(roots[support] for support in supports))
            self._roots = roots
        return self._roots[id]

    def of(self, kind: type[L]) -> Sequence[L]:
        """Give every layer of a kind."""
        return [each for each in self._layers.values() if isinstance(each, kind)]

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
        if len(chosen) == len(self._layers) and chosen == self._layers.keys():
            return self
        layers = {each: layer for each, layer in self._layers.items() if each in chosen}
        return DeviceGraph(layers, {each: self._on[each] for each in layers})

    def without(self, ids: Iterable[str]) -> DeviceGraph:
        """Give the graph without these layers and without anything that stands on them."""
        gone: set[str] = set(ids)
        for each, supports in self._on.items():
            if any(support in gone for support in supports):
                gone.add(each)
        return self.only(each for each in self._layers if each not in gone)

    def plus(self, additions: Iterable[tuple[Layer, tuple[str, ...]]]) -> DeviceGraph:
        """Give the graph with these layers added or put in the place of those with their ids."""
        layers, on = dict(self._layers), dict(self._on)
        for layer, supports in additions:
            missing = [support for support in supports if support not in layers]
            if missing:
                raise ValueError(f"{layer.id} stands on {missing[0]}, which is not there")
            layers[layer.id], on[layer.id] = layer, supports
        return DeviceGraph(layers, on)

    def with_each(self, change: Callable[[Layer], Layer]) -> DeviceGraph:
        """Give the graph with every layer changed, in nothing that its id is made of."""
        return DeviceGraph({each: change(layer) for each, layer in self._layers.items()}, self._on)

    def wishes(self) -> Mapping[str, tuple[dict[str, object], tuple[str, ...]]]:
        """Give what identifies each layer, and what it stands on: for comparing what is with what should be."""
        return {each: (without_passing(layer), self._on[each]) for each, layer in self._layers.items()}

    def _walk(self, start: str, step: Callable[[str], Sequence[str]]) -> Sequence[str]:
        found: dict[str, None] = {}
        queue = [start]
        for each in queue:
            for following in step(each):
                if following not in found:
                    found[following] = None
                    queue.append(following)
        return list(found)
