"""What others may see of a btrfs: how it hangs together and what its directories and subvolumes are called."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from uuid import UUID

from pre_nixos.backends.btrfs.ondisk import (
    CHUNK_ITEM,
    DEV_ITEM,
    INODE_REF,
    ROOT_BACKREF,
    ROOT_ITEM,
    SUPERBLOCK,
    SUPERBLOCK_LENGTH,
    read_superblock,
)
from pre_nixos.plugin import hooks, implements

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import TypeAlias

    from pre_nixos.plugin import Pieces

    Other: TypeAlias = Callable[[str], str]

_HEADER = 101
_ADDRESS, _COUNT_AND_LEVEL = (0x30, 8), (0x60, 5)
"""Of the head of a node, and how many bytes: where it says it is, how much follows, and how."""
_SUPERBLOCK_FIELDS = ((0x38, 8), (0x40, 8), (0x48, 24), (0x88, 8), (0x94, 4), (0xA0, 4))
_MEMBER, _MEMBER_LENGTH = 0xC9, 98
_FILESYSTEMS = (0x20, _MEMBER + 82, 0x23B)
"""Where the superblock has the UUID of the filesystem, and the one its nodes have if that was changed later."""
_CHUNKS, _CHUNKS_LENGTH = 0x32B, 2048
_OF_UUIDS = frozenset({251, 252})
"""Items whose very keys are UUIDs; nothing reads the tree that has them."""


@implements(hooks.disguise)
def only_the_structure(pieces: Pieces, other: Callable[[str], str]) -> Mapping[int, bytes]:
    """Keep what leads through the trees, and names; UUIDs become others, and whatever else is in there zeros."""
    data = pieces.at(SUPERBLOCK, SUPERBLOCK_LENGTH)
    known = read_superblock(data)
    if known is None:
        return {}
    shown = {SUPERBLOCK: _superblock(data, other)}
    own = {data[at : at + 16] for at in _FILESYSTEMS} - {bytes(16)}
    for offset, node in pieces.items():
        if len(node) == known.node and offset != SUPERBLOCK:
            # Where there is none of its nodes any more, there may be anything; that it is none is seen by its address.
            shown[offset] = _node(node, other) if node[0x20:0x30] in own else bytes(_kept(node, (_ADDRESS,)))
    return shown


def _superblock(data: bytes, other: Other) -> bytes:
    new = _kept(data, _SUPERBLOCK_FIELDS)
    new[0x20:0x30] = _uuid(data[0x20:0x30], other)
    new[_MEMBER : _MEMBER + _MEMBER_LENGTH] = _member(data[_MEMBER : _MEMBER + _MEMBER_LENGTH], other)
    length = min(int.from_bytes(data[0xA0:0xA4], "little"), _CHUNKS_LENGTH)
    chunks = data[_CHUNKS : _CHUNKS + length]
    at = 0
    while at < len(chunks):
        start, described = _CHUNKS + at, chunks[at + 17 :]
        size = _length(described)
        new[start : start + 17] = data[start : start + 17]
        new[start + 17 : start + 17 + len(described[:size])] = _chunk(described[:size], other)
        at += 17 + size
    return bytes(new)


def _node(data: bytes, other: Other) -> bytes:
    """Keep every key where it is, and what is read of the item it has; a node that is damaged stays so.

    Keys of what nobody reads go: they say of what there is something, and how much.
    """
    new = _kept(data, (_ADDRESS, _COUNT_AND_LEVEL))
    new[0x20:0x30] = _uuid(data[0x20:0x30], other)
    count, level = struct.unpack_from("<IB", data, 0x60)
    size = 33 if level else 25
    places = range(_HEADER, min(_HEADER + count * size, len(data) - size + 1), size)
    if level:
        for at in places:
            if data[at + 8] not in _OF_UUIDS:
                new[at : at + 25] = data[at : at + 25]  # a key, and where what begins with it is
        return bytes(new)
    read = [at for at in places if data[at + 8] in _SHOWN]
    for at in read:
        kind, offset, length = struct.unpack_from("<8xB8xII", data, at)
        begin = _HEADER + offset
        item = _SHOWN[kind](data[begin : begin + length], other)
        there = new[begin : begin + len(item)]
        if any(there):  # of a node that is damaged items may overlap
            item = bytes(one or two for one, two in zip(item, there, strict=True))
        new[begin : begin + len(item)] = item
    for at in read:  # after the items, which in a damaged node may lie anywhere
        new[at : at + size] = data[at : at + size]
    return bytes(new)


def _kept(data: bytes, fields: Collection[tuple[int, int]]) -> bytearray:
    new = bytearray(len(data))
    for at, length in fields:
        new[at : at + length] = data[at : at + length]
    return new


def _uuid(raw: bytes, other: Other) -> bytes:
    return UUID(other(str(UUID(bytes=raw)))).bytes if len(raw) == 16 else bytes(len(raw))


def _member(data: bytes, other: Other) -> bytes:
    new = _kept(data, ((0, 16),))
    for at in (66, 82):
        new[at : at + 16] = _uuid(data[at : at + 16], other)
    return bytes(new)


def _length(chunk: bytes) -> int:
    """Say how many bytes describe a chunk."""
    return 48 + 32 * int.from_bytes(chunk[44:46], "little")


def _chunk(data: bytes, other: Other) -> bytes:
    new = _kept(data, ((0, 8), (16, 16), (44, 4)))
    for at in range(48, min(_length(data), len(data)), 32):
        new[at : at + 16] = data[at : at + 16]
        new[at + 16 : at + 32] = _uuid(data[at + 16 : at + 32], other)
    return bytes(new)


def _root(data: bytes, other: Other) -> bytes:
    del other
    return bytes(_kept(data, ((176, 8), (208, 8))))


def _inode_reference(data: bytes, other: Other) -> bytes:
    return _named(data, 8, other)


def _root_reference(data: bytes, other: Other) -> bytes:
    new = bytearray(_named(data, 16, other))
    new[:8] = data[:8]
    return bytes(new)


def _named(data: bytes, at: int, other: Other) -> bytes:
    """Keep the name whose length is at a place."""
    length = int.from_bytes(data[at : at + 2], "little")
    name = data[at + 2 : at + 2 + length]
    new = other(name.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")[: len(name)]
    shown = bytearray(len(data))
    # One that is cut short says so by its length.
    shown[at : at + 2] = data[at : at + 2] if len(new) == len(name) else len(new).to_bytes(2, "little")
    shown[at + 2 : at + 2 + len(new)] = new
    return bytes(shown)


_SHOWN: Mapping[int, Callable[[bytes, Other], bytes]] = {
    INODE_REF: _inode_reference,
    ROOT_ITEM: _root,
    ROOT_BACKREF: _root_reference,
    DEV_ITEM: _member,
    CHUNK_ITEM: _chunk,
}
"""Items that are read, each with what is left of it."""
