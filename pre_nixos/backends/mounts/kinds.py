"""What a mount is."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from pre_nixos.backends.mounts.options import missing
from pre_nixos.plugin import Fact, How, Layer, Mismatch, Name, Passing

if TYPE_CHECKING:
    from typing import Self


NO_DEVICE = frozenset({"tmpfs", "ramfs", "efivarfs", "hugetlbfs"})
"""Types that are on no device."""


@runtime_checkable
class Mountable(Protocol):
    """What a layer offers if it is mounted otherwise than as a whole filesystem of its `type`: a subvolume, say."""

    def mounted_as(self) -> tuple[str, tuple[str, ...]]:
        """Give the filesystem type and the options the kernel needs to mount this."""
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
    mode: How[int | None] = None
    """The mode to give the filesystem's root directory once it is mounted."""
    type: Fact[str | None] = None
    """The type it is mounted as; needed from an author where what is below does not tell, or where nothing is."""
    directory: str | None = None
    """A directory of the filesystem that is mounted in place of all of it."""
    source_root: Fact[str] = "/"
    """The directory of the filesystem that is mounted; not `/` for a bind mount or a subvolume."""
    holders: Passing[tuple[str, ...]] = ()
    """Places of the mounts that must go before this one can: those inside it, over it, or made of its directories."""
    covers: Passing[int] = 0
    """How many others are mounted at the same place, below it."""
    hidden_by: Passing[tuple[str, ...]] = ()
    """Places around it at which something was mounted later: nobody sees it there."""

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
        return frozenset() if self.namespace else frozenset({f"at:{self.place}"})

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
        if self.directory not in {None, there.directory} and not there.source_root.endswith(self.directory or ""):
            found.append(Mismatch(field="directory", there=there.source_root, wanted=self.directory or ""))
        if there.hidden_by:
            hidden = f"hidden by what was mounted at {there.hidden_by[0]} later"
            found.append(Mismatch(field="place", there=hidden, wanted="to be seen"))
        lacking = missing(self.options or (), there.options or ())
        if lacking:
            shown = ",".join(there.options or ()) or "not set"
            found.append(Mismatch(field="options", there=shown, wanted=",".join(lacking)))
        return tuple(found)


def places_around(path: str) -> frozenset[str]:
    """Name the places a path lies in, as mounts occupy them."""
    around = (path[:position] for position, letter in enumerate(path) if letter == "/")
    return frozenset(f"at:{each or '/'}" for each in around if each or path != "/")
