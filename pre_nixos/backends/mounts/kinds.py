"""What a mount is."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.mounts.options import asked_for, missing
from pre_nixos.plugin import AT, Fact, How, Layer, Mismatch, Name, Passing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from pre_nixos.plugin import DeviceGraph

WRITABLE = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "tmpfs"})
"""Types that turn read-only by themselves when something is wrong, if they are not mounted so."""
WHOLE = WRITABLE - {"btrfs"}
"""Types of which there is only one root to be mounted; of btrfs, what is mounted is a subvolume."""
NO_DEVICE = frozenset({"tmpfs", "ramfs", "efivarfs", "hugetlbfs"})
"""Types that are on no device."""


@runtime_checkable
class Mountable(Protocol):
    """What a layer offers if it is mounted otherwise than as a whole filesystem of its `type`: a subvolume, say."""

    def mounted_as(self) -> tuple[str, tuple[str, ...]]:
        """Give the filesystem type and the options the kernel needs to mount this."""
        ...


@runtime_checkable
class Emptied(Protocol):
    """What a layer offers that may be made anew at every boot, with what was in it gone."""

    def is_emptied(self, graph: DeviceGraph) -> bool:
        """Whether it is."""
        ...


class Mount(Layer, tag="mount"):
    """A filesystem mounted at a directory."""

    ephemeral = True
    at: Name[str]
    """The directory as the installed system will see it."""
    root: Name[str] = "/mnt"
    """Where that system's root is now; what is probed has `/`."""
    namespace: Name[str] = ""
    """The mount namespace, if it is not our own."""
    options: tuple[str, ...] | None = None
    """Each of these must be in force; others may be too."""
    overruled: How[tuple[str, ...]] = ()
    """Those of its options that its filesystem does not have, because another mount of it says otherwise."""
    mode: How[int | None] = None
    """The mode to give the filesystem's root directory once it is mounted."""
    type: Fact[str | None] = None
    """The type it is mounted as; needed from an author where what is below does not tell, or where nothing is."""
    directory: str | None = None
    """A directory of the filesystem that is mounted in place of all of it; `/` for what is mounted elsewhere too."""
    source_root: Fact[str] = "/"
    """The directory of the filesystem that is mounted; not `/` for a bind mount or a subvolume."""
    holders: Passing[tuple[str, ...]] = ()
    """Places of the mounts that must go before this one can: those inside it, over it, or made of its directories."""
    covers: Passing[int] = 0
    """How many others are mounted at the same place, below it."""
    hidden_by: Passing[tuple[str, ...]] = ()
    """Places around it at which something was mounted later: nobody sees it there."""
    covered: Passing[bool] = False
    """Whether something was mounted at the same place later, which is then what one sees."""
    permissions: Passing[int | None] = None
    """The mode that directory has now, where that could be seen."""

    def __post_init__(self) -> None:
        """Paths must be absolute, and are kept in the one form that compares. Raises ValueError."""
        for field in ("at", "root", "directory"):
            path: str | None = getattr(self, field)
            if path is None:
                continue
            if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
                raise ValueError(f"a mount's {field} must be an absolute path without '..', and {path!r} is not")
            msgspec.structs.force_setattr(self, field, "/" + posixpath.normpath(path).strip("/"))
        if any("," in each and '"' not in each for each in self.options or ()):
            # As one may write them behind `mount -o`; what stands in quotes is one value.
            apart = (part for each in self.options or () for part in ([each] if '"' in each else each.split(",")))
            msgspec.structs.force_setattr(self, "options", tuple(filter(None, apart)))

    @property
    def place(self) -> str:
        """The directory as this system sees it."""
        return "/" + f"{self.root}{self.at}".strip("/") if self.root != "/" else self.at

    @property
    def segment(self) -> str:
        """Where it is mounted: two mounts of one filesystem are two layers."""
        return f"mount@{self.place}" + (f" in {self.namespace}" if self.namespace else "")

    @property
    def title(self) -> str:
        """The place, and the namespace if it is a foreign one."""
        return f"mount at {self.place}" + (f" in {self.namespace}" if self.namespace else "")

    def rooted(self, root: str) -> Self:
        """It is at the same directory of that system."""
        return msgspec.structs.replace(self, root=root)

    def seen_from(self, root: str) -> Self | None:
        """With the directory as that system sees it, and the options somebody must have asked for."""
        inside = posixpath.relpath(self.place, root)
        if self.namespace or inside.split("/")[0] == "..":
            return None
        options = asked_for(self.options or ()) or None
        return msgspec.structs.replace(self, at=f"/{inside}", root=root, options=options)

    @property
    def since(self) -> int:
        """What is mounted over another came later."""
        return self.covers

    @property
    def buried(self) -> int:
        """Each of the mounts that hide it."""
        return len(self.hidden_by)

    def within(self) -> frozenset[str]:
        """Whatever is mounted around it: mounted later, that would hide it."""
        return frozenset() if self.namespace else places_around(self.place)

    def occupies(self) -> frozenset[str]:
        """The place, which only one thing can be mounted at."""
        return frozenset() if self.namespace else frozenset({f"{AT}{self.place}"})

    def unfit(self, below: Sequence[Layer]) -> str:
        """What is mounted is in a device; and what it is mounted as must be known from that, or be said."""
        if len(below) > 1:
            return "one thing is mounted at one place"
        for each in below:
            if each.mark() is not None:
                return "a device is not mounted, but what is on it: put it on a filesystem"
            if not self.type and not holds_files(each):
                return f"a {each.kind} does not say what type of filesystem it is: put it on one, or give the type"
        return ""

    def describe(self) -> str:
        """The options that were asked for or are in force."""
        return ",".join(self.options or ())

    def mismatches(  # pyright: ignore[reportIncompatibleMethodOverride] - only layers of one kind are compared
        self, there: Self
    ) -> tuple[Mismatch, ...]:
        """Each option that is wanted must be in force; what is on no device, or is a part only, must be just that."""
        found: list[Mismatch] = []
        if self.type in NO_DEVICE and self.type != there.type:
            found.append(Mismatch(field="type", there=there.type or "not known", wanted=self.type or ""))
        if self.directory not in {None, "/", there.directory} and not there.source_root.endswith(self.directory or ""):
            found.append(Mismatch(field="directory", there=there.source_root, wanted=self.directory or ""))
        if self.directory in {None, "/"} and there.source_root != "/" and there.type in WHOLE:
            found.append(Mismatch(field="directory", there=there.source_root, wanted="all of it"))
        if there.hidden_by or there.covered:
            where = there.hidden_by[0] if there.hidden_by else there.at
            found.append(
                Mismatch(field="place", there=f"hidden by what was mounted at {where} later", wanted="to be seen")
            )
        if self.mode is not None and there.permissions not in {None, self.mode}:
            found.append(Mismatch(field="mode", there=f"{there.permissions:04o}", wanted=f"{self.mode:04o}"))
        lacking = self.lacking(there)
        if lacking:
            shown = ",".join(there.options or ()) or "not set"
            found.append(Mismatch(field="options", there=shown, wanted=",".join(lacking)))
        return tuple(found)

    @property
    def given(self) -> tuple[str, ...]:
        """Its options without those that its filesystem does not have."""
        return tuple(each for each in self.options or () if each not in self.overruled)

    def lacking(self, there: Self) -> tuple[str, ...]:
        """List the options that are wanted and not in force; what may be written to is so unless somebody said `ro`."""
        options = self.given
        if there.type in WRITABLE and not {"ro", "rw"} & set(options) and "ro" in (there.options or ()):
            options = (*options, "rw")
        return missing(options, there.options or (), there.type)


def wholes(support: str, graph: DeviceGraph) -> Sequence[Mount]:
    """Give where all of what is on this is mounted, as everybody sees it."""
    standing = [graph[each] for each in graph.standing_on(support)]
    return [each for each in standing if isinstance(each, Mount) and each.directory is None and not each.namespace]


def source_of(layer: Mount, graph: DeviceGraph) -> str:
    """Give the path that a directory has where all of its filesystem is mounted; empty if that is nowhere."""
    whole = [each for support in graph.on(layer.id) for each in wholes(support, graph)]
    return posixpath.normpath(f"{whole[0].at}/{layer.directory}") if whole else ""


def holds_files(layer: Layer) -> bool:
    """Whether a layer is known to be a filesystem, or something in one that is mounted like one."""
    return isinstance(layer, Filesystem | Mountable)


def places_around(path: str) -> frozenset[str]:
    """Name the places a path lies in, as mounts occupy them."""
    around = (path[:position] for position, letter in enumerate(path) if letter == "/")
    return frozenset(f"{AT}{each or '/'}" for each in around if each or path != "/")
