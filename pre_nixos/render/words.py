"""What a tree, a diagram and a plan call a layer, and what they say about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.model.layer import Disk, Exact, Health, Layer, State, Unrecognised
from pre_nixos.model.size import human
from pre_nixos.render.text import Line, Span, Style, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pre_nixos.model.graph import DeviceGraph

_DIGITS = re.compile(r"(\d+)")


def kernel_name(layer: Layer, names: Mapping[str, str] = {}) -> str:
    """Give what the kernel calls its device now; `names` knows it for layers that were made anonymous."""
    device = layer.device
    return (device.name if device is not None else "") or names.get(layer.id, "")


def kernel_names(graph: DeviceGraph) -> Mapping[str, str]:
    """Give what the kernel calls the devices of a machine's layers now, by id."""
    return {layer.id: layer.device.name for layer in graph.layers() if layer.device is not None and layer.device.name}


def name_of(layer: Layer, names: Mapping[str, str] = {}) -> str:
    """Name a layer briefly, in words."""
    if isinstance(layer, Disk):
        return printable(f"disk {kernel_name(layer, names)}" if kernel_name(layer, names) else layer.title)
    if isinstance(layer, Unrecognised):
        return printable(layer.describe())
    if _is_nameless(layer):
        said = _describe(layer, "")
        # A description that begins with a word stands for itself (`ext4 'home'`); a label does not.
        return printable(said) if said[:1].isalpha() else printable(f"{layer.title} {said}".rstrip())
    return printable(layer.title)


def full_name(layer: Layer, names: Mapping[str, str] = {}) -> str:
    """Name a layer so that it can be found on the machine: a disk by model, serial and what the kernel calls it."""
    if not isinstance(layer, Disk):
        own_words = isinstance(layer, Unrecognised) or _is_nameless(layer)
        said = "" if own_words else printable(_describe(layer, name_of(layer)))
        return ", ".join(filter(None, (name_of(layer), said)))
    name = kernel_name(layer, names)
    size = size_of(layer)
    return printable(layer.title) + (f", {size}" if size else "") + (f" ({name})" if name else "")


def known_as(id_: str, *graphs: DeviceGraph) -> str:
    """Name the layer with this id, as the first of these graphs has it, so that it is told from all others."""
    for graph in graphs:
        layer = graph.get(id_)
        if layer is None:
            continue
        if layer.part_of is not None and all(_has_name(each) for each in graph.under(layer)):
            return printable(" of ".join(each.title for each in (layer, *graph.under(layer))))
        if _has_name(layer):
            return printable(graph.called(layer))
        # It has no name of its own, so it takes one from what it stands on.
        below = ", ".join(known_as(each.id, graph) for each in graph.devices(layer))
        return name_of(layer) + (f" on {below}" if below else "")
    return printable(id_)


def _has_name(layer: Layer) -> bool:
    return layer.segment != layer.kind


def size_of(layer: Layer, graph: DeviceGraph | None = None) -> str:
    """Say how much it offers; empty if that is nothing, or not known."""
    if layer.device is not None:
        return human(layer.device.size)
    asked = getattr(layer, "size", None)
    if isinstance(asked, int):
        return human(asked) if asked else ""
    if isinstance(asked, Exact):
        return human(asked.bytes)
    if asked is not None:
        return printable(str(asked))
    offered = graph.space(layer) if graph is not None else 0
    return human(offered) if offered else ""


def details(layer: Layer, names: Mapping[str, str] = {}, size: str = "", below: str = "") -> Iterator[Line]:
    """Say what else there is to know of a layer, the most telling first.

    `size` is what was said of it already; `below` is what the kernel calls the disk it is a part of, from which follows
    what it calls a partition.
    """
    if isinstance(layer, Disk):
        yield from _disk_details(layer, names)
    else:
        said = _describe(layer, f"{layer.title} {size}")
        if said and not (_is_nameless(layer) or isinstance(layer, Unrecognised) or _is_use(layer)):
            yield (Span(printable(said)),)
        name = kernel_name(layer, names)
        if name and not name.startswith("dm-") and not (below and name.startswith(below)):
            yield (Span(name, Style.FAINT),)
    yield from _condition(layer)


def order(layer: Layer, names: Mapping[str, str] = {}) -> tuple[object, ...]:
    """Give a key that sorts siblings as people count them: sda9 before sda10."""
    known = kernel_name(layer, names) if isinstance(layer, Disk) else layer.segment
    return (not known, [(int(each) if each.isdecimal() else -1, each) for each in _DIGITS.split(known)], layer.id)


def _is_nameless(layer: Layer) -> bool:
    """Whether its title says no more than of which kind it is; then its description is what people know it by."""
    return layer.title == layer.kind.rpartition(".")[2]


def _is_use(layer: Layer) -> bool:
    """Whether it is merely something being used, of which people know all by its name."""
    return layer.ephemeral and layer.device is None


def _describe(layer: Layer, already: str) -> str:
    """Take a layer's own words, without the size and the label that were said already."""
    said = layer.describe()
    for known in (_known for _known in (size_of(layer), repr(getattr(layer, "label", None) or "")) if _known):
        if known in already:
            said = said.replace(known, "")
    if layer.title in already:
        said = said.removeprefix(layer.title)
    return " ".join(said.replace(" ,", ",").split()).strip(", ")


def _disk_details(disk: Disk, names: Mapping[str, str]) -> Iterator[Line]:
    if kernel_name(disk, names):
        known = " ".join(filter(None, (disk.model, disk.serial or disk.wwn)))
        yield (Span(printable(known or "without model or serial")),)
    device = disk.device
    if device is None:
        return
    media = {True: "HDD", False: "SSD"}.get(device.rotational, "") if device.rotational is not None else ""
    about = " ".join(filter(None, (device.transport, media)))
    if about:
        yield (Span(printable(about), Style.FAINT),)
    if device.read_only:
        yield (Span("read-only", Style.CAUTION),)
    if device.removable:
        yield (Span("removable", Style.CAUTION),)


_HEALTH: Mapping[Health, Style] = {
    Health.SYNCING: Style.CAUTION,
    Health.DEGRADED: Style.BAD,
    Health.FAILED: Style.BAD,
}


def _condition(layer: Layer) -> Iterator[Line]:
    style = _HEALTH.get(layer.health)
    remark = printable(layer.remark)
    if style is not None:
        yield (Span(f"{layer.health}: {remark}" if remark else str(layer.health), style),)
    elif remark:
        yield (Span(remark, Style.CAUTION),)
    if layer.state is State.INACTIVE and not isinstance(layer, Unrecognised):
        offers = layer.mark() is not None
        yield (Span("inactive, contents not examined" if offers else "inactive", Style.CAUTION),)


def sorted_layers(layers: Sequence[Layer], names: Mapping[str, str] = {}) -> Sequence[Layer]:
    """Sort siblings as people count them."""
    return sorted(layers, key=lambda layer: order(layer, names))
