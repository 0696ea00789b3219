"""Partitions the kernel sees where there is no table: taken out of the way, once it is certain that they are none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pre_nixos.host.doing.partitions import BusyError, partitions_of, remove
from pre_nixos.host.doing.problems import RefusedError, words
from pre_nixos.host.questions import SafeProbe
from pre_nixos.host.survey import are_mirages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.host.api import Reader
    from pre_nixos.host.doing.disklock import Pins
    from pre_nixos.host.doing.partitions import KernelPartition
    from pre_nixos.host.doing.places import Place


def without_mirages(place: Place, pins: Pins, reader: Reader) -> Sequence[KernelPartition]:
    """Give the partitions a disk has; if none of them is one, have the kernel forget them and give none.

    All of it is looked at now, and only a disk that nobody uses, nor any of them, is left without.
    """
    there = partitions_of(place.sysfs)
    if not there:
        return there
    answer = reader.ask(SafeProbe(numbers=(place.number, *(each.device for each in there)))).devices
    held = {each.number: each for each in answer}
    if held.keys() != {place.number, *(each.device for each in there)}:
        return there
    if not are_mirages(held[place.number], [(each.start, held[each.device]) for each in there]):
        return there
    for partition in there:
        pins.release(partition.device)
    try:
        disk = os.open(place.path, os.O_RDONLY | os.O_CLOEXEC | os.O_EXCL)
    except OSError as error:
        raise RefusedError(f"{place} cannot be opened alone: {words(error)}; nothing was written") from error
    try:
        remove(disk, there)
    except BusyError as busy:
        raise RefusedError(
            f"{place}: {busy.partition.name} is in use ({words(busy.error)}); nothing was written"
        ) from busy
    finally:
        os.close(disk)
    return partitions_of(place.sysfs)
