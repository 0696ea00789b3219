"""What lies in the volume groups of the policy `tiered`, and how much of it: arithmetic only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import MIB, Data, InvalidLayout, human

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.policies.tiered.options import Sizes, TieredOptions

GIB = 1024 * MIB
SWAP = "swap"
"""The volume to swap to."""
STICKY = 0o1777
"""The mode of a directory in which everybody may make files, and remove only their own."""
VAR_TMP = "/var/tmp"  # noqa: S108 - a place to mount at, not a file to write


class Volume(Data):
    """One volume to be: swap if it is mounted nowhere."""

    group: str
    name: str
    size: int
    at: str = ""
    mode: int | None = None


def swap_size(memory: int, options: TieredOptions, sizes: Sizes) -> int:
    """Give how much swap the machine should have."""
    return min(int(installed(memory) * options.swap_factor), sizes.swap_cap)


def installed(memory: int) -> int:
    """Give the memory that is built in, from what the kernel has of it.

    The kernel keeps a few percent for itself, more or less with every version; nothing on disk should follow that.
    """
    grain = GIB if memory >= 4 * GIB else 256 * MIB
    return _up(memory, grain)


def main_needs(options: TieredOptions, sizes: Sizes) -> int:
    """Give the bytes without which a volume group is too small for the system."""
    return _up(sizes.slash, sizes.extent) + options.free_extents * sizes.extent


def large_needs(options: TieredOptions, sizes: Sizes) -> int:
    """Give the bytes without which a volume group is too small for the data."""
    return _up(sizes.data, sizes.extent) + options.free_extents * sizes.extent


def swap_needs(swap: int, options: TieredOptions, sizes: Sizes) -> int:
    """Give the bytes without which a pair of disks is too small for swap and what comes with it; 0 without swap."""
    if not swap:
        return 0
    wanted = sum(_up(each, sizes.extent) for each in (swap, sizes.var_tmp, sizes.var_log))
    return wanted + options.free_extents * sizes.extent


def divide(
    rooms: Mapping[str, int], swap: int, options: TieredOptions, sizes: Sizes, *, swaps: str = ""
) -> Sequence[Volume]:
    """Give the volumes, `rooms` being the bytes of each volume group. Raises InvalidLayout with all that do not fit.

    `swaps` is the group that has the swap already, which stays there.
    """
    groups = {name: _Group(name, room, options, sizes) for name, room in rooms.items()}
    main, large = groups.get(options.main_name), groups.get(options.large_name)
    if main:
        main.insist("slash", sizes.slash, at="/")
        share = min(sizes.home_cap, int(main.left * options.home_share / 100))
        if share >= sizes.home_least:
            main.offer("home", share // sizes.extent * sizes.extent, at="/home")
    if large:
        large.insist("data", sizes.data, at="/data")
    small = groups.get(options.swap_name)
    # On a pair of its own there is room for what else is written all the time and may be lost.
    if small and small.offer(SWAP, swap):
        small.offer("var_tmp", sizes.var_tmp, at=VAR_TMP, mode=STICKY)
        small.offer("var_log", sizes.var_log, at="/var/log")
    else:
        _ = any(each.offer(SWAP, swap) for each in (groups.get(swaps), large, main) if each)
    problems = [problem for group in groups.values() for problem in group.problems]
    if problems:
        raise InvalidLayout(problems)
    return [volume for group in groups.values() for volume in group.volumes]


class _Group:
    """A volume group while it is being filled."""

    def __init__(self, name: str, room: int, options: TieredOptions, sizes: Sizes) -> None:
        self.name = name
        self.extent = sizes.extent
        self.kept = options.free_extents * sizes.extent
        self.room = room
        self.left = max(0, (room - self.kept) // self.extent * self.extent)
        self.volumes: list[Volume] = []
        self.problems: list[str] = []

    def offer(self, name: str, size: int, *, at: str = "", mode: int | None = None) -> bool:
        """Make a volume, if there is room for it; one of size 0 is not asked for."""
        size = _up(size, self.extent)
        if not 0 < size <= self.left:
            return False
        self.volumes.append(Volume(group=self.name, name=name, size=size, at=at, mode=mode))
        self.left -= size
        return True

    def insist(self, name: str, size: int, *, at: str) -> None:
        """Make a volume that was asked for with just this size, or say why that cannot be."""
        if size and not self.offer(name, size, at=at):
            kept = f", of which {human(self.kept)} stay free" if self.kept else ""
            remedy = "Use larger disks (option disks)."
            if self.left >= MIB:
                remedy = f"Set the option {name} to at most {self.left // MIB}MiB, or use larger disks (option disks)."
            self.problems.append(
                f"{self.name}/{name} is to have {human(size)}, but volume group {self.name} has {human(self.room)}"
                f"{kept}: {human(_up(size, self.extent) - self.left)} too little. {remedy}"
            )


def _up(count: int, grain: int) -> int:
    return -(-count // grain) * grain
