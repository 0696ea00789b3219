"""What others may see of a GPT: all of it, with other GUIDs, and checksums that are as good or as bad as they were."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING
from uuid import UUID

from pre_nixos.backends.gpt.ondisk import ENTRY, HEADER, MAGIC, MOST_BYTES
from pre_nixos.plugin import hooks, implements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pre_nixos.plugin import Pieces

SECTORS = (512, 1024, 2048, 4096)
LABEL = 72
"""Bytes of a label."""


@implements(hooks.disguise)
def with_other_guids(pieces: Pieces, other: Callable[[str], str]) -> Mapping[int, bytes]:
    """Show every header there is, primary or backup or left where the device once ended, and its entries."""
    shown: dict[int, bytes] = {}
    for where in _headers(pieces):
        shown |= _copy(pieces, where, other)
    return shown


def _headers(pieces: Pieces) -> Iterator[int]:
    for start, data in pieces.items():
        at = data.find(MAGIC)
        while at >= 0:
            if (start + at) % SECTORS[0] == 0:
                yield start + at
            at = data.find(MAGIC, at + 1)


def _copy(pieces: Pieces, where: int, other: Callable[[str], str]) -> Mapping[int, bytes]:
    header = pieces.at(where, SECTORS[-1])
    # The magic alone reads as a header with a wrong checksum.
    damaged = {where: MAGIC}
    if len(header) < HEADER.size:
        return damaged
    magic, revision, length, checksum, _, here, there, first, last, uuid, array_at, count, entry, array_sum = (
        HEADER.unpack_from(header)
    )
    if not HEADER.size <= length <= len(header):
        return damaged
    if zlib.crc32(header[:16] + bytes(4) + header[20:length]) != checksum:
        return damaged
    sector, rest = divmod(where, here) if here else (0, 1)
    sense = sector in SECTORS and not rest and entry >= ENTRY.size and 0 < count * entry <= MOST_BYTES
    array = pieces.at(array_at * sector, count * entry) if sense else b""
    entries: Mapping[int, bytes] = {}
    if sense and len(array) == count * entry and zlib.crc32(array) == array_sum:
        array = _entries(array, entry, other)
        entries, array_sum = {array_at * sector: array}, zlib.crc32(array)
    else:
        # What is there instead of the entries becomes zeros, and must not become right by that.
        array_sum = zlib.crc32(bytes(len(array))) ^ 1
    new_uuid = _other(uuid, other)

    def written(checksum: int) -> bytes:
        fields = (magic, revision, length, checksum, 0, here, there, first, last, new_uuid, array_at, count, entry)
        return HEADER.pack(*fields, array_sum).ljust(length, b"\0")

    return {**entries, where: written(zlib.crc32(written(0)))}


def _entries(array: bytes, size: int, other: Callable[[str], str]) -> bytes:
    found = bytearray(len(array))
    for at in range(0, len(array), size):
        type_, uuid, first, last, attributes, label = ENTRY.unpack_from(array, at)
        if any(type_):
            named = label.decode("utf-16-le", "replace").partition("\0")[0]
            new = other(named).encode("utf-16-le")[:LABEL]
            ENTRY.pack_into(found, at, type_, _other(uuid, other), first, last, attributes, new)
    return bytes(found)


def _other(uuid: bytes, other: Callable[[str], str]) -> bytes:
    return UUID(other(str(UUID(bytes_le=uuid)))).bytes_le
