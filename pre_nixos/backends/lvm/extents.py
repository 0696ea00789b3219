"""How volumes share the extents of a group: all arithmetic, in whole extents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import MIB, Exact, Share, human

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.backends.lvm.kinds import Volume

PREFERRED_EXTENT = 4 * MIB
RESERVED = MIB
"""What LVM keeps at the start of a device: its label and metadata. `vgcreate` is told to align to just that."""
PARITY = {"raid4": 1, "raid5": 1, "raid6": 2}
LARGEST_POOL_METADATA = 15 * 1024 * MIB


def whole_extents(devices: Sequence[int], extent: int) -> int:
    """How many bytes of these devices are in whole extents."""
    return sum(max(0, size - RESERVED) // extent * extent for size in devices)


def arranged(volumes: Sequence[Volume], space: int, extent: int) -> Sequence[int]:
    """Give every volume its bytes. Raises ValueError with all that is wrong, and the arithmetic."""
    total = space // extent
    counts: dict[int, int] = {}
    waiting: list[int] = []
    keep = 0
    problems: list[str] = []
    for position, volume in enumerate(volumes):
        match volume.size:
            case Exact(bytes=count):
                counts[position] = _rounded(volume, max(1, -(-count // extent)), up=True)
            case Share(percent=percent, less=less):
                share = max(0, int(total * percent / 100) - -(-less // extent))
                counts[position] = max(_rounded(volume, 1, up=True), _rounded(volume, share))
            case _:
                waiting.append(position)
                keep = max(keep, getattr(volume.size, "keep", 0))
                if volume.type == "thin":
                    problems.append(f"{volume.name}: a thin volume takes no space of its own, and so has no rest")
    taken = sum(cost(volumes[position], count, extent) for position, count in counts.items())
    left = total - taken - -(-keep // extent)
    if not problems and left < 0:
        problems.append(_full(volumes, counts, total, extent, keep))
    for rank, position in enumerate(waiting):
        share = left * (rank + 1) // len(waiting) - left * rank // len(waiting)
        counts[position] = _most(volumes[position], share, extent)
        if not problems and counts[position] < 1:
            arithmetic = _full(volumes, counts, total, extent, keep)
            problems.append(f"nothing is left for {volumes[position].name}: {arithmetic}")
    if problems:
        raise ValueError("; ".join(problems))
    return [counts[position] * extent for position in range(len(volumes))]


def cost(volume: Volume, count: int, extent: int) -> int:
    """How many extents of the group a volume of so many takes; never less than LVM does."""
    stripes, mirrors = stripes_of(volume), mirrors_of(volume)
    # A bitmap and a superblock beside every image, a quarter of a mebibyte at most.
    image_metadata = -(-MIB // extent)
    match volume.type:
        case "thin":
            return 0
        case "thin-pool":
            # As much again is kept for the repair of the metadata.
            return count + 2 * (pool_metadata(count * extent, extent) // extent)
        case "raid1":
            return (mirrors + 1) * (count + image_metadata)
        case "raid4" | "raid5" | "raid6":
            return (stripes + PARITY[volume.type]) * (-(-count // stripes) + image_metadata)
        case "raid10":
            return stripes * (mirrors + 1) * (-(-count // stripes) + image_metadata)
        case _:
            return count


FEWEST_STRIPES: Mapping[str | None, int] = {
    "striped": 2,
    "raid0": 2,
    "raid4": 2,
    "raid5": 2,
    "raid6": 3,
    "raid10": 2,
}
"""Over how many devices the data of each type is spread at least; of others it is on one after the other."""


def stripes_of(volume: Volume) -> int:
    """Over how many devices its data is spread: what was asked for, or the fewest its type makes sense with."""
    return volume.stripes or FEWEST_STRIPES.get(volume.type, 1)


def devices_of(volume: Volume) -> int:
    """How many devices it takes at least, no two of its images on one."""
    return stripes_of(volume) * (mirrors_of(volume) + 1) + PARITY.get(volume.type or "", 0)


def mirrors_of(volume: Volume) -> int:
    """How many copies there are beside the first."""
    return (volume.mirrors or 1) if volume.type in {"raid1", "raid10"} else 0


def pool_metadata(size: int, extent: int) -> int:
    """How many bytes a pool of this size gets for its metadata: enough for chunks of 32 KiB and more."""
    wanted = min(max(4 * MIB, size // 512), LARGEST_POOL_METADATA)
    return -(-wanted // extent) * extent


def _rounded(volume: Volume, count: int, *, up: bool = False) -> int:
    stripes = stripes_of(volume)
    return -(-count // stripes) * stripes if up else count // stripes * stripes


def _most(volume: Volume, available: int, extent: int) -> int:
    """The most extents a volume can have if it must not cost more than what is available."""
    low, high = 0, max(0, available)
    while low < high:
        middle = (low + high + 1) // 2
        if cost(volume, _rounded(volume, middle, up=True), extent) <= available:
            low = middle
        else:
            high = middle - 1
    return _rounded(volume, low)


def _full(volumes: Sequence[Volume], counts: Mapping[int, int], total: int, extent: int, keep: int) -> str:
    each = [f"{volumes[at].name} {human(cost(volumes[at], count, extent) * extent)}" for at, count in counts.items()]
    each += [f"{human(keep)} to stay free"] if keep else []
    asked = " + ".join(each) or "nothing"
    excess = sum(cost(volumes[at], count, extent) for at, count in counts.items()) * extent + keep - total * extent
    over = f": {human(excess)} too much" if excess > 0 else ""
    return f"the group has {human(total * extent)} in whole extents, and asked for are {asked}{over}"
