"""A GPT as it lies on a device: both copies, and what is wrong with them. Takes bytes; touches no device."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    Read: TypeAlias = Callable[[int, int], bytes]
    """Gives bytes of the device from an offset on; fewer than asked for if they cannot be had."""

HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
ENTRY = struct.Struct("<16s16sQQQ72s")
MAGIC = b"EFI PART"
MOST_BYTES = 1 << 20
"""No sound table has more bytes of entries: 128 entries of 128 bytes are usual."""
PROTECTIVE = 0xEE
"""The type of the entry of an MBR that says that a GPT follows."""
LIST = 2
"""The sector in which the list of entries of a usual table begins."""
SLOTS = 128
"""How many of them a usual table has room for."""


class Entry(NamedTuple):
    """One partition, in bytes."""

    number: int
    start: int
    length: int
    type: str
    uuid: str
    attributes: int
    label: str


class Copy(NamedTuple):
    """One of the two copies, whole and with good checksums."""

    uuid: str
    other: int
    """The sector in which it says the other copy's header is."""
    array_at: int
    """The sector in which its entries begin."""
    slots: int
    """How many entries there is room for."""
    array: bytes
    entries: Mapping[int, Entry]


class OnDisk(NamedTuple):
    """What a device has of a table."""

    uuid: str
    entries: Mapping[int, Entry]
    faults: tuple[str, ...]
    """What is wrong with it, in words; a sound table has none."""
    unusual: str = ""
    """How its list of partitions leaves room for something else, in words."""
    lasting: bool = True
    """Whether its list stays what it is when the table is rewritten."""
    beside: tuple[str, ...] = ()
    """Types of what the MBR has beside the entry that protects the table, in two hexadecimal digits."""


def read_table(read: Read, size: int, sector: int) -> OnDisk:
    """Read both copies, and go by the primary one if it is good."""
    last = size // sector - 1
    primary, fault = _copy(read, 1, size, sector)
    faults = [f"its primary copy {fault}"] if fault else []
    backup, fault = _copy(read, last, size, sector)
    if backup is None and primary is not None and primary.other != last:
        backup, _ = _copy(read, primary.other, size, sector)
        fault = "is not at the end of the device, which has grown or shrunk since" if backup else fault
    if fault:
        faults.append(f"its backup copy {fault}")
    if primary and backup and (primary.array, primary.uuid) != (backup.array, backup.uuid):
        faults.append("its two copies say different things, and the primary one counts")
    copy = primary or backup
    mbr = _mbr(read(0, sector))
    beside = tuple(f"{each:02x}" for each in mbr if each and each != PROTECTIVE) if PROTECTIVE in mbr else ()
    if copy is None:
        return OnDisk("", {}, tuple(faults), beside=beside)
    lasting = PROTECTIVE in mbr and _is_lasting(read, size, sector, primary, backup)
    return OnDisk(copy.uuid, copy.entries, tuple(faults), _unusual(primary, backup), lasting, beside)


def _unusual(primary: Copy | None, backup: Copy | None) -> str:
    if primary and primary.array_at != LIST:
        return f"begins in sector {primary.array_at}, not in sector {LIST}"
    slots = next((each.slots for each in (primary, backup) if each), SLOTS)
    return f"has room for {slots} partitions, not for {SLOTS}" if slots < SLOTS else ""


def _is_lasting(read: Read, size: int, sector: int, primary: Copy | None, backup: Copy | None) -> bool:
    """Whether libparted recognises the table, and takes one of its copies for good without mending anything first."""
    if read(sector, sector)[: len(MAGIC)] != MAGIC:
        return False
    if primary is None:
        return backup is not None
    if primary.array_at != LIST or primary.other != size // sector - 1:
        return False
    return backup is None or (primary.array, primary.uuid) == (backup.array, backup.uuid)


def _mbr(sector: bytes) -> bytes:
    """Give the types of the four entries of an MBR; none if there is none."""
    return sector[450:510:16] if sector[510:512] == b"\x55\xaa" else b""


def _copy(read: Read, at: int, size: int, sector: int) -> tuple[Copy | None, str]:
    """Read one copy, or say why there is none to be had."""
    if not 0 < at < size // sector:
        return None, "would lie beyond the device"
    header = read(at * sector, sector)
    if len(header) < sector:
        return None, "cannot be read"
    if header[:8] != MAGIC:
        return None, "is missing"
    _, _, length, checksum, _, here, other, _, _, uuid, array_at, count, entry, array_sum = HEADER.unpack_from(header)
    if not HEADER.size <= length <= sector or zlib.crc32(header[:16] + bytes(4) + header[20:length]) != checksum:
        return None, "has a header with a wrong checksum"
    if here != at or entry < ENTRY.size or not 0 < count * entry <= MOST_BYTES:
        return None, "has a header that makes no sense"
    array = read(array_at * sector, count * entry)
    if len(array) < count * entry:
        return None, "has entries that cannot be read"
    if zlib.crc32(array) != array_sum:
        return None, "has entries with a wrong checksum"
    return Copy(str(UUID(bytes_le=uuid)), other, array_at, count, array, _entries(array, entry, sector)), ""


def _entries(array: bytes, size: int, sector: int) -> Mapping[int, Entry]:
    found: dict[int, Entry] = {}
    for number, at in enumerate(range(0, len(array), size), 1):
        type_, uuid, first, last, attributes, label = ENTRY.unpack_from(array, at)
        if any(type_):
            found[number] = Entry(
                number=number,
                start=first * sector,
                length=(last - first + 1) * sector,
                type=str(UUID(bytes_le=type_)),
                uuid=str(UUID(bytes_le=uuid)),
                attributes=attributes,
                label=label.decode("utf-16-le", "replace").partition("\0")[0],
            )
    return found
