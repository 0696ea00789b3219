"""Groups and volumes that LVM would not make, or not so, found before anything is touched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.backends.lvm.extents import FEWEST_STRIPES, devices_of
from pre_nixos.backends.lvm.kinds import Group, Volume
from pre_nixos.plugin import Objection, Plan, hooks, implements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pre_nixos.plugin import DeviceGraph, Layer

MADE = ("linear", "striped", "raid0", "raid1", "raid4", "raid5", "raid6", "raid10", "thin-pool", "thin", "snapshot")
COPIED = ("raid1", "raid10")
LONGEST = 126
"""Characters of a volume's name for device-mapper, dashes doubled."""
SMALLEST_EXTENT = 4096

_NAME = re.compile(r"[A-Za-z0-9+_.][A-Za-z0-9+_.-]*")
_RESERVED = re.compile(
    r"(snapshot|pvmove).*|.*_([ct](data|meta)|corig|mlog|mimage|pmspare|r(image|meta)|v(data|origin)|wcorig|cvol|imeta"
    r"|iorig|cpool).*"
)


@implements(hooks.objections)
def object_to(plan: Plan) -> Iterable[Objection]:
    """Object to what is to be made and cannot be, and to volumes that would lose what they depend on."""
    if plan.is_harmless:
        return
    graph = plan.wanted.graph
    for group in graph.of(Group):
        if _comes(group.id, plan):
            yield from _about_group(group)
        volumes = graph.parts_of_kind(group, Volume)
        names = {each.name for each in volumes}
        for volume in volumes:
            if _comes(volume.id, plan):
                yield from _about_volume(volume, group, len(graph.devices(group)))
            yield from _about_relations(volume, names, plan.before)
            if any(_comes(each, plan) for each in graph.standing_on(volume.id)):
                yield from _about_overflow(plan.before.get(volume.id))


def _comes(id_: str, plan: Plan) -> bool:
    verdict = plan.reasons.get(id_)
    return verdict is not None and verdict.fate.makes


def _about_group(group: Group) -> Iterator[Objection]:
    if not _acceptable(group.name):
        yield Objection(subject=group.id, text=f"{group.name!r} is no name for a volume group.", remedy=_LETTERS)
    extent = group.extent_size
    if extent is not None and (extent < SMALLEST_EXTENT or extent & (extent - 1)):
        text = f"Volume group {group.name}: an extent of {extent} bytes is not a power of two of at least 4 KiB."
        yield Objection(subject=group.id, text=text, remedy="4 MiB suits every size.")


_LETTERS = "Use letters, digits and + _ . -, not a dash at the start, and none of the words LVM keeps for itself."


def _about_volume(volume: Volume, group: Group, devices: int) -> Iterator[Objection]:
    title = f"Volume {group.name}/{volume.name}"
    if not _acceptable(volume.name) or _RESERVED.fullmatch(volume.name):
        yield Objection(subject=volume.id, text=f"{volume.name!r} is no name for a volume.", remedy=_LETTERS)
    if len(volume.mapper) > LONGEST:
        text = f"{title}: its name for device-mapper has {len(volume.mapper)} characters, and {LONGEST} are possible."
        yield Objection(subject=volume.id, text=text, remedy="Shorten one of the names; dashes count twice.")
    if volume.type is not None and volume.type not in MADE:
        text = f"{title}: volumes of type {volume.type} are not made."
        yield Objection(subject=volume.id, text=text, remedy=f"Choose one of {', '.join(MADE)}.")
    if (volume.mirrors or 0) < 0:
        text = f"{title}: there cannot be {volume.mirrors} copies beside the first."
        yield Objection(subject=volume.id, text=text, remedy="Leave the number out, or write one of at least 1.")
    elif volume.mirrors and volume.type not in COPIED:
        text = f"{title}: it asks for copies, and only {' and '.join(COPIED)} have them."
        yield Objection(subject=volume.id, text=text, remedy="Give it one of these types.")
    yield from _about_spreading(volume, title, devices)
    needed = {"thin": ("pool", volume.pool), "snapshot": ("origin", volume.origin)}.get(volume.type or "")
    if needed is not None and not needed[1]:
        yield Objection(
            subject=volume.id, text=f"{title}: it is {volume.type} and names no {needed[0]}.", remedy="Name it."
        )


def _about_spreading(volume: Volume, title: str, devices: int) -> Iterator[Objection]:
    """Object to what LVM would make otherwise, so that it could not be compared, or not at all."""
    fewest = FEWEST_STRIPES.get(volume.type, 1)
    spreads = volume.type is None or volume.type in FEWEST_STRIPES
    if volume.stripes is not None and (volume.stripes < fewest or (volume.stripes > 1 and not spreads)):
        least = f"takes at least {fewest} stripes" if spreads else "has no stripes"
        text = f"{title}: it asks for {volume.stripes} stripes, and {volume.type or 'a volume'} {least}."
        yield Objection(subject=volume.id, text=text, remedy="Choose another number, or another type.")
    elif devices_of(volume) > devices:
        text = f"{title}: it takes {devices_of(volume)} devices, and its group has {devices}."
        yield Objection(subject=volume.id, text=text, remedy="Give the group more, or choose another type.")


def _about_relations(volume: Volume, names: set[str], before: DeviceGraph) -> Iterator[Objection]:
    there = before.get(volume.id)
    found = [volume, *([there] if isinstance(there, Volume) else [])]
    for name in sorted({name for each in found for name in (each.pool, each.origin) if name} - names):
        if volume.type == "thin" and all(name != each.pool for each in found):
            continue  # what a thin snapshot was taken of may go; it has all it needs in the pool
        text = f"Volume {volume.group}/{volume.name} depends on {name}, which nobody wants."
        yield Objection(subject=volume.id, text=text, remedy=f"Want {name} too, or leave both out.")


def _about_overflow(there: Layer | None) -> Iterator[Objection]:
    """Object to putting something on a snapshot that ran full."""
    if isinstance(there, Volume) and there.overflowed:
        text = f"Volume {there.group}/{there.name} is a snapshot that ran full: nothing can be made on it."
        yield Objection(subject=there.id, text=text, remedy="Want it no more, and then again once it is gone.")


def _acceptable(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name not in {".", ".."}
