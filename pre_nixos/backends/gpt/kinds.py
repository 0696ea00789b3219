"""What a GPT and its partitions are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pre_nixos.backends.gpt import types
from pre_nixos.backends.gpt.places import FIRST, LAST_SECTORS, arranged
from pre_nixos.plugin import Exact, Fact, Layer, Mismatch, Name, Size, as_size, human, parse_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self


class Table(Layer, tag="gpt"):
    """A GUID partition table on a whole device."""

    precious = False
    uuid: Fact[str] = ""
    """The disk GUID."""
    unusual: Fact[str] = ""
    """How its list of partitions leaves room for something else, such as the boot loader of a board, in words."""
    lasting: Fact[bool] = True
    """Whether its list stays as long as it is, and where it is, when the table is rewritten."""
    beside: Fact[tuple[str, ...]] = ()
    """Types of the partitions that a hybrid MBR has beside the entry that protects the table, in hexadecimal digits."""

    def unfit(self, below: Sequence[Layer]) -> str:
        """Each device has its own."""
        return "" if len(below) == 1 else "a table is on one device: add one for each"

    def explains(self) -> frozenset[str]:
        """Itself, and the MBR that protects it."""
        return frozenset({"gpt", "PMBR"})

    def usable(self, below: Sequence[int]) -> int | None:
        """What lies between 1 MiB and the backup table."""
        return max(0, sum(below) - FIRST - LAST_SECTORS)

    def arrange(self, space: int, parts: Sequence[Layer]) -> Sequence[Layer]:
        """Give every partition its place. Raises ValueError with all that is wrong, and the arithmetic."""
        mine = [each for each in parts if isinstance(each, Partition)]
        places = iter(arranged(mine, space))
        return [next(places) if isinstance(each, Partition) else each for each in parts]

    def mismatches(  # pyright: ignore[reportIncompatibleMethodOverride] - only layers of one kind are compared
        self, there: Self
    ) -> tuple[Mismatch, ...]:
        """A table that is damaged, or that the kernel does not go by, is not what anybody wants."""
        if there.health.satisfies:
            return ()
        return (Mismatch(field="its state", there=there.remark or str(there.health), wanted="sound and in force"),)


class Partition(Layer, tag="gpt.partition"):
    """One partition."""

    part_of = "gpt"
    number: Name[int]
    size: Size | str | int
    type: str | None = None
    """A name such as `esp` or `raid`, one of sgdisk's codes, or a GUID; kept as the GUID."""
    label: str | None = None
    """Its name in the table (PARTLABEL): for people, at most 36 UTF-16 units."""
    uuid: str | None = None
    """Its PARTUUID; asked for, never invented."""
    attributes: int | None = None
    start: int | None = None
    """In bytes from the start of the device; None leaves it to the arrangement."""

    def __post_init__(self) -> None:
        """Sizes, types and UUIDs are the same however they are written. Raises ValueError for a size that is none."""
        msgspec.structs.force_setattr(self, "size", as_size(self.size))
        if self.type is not None:
            msgspec.structs.force_setattr(self, "type", types.normal(self.type))
        if self.uuid is not None:
            msgspec.structs.force_setattr(self, "uuid", self.uuid.strip().lower())

    @property
    def segment(self) -> str:
        """Its number."""
        return str(self.number)

    @property
    def title(self) -> str:
        """Its number and name."""
        return f"partition {self.number}" + (f" {self.label!r}" if self.label else "")

    def describe(self) -> str:
        """Type, size and name."""
        label = repr(self.label) if self.label else ""
        return " ".join(filter(None, (types.shown(self.type) if self.type else "", str(self.size), label)))

    def mark(self) -> Mapping[str, str] | None:
        """The kernel shows its number."""
        return {"partition": str(self.number)}

    def found_at(self) -> str:
        """By its PARTUUID."""
        return f"/dev/disk/by-partuuid/{self.uuid}" if self.uuid else ""

    def reached_by(self) -> frozenset[str]:
        """Also by its label and its PARTUUID, whichever partition has that link at the moment."""
        labels = {f"/dev/disk/by-partlabel/{self.label}"} if self.label else set[str]()
        return super().reached_by() | labels | set(filter(None, [self.found_at()]))

    def usable(self, below: Sequence[int]) -> int | None:
        """Exactly its size, once that is known."""
        del below
        return self.size.bytes if isinstance(self.size, Exact) else None

    def mismatches(  # pyright: ignore[reportIncompatibleMethodOverride] - only layers of one kind are compared
        self, there: Self
    ) -> tuple[Mismatch, ...]:
        """Compare what was asked for, in words people use for it."""
        return tuple(
            msgspec.structs.replace(each, there=types.shown(each.there), wanted=types.shown(each.wanted))
            if each.field == "type"
            else msgspec.structs.replace(each, there=_placed(there.start), wanted=_placed(self.start))
            if each.field == "start"
            else each
            for each in super().mismatches(there)
        )


def _placed(start: int | None) -> str:
    if start is None:
        return "not set"
    said = human(start)
    return said if start % FIRST == 0 and parse_bytes(said) == start else f"byte {start}"
