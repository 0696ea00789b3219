"""GPTs made by hand, for devices that are bytes in memory."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DISK = "d15c0000-0000-4000-8000-000000000001"
RAID = "a19d880f-05fc-4d3b-a006-743f0f84911e"
ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"


def entry(type_: str, uuid: str, first: int, last: int, label: str = "", attributes: int = 0) -> bytes:
    """One entry; the places are sectors."""
    head = struct.pack("<16s16sQQQ", UUID(type_).bytes_le, UUID(uuid).bytes_le, first, last, attributes)
    return head + label.encode("utf-16-le").ljust(72, b"\0")


def header(*, here: int, other: int, array_at: int, array: bytes, sectors: int, count: int = 128) -> bytes:
    fields = ("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92)
    rest = (0, here, other, 34, sectors - 34, UUID(DISK).bytes_le, array_at, count, 128, zlib.crc32(array))
    blank = struct.pack(fields[0], *fields[1:], 0, *rest)
    return struct.pack(fields[0], *fields[1:], zlib.crc32(blank), *rest)


class Device:
    """Bytes that read like a device."""

    def __init__(self, size: int, sector: int = 512) -> None:
        self.size, self.sector = size, sector
        self.bytes = bytearray(size)

    def put(self, at: int, data: bytes) -> None:
        self.bytes[at * self.sector : at * self.sector + len(data)] = data

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self.bytes[offset : offset + length])

    def partitioned(
        self,
        entries: Mapping[int, bytes],
        *,
        only: Sequence[str] = ("primary", "backup"),
        slots: int = 128,
        array_at: int = 2,
        mbr: Sequence[int] = (0xEE,),
    ) -> Device:
        """Write a table, or one copy of it, and an MBR with entries of these types."""
        self.bytes[446:510] = b"".join(bytes(4) + bytes([each]) + bytes(11) for each in mbr).ljust(64, b"\0")
        self.bytes[510:512] = b"\x55\xaa"
        array = b"".join(entries.get(number, b"").ljust(128, b"\0") for number in range(1, slots + 1))
        sectors = self.size // self.sector
        length = len(array) // self.sector
        last = sectors - 1
        if "primary" in only:
            self.put(1, header(here=1, other=last, array_at=array_at, array=array, sectors=sectors, count=slots))
            self.put(array_at, array)
        if "backup" in only:
            at = last - length
            self.put(last, header(here=last, other=1, array_at=at, array=array, sectors=sectors, count=slots))
            self.put(at, array)
        return self
