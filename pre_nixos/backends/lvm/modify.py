"""Changing a group in place: it takes what its devices have grown by, and volumes may come, go and grow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.lvm.command import lvm
from pre_nixos.backends.lvm.format import creation, in_order
from pre_nixos.backends.lvm.kinds import Group, Volume
from pre_nixos.plugin import (
    WINDOW,
    Action,
    Await,
    Exact,
    Node,
    Range,
    Replace,
    RequireFree,
    RequireSize,
    State,
    Verb,
    Zero,
    exact_bytes,
    for_kind,
    growth,
    hooks,
    human,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pre_nixos.plugin import DeviceGraph, Step

GROWS = frozenset({"linear", "striped", "raid1", "raid4", "raid5", "raid6", "raid10", "thin", "thin-pool"})


@for_kind(hooks.modify, Group)
def change(old: Group, new: Group, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Remove volumes, take in what the devices have more, grow and make volumes; anything else would lose data."""
    there = {each.id: each for each in before.parts_of_kind(old, Volume)}
    wanted = {each.id: each for each in after.parts_of_kind(new, Volume)}
    kept = [(there[id_], volume) for id_, volume in wanted.items() if id_ in there]
    why = [str(each) for each in new.mismatches(old) if each.field != "unused"]
    why += [reason for was, volume in kept for reason in _obstacles(was, volume)]
    if why:
        return Replace(why="; ".join(why))
    nodes = [Node(layer=device.id) for device in after.devices(new)]
    gone = [volume for id_, volume in there.items() if id_ not in wanted]
    grown = [(was, volume) for was, volume in kept if volume.mismatches(was)]
    made = [volume for id_, volume in wanted.items() if id_ not in there]
    steps: list[Step] = []
    for volume in reversed(in_order(gone)):
        steps += _removal(volume, old, nodes)
    steps += new.grown(after) if old.unused else ()
    for was, volume in grown:
        steps += _growth(was, volume, old, nodes)
        if was.state is State.ACTIVE:
            steps += growth(volume.id, before, after)
    # In the group that is there, whose extents count, whatever would be chosen for a new one.
    for volume in in_order(made):
        steps += creation(volume, old, nodes)
    said = (("remove", gone), ("grow", [volume for _, volume in grown]), ("make", made))
    words = [f"take in {human(old.unused)} its devices have grown by"] if old.unused else []
    words += [f"{verb} {_names(volumes)}" for verb, volumes in said if volumes]
    return [
        Action(
            verb=Verb.MODIFY,
            target=new.id,
            summary=f"{'; '.join(words) or 'change nothing'} in volume group {new.name}",
            steps=tuple(steps),
            destroys=tuple(volume.id for volume in gone),
        )
    ]


def _names(volumes: Iterable[Volume]) -> str:
    return ", ".join(each.name for each in volumes)


def _obstacles(was: Volume, volume: Volume) -> Sequence[str]:
    """Say why a volume that stays cannot become what is wanted."""
    found = [f"{volume.name}: {each}" for each in volume.mismatches(was) if each.field != "size"]
    for each in () if found else volume.mismatches(was):
        if not isinstance(volume.size, Exact) or not isinstance(was.size, Exact) or was.type not in GROWS:
            found = [f"{volume.name}: a {was.type} volume is not resized"]
        elif volume.size.bytes < was.size.bytes:
            found = [f"{volume.name}: its {each}, and shrinking would cut off data"]
    return found


def _removal(volume: Volume, group: Group, nodes: Sequence[Node]) -> Sequence[Step]:
    node = Node(layer=volume.id)
    active = volume.state is State.ACTIVE and not volume.is_pool
    chosen = ("--select", f"lv_uuid={volume.uuid}") if volume.uuid else ()
    run = lvm("lvremove", nodes, "--yes", *chosen, f"{group.name}/{volume.name}")
    return [RequireFree(target=node), run, Await(target=node, present=False)] if active else [run]


def _growth(was: Volume, volume: Volume, group: Group, nodes: Sequence[Node]) -> Sequence[Step]:
    """Grow a volume; where its new tail will be, something old may lie, so it is cleared, and nothing before it."""
    before, size = exact_bytes(was.size), exact_bytes(volume.size)
    name, node = f"{group.name}/{volume.name}", Node(layer=volume.id)
    run = lvm("lvextend", nodes, "--size", f"{size}b", name)
    if was.type in {"thin", "thin-pool"}:
        return [run]
    start = max(before, size - WINDOW)
    wake: list[Step] = []
    if was.state is State.INACTIVE:
        wake = [lvm("lvchange", nodes, "--activate", "y", "--ignoreactivationskip", name), Await(target=node)]
    still = RequireSize(target=node, size=before)  # somebody may have grown it since, and have put something there
    return [*wake, still, run, Zero(target=node, ranges=(Range(start=start, length=size - start),), added=True)]
