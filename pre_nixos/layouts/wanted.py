"""The public functions for layouts: read one for a machine, check one without, and see which disks it means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.hooks.registry import installed
from pre_nixos.layouts.check import try_out, wanted_on
from pre_nixos.layouts.document import load
from pre_nixos.layouts.read import Reading
from pre_nixos.layouts.select import choose
from pre_nixos.model.draft import InvalidLayout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.hooks.registry import Registry
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.layer import Disk
    from pre_nixos.model.machine import Machine

ROOT = "/mnt"


def read_layout(
    machine: Machine,
    path: str | int,
    *,
    disks: Mapping[str, str | Sequence[str]] = {},
    root: str = ROOT,
    allow_hooks: bool = False,
    registry: Registry | None = None,
) -> Wanted:
    """Read what a layout in Disko's vocabulary, in JSON or TOML, wants on a machine.

    `disks` says which disk each name in the layout means, in place of what the layout says (serial, WWN, id or by-id
    link; several for a name that stands for so many disks); `root` is where the root of the described system is mounted
    now. The file is a path, or a descriptor that is open, such as 0. With `allow_hooks` the scripts in it belong to
    what is wanted; without it they are mistakes. Raises InvalidLayout with everything that is wrong, each with its
    path, and Unreadable if the file is no layout at all.
    """
    registry = registry or installed()
    reading = _read(path, registry, disks=disks, root=root, allow_hooks=allow_hooks)
    return wanted_on(reading, machine, registry)


def check_layout(
    path: str | int,
    *,
    disks: Mapping[str, str | Sequence[str]] = {},
    allow_hooks: bool = False,
    registry: Registry | None = None,
) -> tuple[str, ...]:
    """List everything that is wrong with a layout whatever the machine; nothing if nothing is.

    Raises Unreadable if the file is no layout at all.
    """
    registry = registry or installed()
    try:
        return tuple(try_out(_read(path, registry, disks=disks, allow_hooks=allow_hooks), registry))
    except InvalidLayout as error:
        return error.problems


def disks_of_layout(
    machine: Machine,
    path: str | int,
    *,
    disks: Mapping[str, str | Sequence[str]] = {},
    allow_hooks: bool = False,
    registry: Registry | None = None,
) -> Mapping[str, tuple[Disk, ...]]:
    """Find the disks of a machine that a layout means, by the names it gives them. Raises InvalidLayout."""
    reading = _read(path, registry or installed(), disks=disks, allow_hooks=allow_hooks)
    chosen = choose(reading.choices, machine)
    if reading.problems or chosen.problems:
        raise InvalidLayout([*reading.problems, *chosen.problems])
    return {choice.name: found for choice, found in zip(reading.choices, chosen.disks, strict=True)}


def _read(
    path: str | int,
    registry: Registry,
    *,
    disks: Mapping[str, str | Sequence[str]] = {},
    root: str = ROOT,
    allow_hooks: bool = False,
) -> Reading:
    reading = Reading(registry, root=root, overruled=disks, allow_hooks=allow_hooks)
    reading.read(load(path))
    return reading
