"""What could not be made, found before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.arguments import REMEDY, faults
from pre_nixos.backends.btrfs import emptied
from pre_nixos.backends.btrfs.kinds import OPTIONS, Btrfs, Subvolume
from pre_nixos.plugin import MIB, Objection, Plan, hooks, human, implements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FEWEST = {
    "single": 1,
    "dup": 1,
    "raid0": 1,
    "raid1": 2,
    "raid1c3": 3,
    "raid1c4": 4,
    "raid10": 2,
    "raid5": 2,
    "raid6": 3,
}
"""Devices that each profile takes."""
LONGEST_LABEL = 255
LONGEST_NAME = 255
SMALLEST = 128 * MIB
"""Bytes of a device; mkfs.btrfs wants 109 MiB with what it makes by itself, and more with some profiles."""


@implements(hooks.objections)
def object_to(plan: Plan) -> Iterable[Objection]:
    """Object to filesystems and subvolumes that are to be made and cannot be, or not so."""
    if plan.is_harmless:
        return
    graph = plan.wanted.graph
    for layer in graph.of(Btrfs):
        for fault in faults(layer.arguments, OPTIONS):
            yield Objection(subject=layer.id, text=f"{layer.describe()}: {fault}.", remedy=REMEDY)
        if _comes(layer.id, plan):
            for text, remedy in _about(layer, plan):
                yield Objection(subject=layer.id, text=f"{layer.describe()}: {text}.", remedy=remedy)
        yield from _about_parts(layer, plan)


def _about_parts(layer: Btrfs, plan: Plan) -> Iterator[Objection]:
    parts = plan.wanted.graph.parts_of_kind(layer, Subvolume)
    there = plan.before.get(layer.id)
    names = {each.name for each in parts}
    names |= {each.name for each in plan.before.parts_of_kind(there, Subvolume)} if there else set()
    for part in parts:
        if _comes(part.id, plan):
            for text, remedy in _about_part(part, names):
                yield Objection(subject=part.id, text=f"{part.title}: {text}.", remedy=remedy)
        for lost, why in emptied.lost_with(part, plan.wanted.graph):
            # What is there already may be in other hands: then it is refused only where NixOS is told of it.
            if _comes(lost.id, plan) or _comes(part.id, plan):
                remedy = f"{emptied.REMEDY[0].upper()}{emptied.REMEDY[1:]}."
                yield Objection(subject=lost.id, text=f"{lost.title}: it {why}.", remedy=remedy)


def _comes(id_: str, plan: Plan) -> bool:
    verdict = plan.reasons.get(id_)
    return verdict is not None and verdict.fate.makes


def _about(layer: Btrfs, plan: Plan) -> Iterator[tuple[str, str]]:
    devices = plan.wanted.graph.devices(layer)
    if any(isinstance(each, Btrfs) for each in plan.wanted.graph.under(layer)):
        yield "it would have to grow from another one, and none is made so", "Put it on devices alone."
    for what, profile in (("data", layer.data), ("metadata", layer.metadata)):
        if profile is None:
            continue
        if profile not in FEWEST:
            yield f"there is no profile {profile!r} for {what}", f"Choose one of {', '.join(FEWEST)}."
        elif len(devices) < FEWEST[profile]:
            yield (
                f"{profile} for {what} takes {FEWEST[profile]} devices, and it has {len(devices)}",
                "Give it more, or choose another profile.",
            )
    label = layer.label or ""
    if len(label.encode("utf-8", "surrogatepass")) > LONGEST_LABEL or not label.isprintable():
        yield f"{label!r} is no label for it", f"Use at most {LONGEST_LABEL} bytes that can be printed."
    for each in devices:
        space = plan.wanted.graph.space(each)
        if 0 < space < SMALLEST:
            yield (
                f"each device needs {human(SMALLEST)}, and {plan.wanted.graph.called(each)} has {human(space)}",
                ("Make it larger, or choose another filesystem."),
            )


def _about_part(part: Subvolume, names: set[str]) -> Iterator[tuple[str, str]]:
    if any(len(word.encode("utf-8", "surrogateescape")) > LONGEST_NAME for word in part.name.split("/")):
        yield f"a name in its path is longer than {LONGEST_NAME} bytes", "Shorten it."
    if part.origin is not None and part.origin not in names:
        yield f"it is to be a snapshot of {part.origin}, which nobody wants", f"Want {part.origin} too."
    if part.read_only and part.origin is None:
        yield "nothing could ever be put into it", "Make it a snapshot of another, or let it be written to."
