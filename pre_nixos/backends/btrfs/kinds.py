"""What a btrfs is, and the subvolumes in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pre_nixos.backends.arguments import Tool
from pre_nixos.backends.mounts import Mount
from pre_nixos.plugin import Fact, Grow, How, Layer, Mismatch, Name, Node, human

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from pre_nixos.plugin import DeviceGraph, Step

SIGNATURE = "btrfs"
OPTIONS = Tool(
    name="mkfs.btrfs",
    letters="bdmnrsLORU",
    long=(
        *("--byte-count", "--checksum", "--csum", "--data", "--features", "--label", "--metadata", "--nodesize"),
        *("--runtime-features", "--sectorsize", "--uuid"),
    ),
    refused=dict.fromkeys(("-r", "--rootdir"), "it would copy files from elsewhere into it"),
)
"""What further arguments its maker may be given."""


class Btrfs(Layer, tag="btrfs"):
    """A btrfs on one device or several."""

    label: str | None = None
    uuid: str | None = None
    data: str | None = None
    """The profile of what is in files: `single`, `dup`, `raid0`, `raid1`, `raid1c3`, `raid1c4`, `raid10`, ..."""
    metadata: str | None = None
    """The profile of everything else."""
    arguments: How[tuple[str, ...]] = ()
    """Further arguments for the program that makes it."""
    devices: Fact[int] = 0
    """How many devices it has by its own account; 0 if that could not be read."""
    fills: How[bool] = True
    """Whether it is to grow when a device of it has become larger."""
    unused: Fact[int] = 0
    """Bytes of its devices that it does not use."""

    def __post_init__(self) -> None:
        """UUIDs are the same however they are written."""
        if self.uuid is not None:
            msgspec.structs.force_setattr(self, "uuid", self.uuid.lower())

    def describe(self) -> str:
        """Label, and over how many devices it stretches."""
        label = f" {self.label!r}" if self.label else ""
        return f"btrfs{label}" + (f" over {self.devices} devices" if self.devices > 1 else "")

    def explains(self) -> frozenset[str]:
        """Its own signature, on every device."""
        return frozenset({SIGNATURE})

    def found_at(self) -> str:
        """By its UUID."""
        return f"/dev/disk/by-uuid/{self.uuid}" if self.uuid else ""

    def mounted_as(self) -> tuple[str, tuple[str, ...]]:
        """Mounted as a whole, it is seen from the top, whatever subvolume it would show otherwise."""
        return "btrfs", ("subvolid=5",)

    def mismatches(  # pyright: ignore[reportIncompatibleMethodOverride] - only layers of one kind are compared
        self, there: Self
    ) -> tuple[Mismatch, ...]:
        """Where nothing could be read of its profiles, nothing speaks against them."""
        found = [
            each
            for each in super().mismatches(there)
            if each.field not in {"data", "metadata"} or getattr(there, each.field) is not None
        ]
        if self.fills and there.unused:
            found.append(Mismatch(field="unused", there=human(there.unused), wanted="nothing"))
        return tuple(found)

    def rehearsed(self) -> Self:
        """One that was being changed from one profile to another has one of them."""
        return msgspec.structs.replace(
            self,
            data=self.data and self.data.partition(",")[0],
            metadata=self.metadata and self.metadata.partition(",")[0],
        )

    def grown(self, graph: DeviceGraph) -> Sequence[Step]:
        """All of its devices are looked at, whichever has grown."""
        return (Grow(target=Node(layer=graph.devices(self)[0].id), type="btrfs"),) if self.fills else ()


class Subvolume(Layer, tag="btrfs.subvolume"):
    """A subvolume: mounted by itself, or seen as a directory of what it is in. One that nobody asked for stays."""

    part_of = "btrfs"
    incidental = True

    name: Name[str]
    """Its path from the top of the filesystem, without a slash at either end."""
    read_only: bool | None = None
    origin: How[str | None] = None
    """The subvolume it is made as a snapshot of: at the moment when that is made, and so empty."""

    def __post_init__(self) -> None:
        """A path is the same with or without slashes around it. Raises ValueError for one that leads elsewhere."""
        for field in ("name", "origin"):
            path: str | None = getattr(self, field)
            if path is None:
                continue
            words = [word for word in path.split("/") if word]
            if not words or {".", ".."} & set(words) or "\0" in path:
                raise ValueError(f"a subvolume's {field} must be a path below the top, and {path!r} is not")
            msgspec.structs.force_setattr(self, field, "/".join(words))

    def seen_from(self, root: str) -> Self:
        """That it can be written to goes without saying."""
        del root
        return msgspec.structs.replace(self, read_only=self.read_only or None)

    def describe(self) -> str:
        """Its path, and whether it can be written to."""
        return f"subvolume {self.name}" + (" (read-only)" if self.read_only else "")

    @property
    def title(self) -> str:
        """Its path."""
        return f"subvolume {self.name}"

    def rehearsed(self) -> Self:
        """What it was made of need not be there any more."""
        return msgspec.structs.replace(self, read_only=None)

    def is_emptied(self, graph: DeviceGraph) -> bool:
        """Whether it is a root with an empty snapshot to go back to at every boot."""
        return blank_of(self, graph) is not None

    def losing(self, graph: DeviceGraph, there: DeviceGraph) -> Sequence[str]:
        """Say which subvolumes go with a root that is emptied, though nobody spoke of them."""
        from pre_nixos.backends.btrfs.emptied import unspoken  # which is about roots, and those are subvolumes

        return unspoken(self, graph, there)

    def mounted_as(self) -> tuple[str, tuple[str, ...]]:
        """Every subvolume is mounted by its path."""
        return "btrfs", (f"subvol=/{self.name}",)


def blank_of(root: Subvolume, graph: DeviceGraph) -> Subvolume | None:
    """Give the empty snapshot that a system's root is put back to at boot.

    It is read-only, made of that subvolume and mounted nowhere: nobody has such a one for anything else.
    """
    if not any(isinstance(each, Mount) and each.at == "/" and each.directory is None for each in _uses(root, graph)):
        return None
    for pool in graph.under(root):
        for each in graph.parts_of_kind(pool, Subvolume):
            if each.origin == root.name and each.read_only and not _uses(each, graph):
                return each
    return None


def _uses(layer: Layer, graph: DeviceGraph) -> Sequence[Layer]:
    return [graph[each] for each in graph.standing_on(layer.id)]


def in_order(subvolumes: Sequence[Subvolume]) -> Sequence[Subvolume]:
    """Put first what others are made of or are in; a snapshot right behind its origin, before anything is in that."""
    waiting = sorted(subvolumes, key=lambda each: (each.origin is None, each.name))  # snapshots as soon as they can be
    names = {each.name for each in waiting}
    ordered: list[Subvolume] = []
    while waiting:
        made = {each.name for each in ordered}
        ready = next((each for each in waiting if _needs(each, names) <= made), waiting[0])
        waiting.remove(ready)
        ordered.append(ready)
    return ordered


def _needs(subvolume: Subvolume, names: set[str]) -> set[str]:
    words = subvolume.name.split("/")
    needed = {"/".join(words[:count]) for count in range(1, len(words))}
    if subvolume.origin:
        needed.add(subvolume.origin)
    return needed & names


__all__ = ["OPTIONS", "SIGNATURE", "Btrfs", "Subvolume", "blank_of", "in_order"]
