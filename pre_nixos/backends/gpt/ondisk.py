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

_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
MAGIC = b"EFI PART"
MOST_BYTES = 1 << 20
"""No sound table has more bytes of entries: 128 entries of 128 bytes are usual."""


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
    array: bytes
    entries: Mapping[int, Entry]


class OnDisk(NamedTuple):
    """What a device has of a table."""

    uuid: str
    entries: Mapping[int, Entry]
    faults: tuple[str, ...]
    """What is wrong with it, in words; a sound table has none."""


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
    if copy is None:
        return OnDisk("", {}, tuple(faults))
    return OnDisk(copy.uuid, copy.entries, tuple(faults))


def _copy(read: Read, at: int, size: int, sector: int) -> tuple[Copy | None, str]:
    """Read one copy, or say why there is none to be had."""
    if not 0 < at < size // sector:
        return None, "would lie beyond the device"
    header = read(at * sector, sector)
    if len(header) < sector:
        return None, "cannot be read"
    if header[:8] != MAGIC:
        return None, "is missing"
    _, _, length, checksum, _, here, other, _, _, uuid, array_at, count, entry, array_sum = _HEADER.unpack_from(header)
    if not _HEADER.size <= length <= sector or zlib.crc32(header[:16] + bytes(4) + header[20:length]) != checksum:
        return None, "has a header with a wrong checksum"
    if here != at or entry < _ENTRY.size or not 0 < count * entry <= MOST_BYTES:
        return None, "has a header that makes no sense"
    array = read(array_at * sector, count * entry)
    if len(array) < count * entry:
        return None, "has entries that cannot be read"
    if zlib.crc32(array) != array_sum:
        return None, "has entries with a wrong checksum"
    return Copy(str(UUID(bytes_le=uuid)), other, array, _entries(array, entry, sector)), ""


def _entries(array: bytes, size: int, sector: int) -> Mapping[int, Entry]:
    found: dict[int, Entry] = {}
    for number, at in enumerate(range(0, len(array), size), 1):
        type_, uuid, first, last, attributes, label = _ENTRY.unpack_from(array, at)
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
