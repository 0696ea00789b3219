"""What LVM makes: groups, the volumes in them, and physical volumes that are in no group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pre_nixos.backends.lvm.command import lvm
from pre_nixos.backends.lvm.extents import PREFERRED_EXTENT, arranged, whole_extents
from pre_nixos.plugin import Exact, Fact, Layer, Mismatch, Name, Node, Passing, Size, as_size, human

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from pre_nixos.plugin import DeviceGraph, Step

SIGNATURE = "LVM2_member"
PLAIN = frozenset({"linear", "striped", "mirror", "raid0", "raid1", "raid4", "raid5", "raid6", "raid10"})
"""Types of volumes that have all of their extents for themselves."""


class Group(Layer, tag="lvm.group"):
    """A volume group, standing directly on the devices its physical volumes are; it offers no device of its own."""

    gathers = True
    precious = False

    name: Name[str]
    extent_size: int | None = None
    """Bytes; 4 MiB is what is made if nothing is said."""
    uuid: Fact[str | None] = None
    missing: Fact[int] = 0
    """How many of its physical volumes are not there."""
    unused: Fact[int] = 0
    """Bytes in whole extents that its devices have beyond those it knows of, because they have grown since."""
    nodes: Passing[tuple[str, ...]] = ()
    """Numbers of the devices its volumes are made of inside: halves of mirrors, data and metadata of pools."""

    def describe(self) -> str:
        """How much of it is missing."""
        return f"{self.missing} of its devices missing" if self.missing else ""

    def explains(self) -> frozenset[str]:
        """The labels of its physical volumes."""
        return frozenset({SIGNATURE})

    def inner(self) -> frozenset[str]:
        """Devices nobody else is to wonder about."""
        return frozenset(self.nodes)

    def occupies(self) -> frozenset[str]:
        """Its name."""
        return frozenset({f"vg:{self.name}"})

    def usable(self, below: Sequence[int]) -> int | None:
        """Whole extents, of every device by itself, after what LVM keeps for itself."""
        return whole_extents(below, self.extent_size or PREFERRED_EXTENT)

    def arrange(self, space: int, parts: Sequence[Layer]) -> Sequence[Layer]:
        """Give every volume its size in whole extents, and the name of its group. Raises ValueError if it is full."""
        mine = [each for each in parts if isinstance(each, Volume)]
        sizes = iter(arranged(mine, space, self.extent_size or PREFERRED_EXTENT))
        return [
            msgspec.structs.replace(each, size=Exact(bytes=next(sizes)), group=self.name)
            if isinstance(each, Volume)
            else each
            for each in parts
        ]

    def mismatches(  # pyright: ignore[reportIncompatibleMethodOverride] - only layers of one kind are compared
        self, there: Self
    ) -> tuple[Mismatch, ...]:
        """It is to use all of its devices."""
        found = super().mismatches(there)
        if there.unused:
            found = (*found, Mismatch(field="unused", there=human(there.unused), wanted="nothing"))
        return found

    def grown(self, graph: DeviceGraph) -> Sequence[Step]:
        """All of its devices are looked at, whichever has grown; whether its volumes are active makes no difference."""
        nodes = [Node(layer=device.id) for device in graph.devices(self)]
        return (lvm("pvresize", nodes, *nodes),)


class Volume(Layer, tag="lvm.volume"):
    """A logical volume. Pools are volumes too, without a device of their own; snapshots and thin volumes name theirs.

    All of them stand on their group, which makes, changes and removes the whole set.
    """

    part_of = "lvm.group"

    name: Name[str]
    size: Size | str | int
    """What it offers; of a snapshot, the space for what changes; of a pool, that for data."""
    type: str | None = None
    """`linear`, `striped`, `raid0`, `raid1`, `raid5`, `raid6`, `raid10`, `thin-pool`, `thin` or `snapshot`, which are
    made; others, such as `cache`, are recognised. None: linear, or whatever is there."""
    stripes: int | None = None
    """Over how many devices its data is spread, not counting copies and parity."""
    mirrors: int | None = None
    """How many copies there are beside the first."""
    pool: str | None = None
    """The pool a thin volume takes its space from."""
    origin: str | None = None
    """The volume a snapshot is of."""
    group: str | None = None
    """The name of its group, which need not be given: the group fills it in."""
    uuid: Fact[str | None] = None
    extent: Fact[int] = 0
    """The extent size of the group it was found in: no size is exact beyond that."""

    overflowed: Fact[bool] = False
    """Whether it is a snapshot that ran full: nothing can be read of it any more."""

    def __post_init__(self) -> None:
        """Take a size in every spelling. Raises ValueError for one that is none."""
        msgspec.structs.force_setattr(self, "size", as_size(self.size))

    @property
    def is_pool(self) -> bool:
        """Whether it only has space for others, and offers no device."""
        return self.type is not None and self.type.endswith("-pool")

    @property
    def mapper(self) -> str:
        """Its name for device-mapper."""
        return f"{_doubled(self.group or '')}-{_doubled(self.name)}"

    def describe(self) -> str:
        """Type and size, and what it depends on."""
        related = f"in {self.pool}" if self.pool else f"of {self.origin}" if self.origin else ""
        return " ".join(filter(None, (self.type or "", str(self.size), related)))

    def occupies(self) -> frozenset[str]:
        """Its name for device-mapper."""
        return frozenset({f"mapper:{self.mapper}"})

    def mark(self) -> Mapping[str, str] | None:
        """The kernel shows its name."""
        return None if self.is_pool else {"dm/name": self.mapper}

    def found_at(self) -> str:
        """By its name for device-mapper."""
        return "" if self.is_pool else f"/dev/mapper/{self.mapper}"

    def borrows(self, graph: DeviceGraph) -> bool:
        """A volume that is not plain is in a pool, a cache or a store of copies; its origin fills that, too."""
        if self.type is not None and self.type not in PLAIN:
            return True
        group = graph.container(self)
        beside = graph.parts_of_kind(group, Volume) if group is not None else ()
        return any(each.origin == self.name for each in beside)

    def holds_nothing(self) -> bool:
        """The kernel answers for a snapshot that ran full with errors, for good."""
        return self.overflowed

    def usable(self, below: Sequence[int]) -> int | None:
        """Its size, once that is known."""
        del below
        return self.size.bytes if isinstance(self.size, Exact) and not self.is_pool else None

    def mismatches(  # pyright: ignore[reportIncompatibleMethodOverride] - only layers of one kind are compared
        self, there: Self
    ) -> tuple[Mismatch, ...]:
        """Compare what was asked for; LVM rounds sizes to extents, so less than one makes no difference.

        Over one device everything is spread, and no copy at all has everything that has none.
        """
        same = {
            "size": not self._differs_from(there),
            "stripes": (self.stripes or 1) == (there.stripes or 1),
            "mirrors": (self.mirrors or 0) == (there.mirrors or 0),
        }
        return tuple(each for each in super().mismatches(there) if not same.get(each.field))

    def _differs_from(self, there: Self) -> bool:
        if isinstance(self.size, Exact) and isinstance(there.size, Exact):
            return abs(self.size.bytes - there.size.bytes) >= max(there.extent, 1)
        return True


class Orphan(Layer, tag="lvm.orphan"):
    """A physical volume that is in no group."""

    uuid: Fact[str] = ""

    def describe(self) -> str:
        """What it is."""
        return "a physical volume in no group"

    def explains(self) -> frozenset[str]:
        """Its own label."""
        return frozenset({SIGNATURE})


def _doubled(name: str) -> str:
    return name.replace("-", "--")


__all__ = ["SIGNATURE", "Group", "Orphan", "Volume"]
