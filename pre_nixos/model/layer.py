"""Layers: one thing built on other things, from the bare disk to the mount."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

from pre_nixos.model.data import Data
from pre_nixos.model.device import BlockDevice
from pre_nixos.model.size import Exact, Rest, Share, told_apart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.step import Step

T = TypeVar("T")


class Role(StrEnum):
    """What a field of a layer is for."""

    NAME = "name"
    """Tells siblings apart."""
    WISH = "wish"
    """What `format` can make; compared, unless what is wanted says nothing of it."""
    FACT = "fact"
    """Only probing knows it; never compared, but part of what a consent is given for."""
    HOW = "how"
    """Said to the tool that makes it; it leaves no trace to be read back, so it is never compared."""
    PASSING = "passing"
    """True at the moment only: kernel names, progress, health; never compared and never consented to."""


Name = Annotated[T, Role.NAME]
Fact = Annotated[T, Role.FACT]
How = Annotated[T, Role.HOW]
Passing = Annotated[T, Role.PASSING]


class State(StrEnum):
    """Where a layer is between not being there and being in use."""

    ABSENT = "absent"
    INACTIVE = "inactive"
    ACTIVE = "active"


class Health(StrEnum):
    """How well a layer is; separate from whether it is active."""

    OK = "ok"
    SYNCING = "syncing"
    """Every slot has a member and recovery runs or is queued: the normal state of a new array."""
    DEGRADED = "degraded"
    FAILED = "failed"

    @property
    def satisfies(self) -> bool:
        """Whether a layer in this health is as it should be."""
        return self in {Health.OK, Health.SYNCING}


class Mismatch(Data):
    """One wish that is not what is there."""

    field: str
    there: str
    wanted: str

    def __str__(self) -> str:
        """As a person would say it."""
        return f"{self.field} is {self.there}, wanted {self.wanted}"


class Layer(Data, tag_field="kind"):
    """One thing built on other layers.

    A backend subclasses this with typed fields, each of which is a `Name`, a wish (unmarked), a `Fact` or `Passing`,
    and overrides the few methods below that its kind needs. All of them are pure.
    """

    id: Passing[str] = ""
    """Given by the graph the layer is in; never by a backend or an author."""
    state: Fact[State | None] = None
    device: Passing[BlockDevice | None] = None
    """The block device this layer offers, if it is there."""
    health: Passing[Health] = Health.OK
    remark: Passing[str] = ""
    """What a person should know of its health."""

    part_of: ClassVar[str | None] = None
    """The kind whose hooks make, change and remove the whole set of these in one action."""
    gathers: ClassVar[bool] = False
    """Whether it may stand on several layers, which makes its name its identity."""
    ephemeral: ClassVar[bool] = False
    """Whether it has no inactive state: activate makes it, deactivate ends it, nothing is lost."""
    incidental: ClassVar[bool] = False
    """Whether one that nobody asked for stays while what it stands on does: it is content, as a file would be."""
    precious: ClassVar[bool] = True
    """Whether what offers no device holds something of its own; a table or a group is only what is in it."""
    anchored: ClassVar[bool] = True
    """Whether sysfs leads from what it stands on to the device it offers; if not, its mark alone must tell it."""

    @property
    def kind(self) -> str:
        """The name of its kind, such as `lvm.group`."""
        return kind_of(type(self))

    @property
    def segment(self) -> str:
        """What tells it from its siblings: its name if it has one, else its kind."""
        names = [str(getattr(self, field)) for field, role in roles(type(self)).items() if role is Role.NAME]
        return names[0] if names else self.kind

    @property
    def since(self) -> int:
        """How late it came to be among uses with the same segment: the last of them is ended first."""
        return 0

    @property
    def buried(self) -> int:
        """How many other uses must end before this one can be got at."""
        return 0

    @property
    def alone(self) -> str:
        """What tells it from others of its kind when it stands on nothing, or on several layers."""
        return self.segment

    @property
    def title(self) -> str:
        """A short name for people."""
        kind = self.kind.rpartition(".")[2]
        return f"{kind} {self.segment}" if self.segment != self.kind else kind

    def describe(self) -> str:
        """Say in a few words what it is, for the tree."""
        return ""

    def label_for_uuid(self) -> str:
        """Give what tells two of one id apart for good: a UUID only probing knows; empty if there is none."""
        return str(getattr(self, "uuid", None) or "")

    def explains(self) -> frozenset[str]:
        """Name the signatures, as libblkid calls them, that it accounts for on the devices it stands on."""
        return frozenset()

    def inner(self) -> frozenset[str]:
        """Give the numbers of further devices it accounts for, such as the hidden halves of a mirror."""
        return frozenset()

    def occupies(self) -> frozenset[str]:
        """Name what only one thing on a machine can have, such as `vg:main`, `mapper:main-slash` or `at:/mnt`."""
        return frozenset()

    def within(self) -> frozenset[str]:
        """Name what must be there first, if it is wanted at all: of what others occupy, that in which this lies."""
        return frozenset()

    def opened_with(self) -> tuple[str, ...]:
        """Name the secrets it takes to activate it, by reference, so that a person is asked before anything begins."""
        return ()

    def mark(self) -> Mapping[str, str] | None:
        """Say by which sysfs attributes the device it offers is known (`*` is any value); None if it offers none."""
        return None

    def found_at(self) -> str:
        """Give the path below /dev by which it, or the device it offers, is found at every boot; empty if none is."""
        return ""

    def reached_by(self) -> frozenset[str]:
        """Give the paths below /dev that lead to the device it offers, or may at any moment."""
        return frozenset(self.device.links if self.device is not None else ())

    def unfit(self, below: Sequence[Layer]) -> str:
        """Say why it cannot be wanted on these, what to put it on included; empty if it can be.

        That a part needs its container, and what is neither a part nor ephemeral a device of its own, need not be said;
        nor that each of several it gathers is one.
        """
        del below
        return ""

    def usable(self, below: Sequence[int]) -> int | None:
        """Give a lower bound of the bytes it offers, on devices of these sizes; None if it offers no space."""
        del below
        return None

    def rehearsed(self) -> Self:
        """Give what is made in its place where it is only rehearsed: with what it takes and nobody there can know."""
        return self

    def rooted(self, root: str) -> Self:
        """Give the same for a system whose root is at another directory, where that makes a difference."""
        del root
        return self

    def seen_from(self, root: str) -> Self | None:
        """Give what somebody would say of it who describes the system whose root is this directory; None for nothing.

        Only what was found is asked: it has more to it than anybody would have asked for.
        """
        del root
        return self

    def grown(self, graph: DeviceGraph) -> Sequence[Step]:
        """Give the steps by which it takes all of a device that has grown below it; none if nothing is to be done."""
        del graph
        return ()

    def borrows(self, graph: DeviceGraph) -> bool:
        """Whether room for what is written to its device is taken from others, as in a pool or a copy-on-write store.

        What is on it is not cleared away where it goes itself: that would only take from those that stay.
        """
        del graph
        return False

    def holds_nothing(self) -> bool:
        """Whether nothing can be read of the device it offers any more, by anybody: then there is nothing to lose."""
        return False

    def was_used(self) -> bool:
        """Whether somebody has used it since it was made, by what it says of itself: then its making had ended."""
        return False

    def arrange(self, space: int, parts: Sequence[Layer]) -> Sequence[Layer]:
        """Resolve the sizes of its parts, given the bytes it has for them. Raises ValueError with the arithmetic."""
        del space
        return parts

    def mismatches(self, there: Self) -> tuple[Mismatch, ...]:
        """List the wishes of this layer that the one that is there does not fulfil."""
        found: list[Mismatch] = []
        for field, role in roles(type(self)).items():
            if role is not Role.WISH:
                continue
            mine, its = getattr(self, field), getattr(there, field)
            if mine is not None and mine != its:
                said, asked = told_apart(_plain(its), _plain(mine), its, mine)
                found.append(Mismatch(field=field, there=said, wanted=asked))
        return tuple(found)


AT = "at:"
"""What a directory begins with among the names that only one thing can have."""


def holding(name: str) -> str:
    """Say of what has a name that only one thing can have, that it has it."""
    return f"is mounted at {name.removeprefix(AT)}" if name.startswith(AT) else f"has the name {bare(name)}"


def bare(name: str) -> str:
    """Give a name that only one thing can have as people know it."""
    return name.partition(":")[2] or name


def _plain(value: object) -> str:
    if value in (None, "", ()):
        return "not set"
    if isinstance(value, tuple):
        return ",".join(_plain(each) for each in cast("tuple[object, ...]", value))
    return str(value)


class Disk(Layer, tag="disk"):
    """A whole disk: where every stack begins."""

    wwn: Fact[str | None] = None
    serial: Fact[str | None] = None
    model: Fact[str | None] = None
    size: Fact[int] = 0

    @property
    def segment(self) -> str:
        """The identity the graph gave it; a disk is not named by anything else."""
        return self.id.removeprefix("disk:")

    @property
    def title(self) -> str:
        """Model and serial, as they are printed on the disk."""
        return " ".join(filter(None, ("disk", self.model, self.serial or self.segment)))

    def mark(self) -> Mapping[str, str] | None:
        """A disk is where the search begins."""
        return {}

    def found_at(self) -> str:
        """The link with its serial number or its WWN, if there is one, or else that of the place it is plugged in at.

        Other links may be named after what is on it, and go with that.
        """
        own = [each for each in (self.serial, (self.wwn or "").rpartition(".")[2]) if each]
        for lasting in ("/dev/disk/by-id/", "/dev/disk/by-path/"):
            links = [each for each in (self.device.links if self.device else ()) if each.startswith(lasting)]
            if links:
                return min(links, key=lambda link: ([each not in link for each in own], link))
        return ""

    def usable(self, below: Sequence[int]) -> int | None:
        """All of it."""
        del below
        return self.device.size if self.device else self.size


class Unrecognised(Layer, tag="unrecognised"):
    """A signature, a holder or bytes that no backend claims."""

    what: Name[str]
    """libblkid's name of the signature; `data` for readable bytes nobody claims; or words, if it is immovable."""
    immovable: Fact[bool] = False
    """Whether nothing of ours can remove it: an unknown holder, or a device that cannot be read."""
    uuid: Fact[str] = ""

    def mark(self) -> Mapping[str, str] | None:
        """Whatever it is, it may offer a device that others stand on; no step will ever name it."""
        return {"size": "*"} if self.device else None

    def explains(self) -> frozenset[str]:
        """It stands for this very signature."""
        return frozenset({self.what})

    def describe(self) -> str:
        """Say what it is that was not recognised."""
        if self.immovable:
            return self.what
        return "unknown data" if self.what == "data" else f"signature {self.what}, which no backend claims"


