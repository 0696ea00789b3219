"""The guards before somebody else's program: what it looks for by a name is what it should be, or not there at all."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pre_nixos.host.doing.places import SYSFS
from pre_nixos.host.doing.problems import NotNowError, words
from pre_nixos.host.questions import ReadMounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pre_nixos.host.api import Reader
    from pre_nixos.host.doing.places import Place
    from pre_nixos.model.step import RequireUnclaimed

LABELS = "/dev/disk/by-partlabel"
DEEPEST = 8
"""How far below a path of udev's anything is."""


def require_link(place: Place, path: str) -> str:
    """Refuse unless this path leads to the device."""
    try:
        number = _number(os.stat(path))
    except OSError as error:
        raise NotNowError(f"{path} should lead to {place}: {words(error)}; nothing was written") from error
    if number != place.number:
        raise NotNowError(f"{path} leads to device {number or 'nowhere'}, and not to {place}; nothing was written")
    return f"{path} leads to {place}"


def require_unclaimed(work: RequireUnclaimed, reader: Reader, *, sysfs: str = SYSFS) -> str:
    """Refuse if a device is found by one of the paths, or anything is mounted in one of the directories."""
    found = [f"{path} leads to {device}" for path in work.paths for path, device in _devices(path)]
    labels = {path.removeprefix(f"{LABELS}/") for path in work.paths if path.startswith(f"{LABELS}/")}
    # What the kernel knows of a partition udev may only be about to hear.
    found += [f"the partition {name} is labelled {label!r}" for name, label in _labelled(labels, sysfs)]
    found += [f"something is mounted at {at}" for at in _mounted(work, reader)]
    if found:
        raise NotNowError(f"{'; '.join(dict.fromkeys(found))}; nothing was written")
    return "nothing is in the way"


def _devices(path: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Find the devices that a path leads to, and what is below it."""
    try:
        status = os.stat(path)
    except OSError:
        return  # there is nothing, or a link that leads nowhere
    if number := _number(status):
        yield path, f"{os.path.realpath(path)} ({number})"
    elif stat.S_ISDIR(status.st_mode) and depth < DEEPEST:
        for name in sorted(os.listdir(path)):
            yield from _devices(f"{path}/{name}", depth + 1)


def _number(status: os.stat_result) -> str:
    return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}" if stat.S_ISBLK(status.st_mode) else ""


def _labelled(labels: Iterable[str], sysfs: str) -> Iterator[tuple[str, str]]:
    wanted = {f"PARTNAME={each}": each for each in labels}
    if not wanted:
        return
    for name in sorted(os.listdir(f"{sysfs}/class/block")):
        try:
            with open(f"{sysfs}/class/block/{name}/uevent", encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
        except OSError:
            continue  # it went away meanwhile
        yield from ((name, wanted[each]) for each in lines if each in wanted)


def _mounted(work: RequireUnclaimed, reader: Reader) -> Iterator[str]:
    if not work.directories:
        return
    for entry in reader.ask(ReadMounts()).mounts:
        inside = any(f"{entry.at}/".startswith(f"{each.rstrip('/')}/") for each in work.directories)
        if inside and not entry.namespace and entry.at not in work.apart:
            yield entry.at
