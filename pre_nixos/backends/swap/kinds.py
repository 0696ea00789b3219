"""What swap is: areas on devices, devices in use, and files in use."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

import msgspec

from pre_nixos.backends.mounts import holds_files, places_around
from pre_nixos.plugin import (
    MIB,
    Exact,
    Fact,
    Grow,
    How,
    Layer,
    Mismatch,
    Name,
    Node,
    Run,
    Size,
    State,
    SwapOff,
    SwapOn,
    as_size,
    human,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from pre_nixos.plugin import DeviceGraph, Step

READY, HIBERNATED = "swap", "swsuspend"
"""Signatures: hibernation puts the second in the place of the first."""


class Area(Layer, tag="swap"):
    """A device made ready to be used as swap."""

    precious = False
    label: str | None = None
    uuid: str | None = None
    fills: How[bool] = True
    """Whether it is to grow when its device has become larger."""
    unused: Fact[int] = 0
    """Bytes of its device that it does not use."""
    hibernated: Fact[bool] = False
    """Whether a system sleeps in it, whose unsaved state goes with it."""

    def __post_init__(self) -> None:
        """UUIDs are the same however they are written."""
        if self.uuid is not None:
            msgspec.structs.force_setattr(self, "uuid", self.uuid.lower())

    def unfit(self, below: Sequence[Layer]) -> str:
        """Each device has its own."""
        return "" if len(below) == 1 else "an area is on one device: add one for each"

    def mismatches(  # pyright: ignore[reportIncompatibleMethodOverride] - only layers of one kind are compared
        self, there: Self
    ) -> tuple[Mismatch, ...]:
        """It is to use all of its device, unless it need not, or a system sleeps in it."""
        found = super().mismatches(there)
        if self.fills and there.unused and not there.hibernated:
            found = (*found, Mismatch(field="unused", there=human(there.unused), wanted="nothing"))
        return found

    def grown(self, graph: DeviceGraph) -> Sequence[Step]:
        """Nobody swaps to it meanwhile; afterwards it is used as it is to be, or else as it was."""
        if not self.fills:
            return ()
        node = Node(layer=graph.devices(self)[0].id)
        grow = Grow(target=node, type=READY)
        uses = [each for each in map(graph.__getitem__, graph.standing_on(self.id)) if isinstance(each, Use)]
        wanted = next((each for each in uses if each.state is not State.INACTIVE), None)
        return (SwapOff(target=node), grow, using(wanted, node)) if wanted else (grow,)

    def explains(self) -> frozenset[str]:
        """Its own signature, also in the form hibernation gives it."""
        return frozenset({READY, HIBERNATED})

    def found_at(self) -> str:
        """By its UUID."""
        return f"/dev/disk/by-uuid/{self.uuid}" if self.uuid else ""

    def made_again(self, node: Node) -> Sequence[Step]:
        """Give the steps that make it on a mapping that nobody has the former key of: there is nothing to look for."""
        return [making(self, node)]

    def describe(self) -> str:
        """What it is, its label, and whether a system sleeps in it."""
        named = f"swap {self.label!r}" if self.label else "swap"
        return f"{named} with a hibernated system" if self.hibernated else named


def making(area: Area, node: Node) -> Run:
    """Make a device ready."""
    label = ("--label", area.label) if area.label else ()
    uuid = ("--uuid", area.uuid) if area.uuid else ()
    return Run(argv=("mkswap", *label, *uuid, node))


class Use(Layer, tag="swap.use"):
    """A device in use as swap."""

    ephemeral = True
    priority: int | None = None
    """From 0 to 32767, the highest is used first; None leaves it to the kernel, or says that it was."""
    discard: How[bool] = False
    """Whether to tell the device which blocks are no longer in use."""
    discard_policy: How[str | None] = None
    """When: `once`, all of it at the beginning; `pages`, as they become free; `both`, which is what is done if nothing
    is said."""
    options: How[tuple[str, ...]] = ()
    """What else the booted system is to mount it with, in the words of /etc/fstab."""
    resume: How[bool] = False
    """Whether the booted system sleeps in it, and wakes up from it."""

    def unfit(self, below: Sequence[Layer]) -> str:
        """Only a device that was made ready for it can be used."""
        ready = len(below) == 1 and isinstance(below[0], Area)
        return "" if ready else "only an area is used as swap: put it on one swap.Area()"

    @property
    def title(self) -> str:
        """It has no name; what it stands on has."""
        return "in use as swap"


def using(use: Use, node: Node) -> SwapOn:
    """Use a device as swap."""
    return SwapOn(target=node, priority=use.priority, discard=use.discard, policy=use.discard_policy or "")


class File(Layer, tag="swap.file"):
    """A file in use as swap."""

    ephemeral = True
    path: Name[str]
    """Where the installed system will see it; it stands on the filesystem or the subvolume it lies in."""
    root: Name[str] = "/"
    """Where that system's root is now."""
    size: Size | str | int | None = None
    """What it is made with, if it is not there."""
    priority: int | None = None
    options: How[tuple[str, ...]] = ()
    """What else the booted system is to use it with, in the words of /etc/fstab."""

    def __post_init__(self) -> None:
        """Take a size in every spelling. Raises ValueError for one that is none."""
        if self.size is not None:
            msgspec.structs.force_setattr(self, "size", as_size(self.size))
        msgspec.structs.force_setattr(self, "root", "/" + posixpath.normpath(self.root).strip("/"))

    @property
    def place(self) -> str:
        """The path as this system sees it."""
        return self.root.rstrip("/") + self.path

    @property
    def segment(self) -> str:
        """The path, marked as swap among what else may be on the filesystem."""
        return f"swap@{self.place}"

    def unfit(self, below: Sequence[Layer]) -> str:
        """A file lies in a filesystem, or in what is mounted like one."""
        return "" if all(holds_files(each) for each in below) else "a file lies in a filesystem: put it on one"

    def within(self) -> frozenset[str]:
        """Whatever is mounted around it: without that it would be another file."""
        return places_around(self.place)

    def rooted(self, root: str) -> Self:
        """It is where its filesystem is mounted."""
        return msgspec.structs.replace(self, root=root)

    @property
    def title(self) -> str:
        """The file is what people know it by."""
        return f"swap file {self.place}"

    def mismatches(  # pyright: ignore[reportIncompatibleMethodOverride] - only layers of one kind are compared
        self, there: Self
    ) -> tuple[Mismatch, ...]:
        """The kernel leaves out what it cannot use of a file, which is next to nothing."""
        mine, its = self.size, there.size
        near = not isinstance(mine, Exact) or not isinstance(its, Exact) or abs(mine.bytes - its.bytes) < SLACK
        return tuple(each for each in super().mismatches(there) if each.field != "size" or not near)


SLACK = MIB
