"""GPT as bytes: reading both copies, and saying in them what libparted 3.5 has no words for.

libparted lays a table out: geometry, headers, both copies, the protective MBR. It cannot set a type GUID, a PARTUUID or
attribute bits, and it numbers partitions by itself. Those live in the entries alone, so they are put into the entries
libparted wrote, and the checksums follow. Nothing here touches a device.
"""

from __future__ import annotations

import struct
import zlib
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING
from uuid import UUID

from pre_nixos.host.doing.ranges import clip
from pre_nixos.model.data import Data
from pre_nixos.model.step import Range, TableEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
NAME_UNITS = 36
"""UTF-16 units a partition's name may have."""
_PROTECTIVE = 0xEE
LARGEST_ARRAY = 4 * 1024 * 1024
"""No sound table has more bytes of entries; a larger count is damage."""
SLOTS = 128
"""How many entries libparted makes room for in a table of its own."""


class Copy(Data):
    """One of the two copies of a table."""

    sector: int
    """Bytes in a logical block of the disk."""
    header: bytes
    """The whole sector."""
    array: bytes

    @property
    def fields(self) -> Header:
        """What the header says."""
        return Header.read(self.header)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries in use, by number."""
        size = self.fields.entry_size
        return tuple(
            Entry.read(number, self.array[at : at + size], self.sector)
            for number, at in enumerate(range(0, len(self.array), size), 1)
            if any(self.array[at : at + 16])
        )

    def has_room(self, wanted: Iterable[TableEntry]) -> bool:
        """Whether these partitions fit between this table's ends and into its slots."""
        fields = self.fields
        first, end = fields.first_usable * self.sector, (fields.last_usable + 1) * self.sector
        return all(e.number <= fields.count and first <= e.start and e.start + e.length <= end for e in wanted)


class Header(Data):
    """The fields of a GPT header that matter here."""

    here: int
    other: int
    first_usable: int
    last_usable: int
    disk_uuid: bytes
    array_at: int
    count: int
    entry_size: int

    @classmethod
    def read(cls, sector: bytes) -> Header:
        """Take a header apart; its checksum is somebody else's business."""
        fields = _HEADER.unpack_from(sector)
        return cls(
            here=fields[5],
            other=fields[6],
            first_usable=fields[7],
            last_usable=fields[8],
            disk_uuid=fields[9],
            array_at=fields[10],
            count=fields[11],
            entry_size=fields[12],
        )


class Entry(Data):
    """One partition as the table on the disk has it, in bytes."""

    number: int
    start: int
    length: int
    type: str
    uuid: str
    attributes: int
    name: str
    raw: bytes = b""

    @classmethod
    def read(cls, number: int, raw: bytes, sector: int) -> Entry:
        """Take an entry apart."""
        kind, uuid, first, last, attributes, name = _ENTRY.unpack_from(raw)
        return cls(
            number=number,
            start=first * sector,
            length=(last - first + 1) * sector,
            type=str(UUID(bytes_le=kind)),
            uuid=str(UUID(bytes_le=uuid)),
            attributes=attributes,
            name=name.decode("utf-16-le", "replace").partition("\0")[0],
            raw=raw,
        )