_ROLES: dict[type, Mapping[str, Role]] = {}


def roles(cls: type[Layer]) -> Mapping[str, Role]:
    """Give the role of every field of a kind, in the order they were written."""
    known = _ROLES.get(cls)
    if known is None:
        hints: dict[str, Any] = get_type_hints(cls, include_extras=True)
        known = _ROLES[cls] = {field: _role(hints[field]) for field in cls.__struct_fields__}
    return known


def _role(hint: object) -> Role:
    if get_origin(hint) is Annotated:
        return next((each for each in get_args(hint)[1:] if isinstance(each, Role)), Role.WISH)
    return Role.WISH


def kind_of(cls: type[Layer]) -> str:
    """Give the name of a kind."""
    tag = cls.__struct_config__.tag
    if not isinstance(tag, str):
        raise TypeError(f"{cls.__qualname__} names no kind: write class {cls.__name__}(Layer, tag='backend.thing')")
    return tag


def anonymous(layer: Layer) -> Layer:
    """Give the layer without what the kernel happens to call it now, so that a plan reads the same after a reboot."""
    device = layer.device
    if device is None:
        return layer
    plain = msgspec.structs.replace(device, name="", number="", diskseq=None, links=())
    return msgspec.structs.replace(layer, device=plain)


def without_passing(layer: Layer) -> dict[str, object]:
    """Give the fields of a layer that identify what is there, as plain data."""
    kept = {field: getattr(layer, field) for field, role in roles(type(layer)).items() if role is not Role.PASSING}
    return {"kind": layer.kind, **msgspec.to_builtins(kept)}


__all__ = [
    "BlockDevice",
    "Disk",
    "Exact",
    "Fact",
    "Health",
    "How",
    "Layer",
    "Mismatch",
    "Name",
    "Passing",
    "Rest",
    "Role",
    "Share",
    "State",
    "Unrecognised",
    "anonymous",
    "kind_of",
    "roles",
    "without_passing",
]
