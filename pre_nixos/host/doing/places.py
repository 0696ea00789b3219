"""From a device's number to the node that is that device at this moment.

The kernel's names are given away again; numbers are what a probe found. A path is only used after its node turned out
to carry the number that was asked for.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pre_nixos.host.doing.problems import NotDoneError, words
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.model.step import Node

SYSFS = "/sys"
DEV = "/dev"


class Place(Data):
    """One block device, as the kernel shows it right now."""

    number: str
    """`major:minor`."""
    name: str
    """The kernel's name for it."""
    path: str
    """Its node below /dev, whose number was checked."""
    sysfs: str
    """The real path of its directory in sysfs."""
    layer: str = ""
    """The id of the layer it was asked for by, for messages."""

    def __str__(self) -> str:
        return f"{self.path} ({self.layer})" if self.layer else f"{self.path} ({self.number})"


def sysfs_of(number: str, sysfs: str = SYSFS) -> str | None:
    """The real path of a device's directory in sysfs, or None when the kernel has no such device."""
    link = f"{sysfs}/dev/block/{number}"
    return os.path.realpath(link) if os.path.lexists(link) else None


def locate(number: str, layer: str = "", *, sysfs: str = SYSFS, dev: str = DEV) -> Place:
    """Find the device with this number and check that the node of its name is that device."""
    who = f"{layer} ({number})" if layer else number
    directory = sysfs_of(number, sysfs)
    if directory is None:
        raise NotDoneError(f"{who}: the kernel has no such block device; nothing was changed")
    name = os.path.basename(directory).replace("!", "/")
    path = f"{dev}/{name}"
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError as error:
        raise NotDoneError(f"{who}: {path}: {words(error)}; nothing was changed") from error
    if not stat.S_ISBLK(status.st_mode):
        raise NotDoneError(f"{who}: {path} is not a block device; nothing was changed")
    there = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    if there != number:
        raise NotDoneError(f"{who}: {path} is device {there}, another one; nothing was changed")
    return Place(number=number, name=name, path=path, sysfs=directory, layer=layer)


def place_of(node: Node, places: Mapping[str, str]) -> Place:
    """Find the device a layer offers."""
    number = places.get(node.layer)
    if number is None:
        raise NotDoneError(f"{node.layer}: no device was found for it; nothing was changed")
    return locate(number, node.layer)


def disk_of(place: Place) -> Place:
    """The whole disk a device is a partition of, or the device itself."""
    if not os.path.exists(f"{place.sysfs}/partition"):
        return place
    parent = os.path.dirname(place.sysfs)
    return locate(read_attribute(f"{parent}/dev"))


def read_attribute(path: str) -> str:
    """The value of a sysfs attribute, stripped."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().strip()