class Table(Data):
    """What a disk has of a GPT: either copy, both, or none."""

    primary: Copy | None = None
    backup: Copy | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries of the copy that counts."""
        copy = self.primary or self.backup
        return copy.entries if copy else ()

    def sound(self, size: int) -> bool:
        """Whether both copies are there, agree, and the second is where this disk ends."""
        if self.primary is None or self.backup is None:
            return False
        return (
            self.primary.array == self.backup.array
            and self.primary.fields.disk_uuid == self.backup.fields.disk_uuid
            and (self.backup.fields.here + 1) * self.backup.sector == size
        )

    def base(self, size: int) -> Copy | None:
        """The copy over which libparted can lay a new table: that of a sound one, or what is left of one.

        It keeps how many entries there is room for then.
        """
        if self.primary and self.backup:
            return self.primary if self.sound(size) else None
        copy = self.primary or self.backup
        if copy is None or {copy.fields.here, copy.fields.other} != {1, size // copy.sector - 1}:
            return None
        return copy

    def newly_taken(self, size: int, slots: int) -> tuple[Range, ...]:
        """What the lists of a table with this many entries take of the disk beyond those of this one."""
        copy = self.primary or self.backup
        if copy is None:
            return ()
        sector, last = copy.sector, size // copy.sector - 1
        have = -(-len(copy.array) // sector)
        want = -(-slots * _ENTRY.size // sector)
        # A copy that is gone, or not where the disk ends now, has left its list where it usually is.
        lists = [self.primary.fields.array_at if self.primary else 2, last - have]
        lists += [self.backup.fields.array_at] if self.backup else []
        own = {each for at in lists for each in range(at, at + have)}
        new = {*range(2, 2 + want), *range(last - want, last)} - own
        return clip((Range(start=each * sector, length=sector) for each in new), size)


class Protection(StrEnum):
    """What the MBR, the first sector of a disk, says of a GPT behind it."""

    PROTECTIVE = "protective"
    """That one follows."""
    NONE = "none"
    """Nothing: there is no MBR."""
    FOREIGN = "foreign"
    """That the disk is partitioned otherwise."""


def protection(sector: bytes) -> Protection:
    """Read the first sector of a disk."""
    if sector[510:512] != b"\x55\xaa":
        return Protection.NONE
    types = sector[450:510:16]
    if _PROTECTIVE in types:
        return Protection.PROTECTIVE
    return Protection.FOREIGN if any(types) else Protection.NONE


def beside(sector: bytes) -> tuple[int, ...]:
    """Types of what a hybrid MBR has beside the entry that protects a GPT."""
    types = sector[450:510:16]
    hybrid = protection(sector) is Protection.PROTECTIVE
    return tuple(each for each in types if each not in {0, _PROTECTIVE}) if hybrid else ()


def read_table(read: Callable[[int, int], bytes], size: int, sector: int) -> Table:
    """Read both copies; `read` gives bytes from an offset for a length, whole sectors only."""
    primary = _read_copy(read, 1, size, sector)
    last = size // sector - 1
    backup = _read_copy(read, primary.fields.other if primary else last, size, sector)
    if backup is None and primary is not None and primary.fields.other != last:
        backup = _read_copy(read, last, size, sector)
    return Table(primary=primary, backup=backup)


def _read_copy(read: Callable[[int, int], bytes], at: int, size: int, sector: int) -> Copy | None:
    """Read one copy, or None if its checksums do not hold."""
    if not 0 < at < size // sector:
        return None
    header = read(at * sector, sector)
    if header[:8] != b"EFI PART":
        return None
    length, checksum = struct.unpack_from("<II", header, 12)
    if not _HEADER.size <= length <= sector:
        return None
    if zlib.crc32(header[:16] + bytes(4) + header[20:length]) != checksum:
        return None
    fields = Header.read(header)
    extent = fields.count * fields.entry_size
    whole = -(-extent // sector) * sector
    sane = fields.here == at and fields.entry_size >= _ENTRY.size and 0 < extent <= LARGEST_ARRAY
    if not sane or fields.array_at * sector + whole > size:
        return None
    array = read(fields.array_at * sector, whole)[:extent]
    if zlib.crc32(array) != struct.unpack_from("<I", header, 88)[0]:
        return None
    return Copy(sector=sector, header=header, array=array)


def compose(
    laid_out: Sequence[Entry], wanted: Iterable[TableEntry], before: Iterable[Entry], slots: int, size: int
) -> bytes:
    """The array of entries that says exactly what is wanted.

    `laid_out` is what libparted wrote, which has the right geometry and a fresh UUID for each partition; `before` is
    what was there. A partition of the same number and start as before keeps all of its old entry that nobody asked to
    have otherwise: its UUID, and its name and attributes where none are given.
    """
    array = bytearray(slots * size)
    fresh = {(entry.start, entry.length): entry for entry in laid_out}
    old = {(entry.number, entry.start): entry for entry in before}
    for entry in wanted:
        made = fresh[entry.start, entry.length]
        kept = old.get((entry.number, entry.start))
        base = kept or made
        _, uuid, _, _, attributes, name = _ENTRY.unpack_from(base.raw)
        _, _, first, last, _, _ = _ENTRY.unpack_from(made.raw)
        if entry.uuid is not None:
            uuid = UUID(entry.uuid).bytes_le
        if entry.name or kept is None:
            name = entry.name.encode("utf-16-le")
        if entry.attributes or kept is None:
            attributes = entry.attributes
        raw = _ENTRY.pack(UUID(entry.type).bytes_le, uuid, first, last, attributes, name) + base.raw[_ENTRY.size : size]
        at = (entry.number - 1) * size
        array[at : at + len(raw)] = raw
    return bytes(array)


def with_array(copy: Copy, array: bytes, disk_uuid: bytes | None = None) -> Copy:
    """A copy of the table that carries other entries, with its checksums right."""
    length = int(struct.unpack_from("<I", copy.header, 12)[0])
    header = bytearray(copy.header)
    if disk_uuid is not None:
        header[56:72] = disk_uuid
    struct.pack_into("<I", header, 88, zlib.crc32(array))
    struct.pack_into("<I", header, 16, 0)
    struct.pack_into("<I", header, 16, zlib.crc32(bytes(header[:length])))
    return Copy(sector=copy.sector, header=bytes(header), array=array)


def differences(entries: Iterable[Entry], wanted: Iterable[TableEntry], before: Iterable[Entry] = ()) -> list[str]:
    """How a table differs from what is wanted, in words; `before` tells which partitions had to keep their UUID."""
    have = {entry.number: entry for entry in entries}
    want = {entry.number: entry for entry in wanted}
    old = {(entry.number, entry.start): entry for entry in before}
    found = [f"partition {number} is there" for number in sorted(have.keys() - want.keys())]
    for number, entry in sorted(want.items()):
        there = have.get(number)
        if there is None:
            found.append(f"partition {number} is missing")
            continue
        kept = old.get((number, entry.start))
        expected: tuple[tuple[str, object, object], ...] = (
            ("starts at byte", there.start, entry.start),
            ("has a length of", there.length, entry.length),
            ("has the type", there.type, str(UUID(entry.type))),
            ("has the name", there.name, entry.name or (kept.name if kept else "")),
            ("has the attributes", there.attributes, entry.attributes or (kept.attributes if kept else 0)),
            ("has the UUID", there.uuid, _uuid(entry, kept) or there.uuid),
        )
        found += [f"partition {number} {what} {has!r}, not {wish!r}" for what, has, wish in expected if has != wish]
    return found


def _uuid(entry: TableEntry, kept: Entry | None) -> str | None:
    if entry.uuid is not None:
        return str(UUID(entry.uuid))
    return kept.uuid if kept else None


def faults(wanted: Sequence[TableEntry], size: int, sector: int) -> list[str]:
    """What is wrong with a wanted table on a disk of this size, all of it, before anything is touched."""
    reserved = -(-SLOTS * 128 // sector) * sector
    first, end = 2 * sector + reserved, size - sector - reserved
    found: list[str] = []
    for entry in wanted:
        who = f"partition {entry.number}"
        if not 1 <= entry.number <= SLOTS:
            found.append(f"{who}: numbers go from 1 to {SLOTS}")
        if entry.start % sector or entry.length % sector:
            found.append(f"{who}: its start and length are no whole sectors of {sector} bytes")
        if entry.length <= 0:
            found.append(f"{who}: it has no length")
        if entry.start < first or entry.start + entry.length > end:
            found.append(f"{who}: it does not lie between bytes {first} and {end}, where partitions may be")
        if len(entry.name.encode("utf-16-le", "surrogatepass")) > 2 * NAME_UNITS:
            found.append(f"{who}: its name has more than {NAME_UNITS} characters")
        if not 0 <= entry.attributes < 1 << 64:
            found.append(f"{who}: its attributes are no 64 bits")
        found += [f"{who}: {value!r} is no UUID" for value in (entry.type, entry.uuid) if not _is_uuid(value)]
        if _is_uuid(entry.type) and not UUID(entry.type).int:
            found.append(f"{who}: a type of all zeros means that there is no partition")
    return found + _clashes(wanted)


def _clashes(wanted: Sequence[TableEntry]) -> list[str]:
    found: list[str] = []
    ordered = sorted(wanted, key=lambda entry: entry.start)
    for one, other in pairwise(ordered):
        if other.start < one.start + one.length:
            found.append(f"partitions {one.number} and {other.number} overlap")
    numbers = [entry.number for entry in wanted]
    found += [f"there are two partitions {number}" for number in sorted({n for n in numbers if numbers.count(n) > 1})]
    uuids = [str(UUID(entry.uuid)) for entry in wanted if entry.uuid and _is_uuid(entry.uuid)]
    found += [f"two partitions have the UUID {uuid}" for uuid in sorted({u for u in uuids if uuids.count(u) > 1})]
    return found


def _is_uuid(value: str | None) -> bool:
    try:
        return value is None or bool(UUID(value))
    except ValueError:
        return False
