"""blank: want nothing on some disks, which is all that wiping them takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pre_nixos.model.action import Action, Verb
from pre_nixos.model.draft import Draft, Erasure, InvalidLayout, Wanted
from pre_nixos.model.layer import Disk
from pre_nixos.model.plan import consent_digest
from pre_nixos.model.step import WINDOWS, Discard, Node, Range, RequireFree, Step, Zero

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pre_nixos.model.machine import Machine

STRETCHES = 256
"""A disk is overwritten in so many stretches at most: between two of them somebody may ask to stop."""
SHORTEST = 1 << 30


def blank(machine: Machine, disks: Iterable[Disk | str], *, erase: Erasure | None = None) -> Wanted:
    """Want these disks blank: disks of the machine, or what a person calls them (id, serial, WWN, by-id link).

    With `erase` every byte goes, not only those by which something could be recognised. Raises InvalidLayout if a name
    fits no disk, or several.
    """
    if isinstance(disks, str | Disk):
        raise TypeError("which disks is a list, also of one: write [disk], or ['SERIAL'] for one that is named")
    listed = list(disks)
    named = machine.all_disks.named([each for each in listed if isinstance(each, str)])
    chosen = {each.id: each for each in (*named, *(each for each in listed if isinstance(each, Disk)))}
    if not chosen:
        raise InvalidLayout(["no disk was named that is to be blank"])
    wanted = Draft(machine, take=chosen.values(), named=chosen.values()).wanted()
    return msgspec.structs.replace(wanted, erase=erase)


def erasures(machine: Machine, wanted: Wanted) -> Sequence[Action]:
    """Give the actions by which disks forget all their bytes, once nothing stands on them any more."""
    if wanted.erase is None:
        return ()
    graph = machine.graph
    done = machine.erased if machine.erased_for == consent_digest(wanted, {}) else ()
    # One that something stands on has been used since.
    left = [graph[each] for each in wanted.takes if each in graph and (each not in done or graph.standing_on(each))]
    return [_erasure(disk, wanted.erase) for disk in left if isinstance(disk, Disk) and disk.device]


def _erasure(disk: Disk, how: Erasure) -> Action:
    node = Node(layer=disk.id)
    if how is Erasure.DISCARD:
        # What is read of discarded bytes is the device's choice; those that are looked at are to be zeros.
        steps: tuple[Step, ...] = (Discard(target=node), Zero(target=node, ranges=WINDOWS))
        summary = f"discard all of {disk.title}"
    else:
        size = disk.device.size if disk.device else 0
        steps = tuple(Zero(target=node, ranges=(each,)) for each in _stretches(size))
        summary = f"overwrite all of {disk.title} with zeros"
    steps = (RequireFree(target=node), *steps)
    return Action(verb=Verb.ERASE, target=disk.id, summary=summary, steps=steps, destroys=(disk.id,))


def _stretches(size: int) -> Sequence[Range]:
    length = max(SHORTEST, -(-size // STRETCHES // SHORTEST) * SHORTEST)
    return [Range(start=start, length=min(length, size - start)) for start in range(0, size, length)]
