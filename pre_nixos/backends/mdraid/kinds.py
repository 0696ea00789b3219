"""What md makes: arrays of its own metadata, and the containers of firmware's metadata with the arrays in them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from pre_nixos.backends.mdraid.geometry import Level, array_size
from pre_nixos.backends.mdraid.health import FROZEN
from pre_nixos.backends.mdraid.room import GROWING
from pre_nixos.plugin import Fact, Layer, Mismatch, Name, Node, Passing, Run, human

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from pre_nixos.plugin import DeviceGraph, Step

DEFAULT_METADATA = "1.2"
EVERYBODYS = "any"
"""The host every array is made for here."""
STATE = "its state"
RECOVERY = "its recovery"
GROW = ("mdadm", "--grow")
MONITOR = "mdmon"
"""The program that keeps a container's metadata; it ends with the container."""


class Firmware(StrEnum):
    """Metadata that a machine's firmware understands, and that md reads but never writes of its own accord."""

    DDF = "ddf"
    IMSM = "imsm"

    @property
    def signature(self) -> str:
        """What libblkid calls a disk that carries it."""
        return "isw_raid_member" if self is Firmware.IMSM else "ddf_raid_member"


class Array(Layer, tag="mdraid.array"):
    """An array with md's own metadata, standing on its members, spares among them.

    Its name is what the superblock says without the host it was made for: `main` for `any:main`.
    """

    gathers = True

    name: Name[str]
    level: int | str
    """`1`, `"1"` or `"raid1"`; read back, always the last."""
    metadata: str | None = None
    """1.0, 1.1 or 1.2, which is what is made if nothing is said; 0.90 is recognised, but not made."""
    chunk: int | None = None
    """Bytes; 512 KiB is what is made if nothing is said."""
    spares: int | None = None
    """How many of the devices it stands on are to wait for another to fail."""
    members: Fact[int | None] = None
    """How many devices hold its data: all it stands on but the spares, if none is missing."""
    uuid: Fact[str | None] = None
    """As mdadm writes it."""
    unused: Fact[int] = 0
    """Bytes of every member that it does not use while it runs, because all of them have grown since."""
    action: Passing[str] = ""
    """What the kernel is doing to it beside its work: `resync`, `recover`, `check`, `idle`, or `frozen`."""
    shell: Passing[str] = ""
    """The number of its node while it is assembled but not started: it holds its members, and has no bytes."""

    def __post_init__(self) -> None:
        """Take the level in every spelling, and keep one."""
        msgspec.structs.force_setattr(self, "level", str(Level.of(self.level)))

    @property
    def raid(self) -> Level:
        """Its level, with what follows from it."""
        return Level.of(self.level)

    def mismatches(  # pyright: ignore[reportIncompatibleMethodOverride] - only layers of one kind are compared
        self, there: Self
    ) -> tuple[Mismatch, ...]:
        """One that was assembled in part is not what anybody wants, if the rest of it is there to be started with.

        Where nothing is striped there are no chunks to compare; and where something failed, a spare took its place.
        """
        moot = set[str]() if there.raid.is_striped else {"chunk"}
        moot |= set[str]() if there.health.satisfies else {"spares"}
        found = tuple(each for each in super().mismatches(there) if each.field not in moot)
        if there.unused and there.health.satisfies:  # one that lacks members gets them before it grows
            found = (*found, Mismatch(field="unused", there=human(there.unused), wanted="nothing"))
        if there.shell and there.health.satisfies:
            return (*found, Mismatch(field=STATE, there="not started", wanted="running"))
        if there.action == FROZEN and there.health.satisfies:  # a run that was to stop it may have been killed
            return (*found, Mismatch(field=RECOVERY, there=FROZEN, wanted="to run when it has to"))
        return found

    def describe(self) -> str:
        """Level, members and spares."""
        count = f" of {self.members}" if self.members is not None else ""
        spares = f" and {self.spares} spare" if self.spares else ""
        return f"{self.level}{count}{spares}"

    def explains(self) -> frozenset[str]:
        """The superblocks of its members."""
        return frozenset({"linux_raid_member"})

    def inner(self) -> frozenset[str]:
        """Its node, if that is not yet a device to be read."""
        return frozenset({self.shell} - {""})

    def occupies(self) -> frozenset[str]:
        """Its name below /dev/md."""
        return frozenset({f"md:{self.name}"})

    def mark(self) -> Mapping[str, str] | None:
        """A device is a member of one array at a time, so any array will do, also one that was never started."""
        return {"md/array_state": "*"}

    def found_at(self) -> str:
        """By the UUID in its superblocks."""
        return f"/dev/disk/by-id/md-uuid-{self.uuid}" if self.uuid else ""

    def grown(self, graph: DeviceGraph) -> Sequence[Step]:
        """Those that can lose a member can be grown, if they are known by where their members begin."""
        del graph
        if not self.raid.is_redundant or (self.metadata or DEFAULT_METADATA) not in GROWING:
            return ()
        return (Run(argv=(*GROW, Node(layer=self.id), "--size=max")),)

    def usable(self, below: Sequence[int]) -> int | None:
        """What it offers: to the byte where levels have redundancy, for then the size is said when it is made."""
        return array_size(self.raid, below, self.metadata or DEFAULT_METADATA, self.chunk, self.spares or 0)


class Container(Layer, tag="mdraid.container"):
    """Disks that a machine's firmware knows as one set; the arrays in it are its parts. It is recognised, not made."""

    gathers = True

    metadata: Name[str]
    """`ddf` or `imsm`."""
    uuid: Fact[str | None] = None
    shell: Passing[str] = ""
    """The number of its node, which has no bytes."""

    def explains(self) -> frozenset[str]:
        """What the firmware wrote on the disks."""
        return frozenset({Firmware(self.metadata).signature})

    def inner(self) -> frozenset[str]:
        """Its node, which is no device to be read."""
        return frozenset({self.shell} - {""})

    def describe(self) -> str:
        """Whose metadata it is."""
        return f"{self.metadata.upper()} of the firmware"

    def mark(self) -> Mapping[str, str] | None:
        """The one array of the disk that says its metadata is kept elsewhere."""
        return {"md/metadata_version": f"external:{self.metadata}"}


class Subarray(Layer, tag="mdraid.subarray"):
    """An array inside a container, which stands on the container and on the disks."""

    part_of = "mdraid.container"
    gathers = True

    name: Name[str]
    """Its place in the container."""
    uuid: Fact[str | None] = None
    """The container's, with the place: all that tells it from an array in another container."""
    level: int | str
    deserted: Passing[str] = ""
    """The node of its container, if the monitor that it needs has died: whatever is written to it waits for ever."""

    def __post_init__(self) -> None:
        """Take the level in every spelling, and keep one."""
        msgspec.structs.force_setattr(self, "level", str(Level.of(self.level)))

    def describe(self) -> str:
        """Its level."""
        return str(self.level)

    def explains(self) -> frozenset[str]:
        """What the firmware wrote on the disks."""
        return frozenset(each.signature for each in Firmware)

    def mark(self) -> Mapping[str, str] | None:
        """The container itself has no level."""
        return {"md/level": str(self.level)}
