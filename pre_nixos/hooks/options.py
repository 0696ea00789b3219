"""Values of options of NixOS that are more than plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.model.graph import DeviceGraph

REMARKS = "# remarks"
"""In the place of an option: sentences for people, about what NixOS cannot be told or does not do by itself."""


class Default(Data):
    """A value that gives way to any other that somebody sets."""

    value: object


class Package(Data):
    """A package of the system that is configured, or the path of something in it."""

    name: str
    """The attribute of `pkgs`, such as `rsync`."""
    path: str = ""
    """Where it is in there, such as `bin/rsync`; empty for the package itself."""


Piece: TypeAlias = str | Package


class Lines(Data):
    """Text that several layers add to: a configuration file, a script."""

    blocks: tuple[tuple[Piece, ...], ...]
    """Each ends with a line break; what two layers have alike is said once."""

    @classmethod
    def of(cls, *blocks: str) -> Lines:
        """Take blocks of plain text; each gets its line break."""
        return cls(blocks=tuple((f"{each}\n",) for each in blocks))

    def pieces(self) -> Sequence[Piece]:
        """All of it."""
        return [piece for block in self.blocks for piece in block]

    def with_more(self, other: Lines) -> Lines:
        """Put those blocks of another one behind that are not there yet."""
        return Lines(blocks=(*self.blocks, *(each for each in other.blocks if each not in self.blocks)))


@runtime_checkable
class Losing(Protocol):
    """What a layer offers if what nobody asked for, and is there all the same, may be lost once NixOS does as told."""

    def losing(self, graph: DeviceGraph, there: DeviceGraph) -> Sequence[str]:
        """Say what goes, in sentences for people. Raises InvalidLayout where nobody would expect it."""
        ...


__all__ = ["REMARKS", "Default", "Lines", "Losing", "Package", "Piece"]
