"""What a btrfs has inside, read from its devices: nothing is mounted, no program is started, and no cache is asked.

The trees are walked from the superblock as far as is needed: to the chunks, which say where everything lies and in how
many copies, and to the references between subvolumes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SUPERBLOCK = 64 * 1024
SUPERBLOCK_LENGTH = 4096
MAGIC = b"_BHRfS_M"

TOP = 5
"""The tree of the subvolume that every filesystem has."""
FIRST, LAST = 256, 2**64 - 256
"""The numbers of other subvolumes; and, the first of them, that of the directory each begins with."""
DEVICES = 1
"""What the numbers of its devices are filed under, in the tree of chunks."""
INODE_REF, ROOT_ITEM, ROOT_BACKREF, DEV_ITEM, CHUNK_ITEM = 12, 132, 144, 216, 228
_END = 2**64 - 1

_DATA, _METADATA = 1, 4
_RAID0, _RAID10, _RAID5, _RAID6 = 8, 64, 128, 256
PROFILES = {
    8: "raid0",
    16: "raid1",
    32: "dup",
    64: "raid10",
    128: "raid5",
    256: "raid6",
    512: "raid1c3",
    1024: "raid1c4",
}

_SEEDING = 1 << 32
_HEADER = 101
_MEMBER_LENGTH = 98
_NODES_AT_MOST = 100_000
"""Of one filesystem: far more than anybody's has, and an end for one whose trees run in circles."""

Key = tuple[int, int, int]

_NONSENSE = (struct.error, LookupError, ValueError, ArithmeticError, RecursionError)
"""What comes of following trees that lead nowhere: any byte of them may be wrong."""


class DamagedError(Exception):
    """What was read is not what should be there."""


class Member(NamedTuple):
    """A device, as the filesystem it was made part of knows it."""

    filesystem: bytes
    """UUID of the one it belongs to. In what was grown from a seed, the devices of the seed still belong to that."""
    uuid: bytes
    number: int


class Superblock(NamedTuple):
    """What every device of a filesystem says of the whole."""

    devices: int
    """How many it has."""
    member: Member
    """This one among them."""
    size: int
    """How many bytes of this one it uses."""
    generation: int
    node: int
    """Bytes of a node."""
    root: int
    chunk_root: int
    chunks: bytes
    """Where the tree of chunks itself lies."""
    is_seed: bool
    """Whether others may have grown from it; it is never written to as long as it says so."""


class Subvolumes(NamedTuple):
    """What is inside: paths of subvolumes, each with whether it is read-only; and the profiles of what lies where."""

    paths: Mapping[str, bool]
    data: str
    metadata: str


class _Chunk(NamedTuple):
    start: int
    length: int
    stripe: int
    type: int
    halves: int
    places: Sequence[tuple[int, int]]
    """Device and offset of each stripe."""


def read_superblock(data: bytes) -> Superblock | None:
    """Take a superblock apart; None if it is none."""
    if len(data) < SUPERBLOCK_LENGTH or data[0x40:0x48] != MAGIC:
        return None
    (flags,) = struct.unpack_from("<Q", data, 0x38)
    generation, root, chunk_root = struct.unpack_from("<QQQ", data, 0x48)
    (devices,) = struct.unpack_from("<Q", data, 0x88)
    (node,) = struct.unpack_from("<I", data, 0x94)
    (length,) = struct.unpack_from("<I", data, 0xA0)
    (size,) = struct.unpack_from("<Q", data, 0xC9 + 8)
    chunks = data[0x32B : 0x32B + min(length, 2048)]
    member = _member(data[0xC9:])
    return Superblock(devices, member, size, generation, node, root, chunk_root, chunks, bool(flags & _SEEDING))


class Filesystem:
    """The trees of one filesystem. `read` gives bytes of one of its devices: by number, offset and length."""

    def __init__(self, superblock: Superblock, read: Callable[[int, int, int], bytes]) -> None:
        """Begin at a superblock. Raises DamagedError if it does not lead further."""
        self._super = superblock
        self._read = read
        self._nodes: dict[int, bytes] = {}
        self._chunks: list[_Chunk] = []
        array, at = superblock.chunks, 0
        while at + 17 < len(array):
            try:
                chunk, length = _chunk(struct.unpack_from("<QBQ", array, at)[2], array[at + 17 :])
            except struct.error as error:
                raise DamagedError(f"its superblock is cut short: {error}") from error
            self._chunks.append(chunk)
            at += 17 + length

    def members(self) -> Sequence[Member]:
        """Find every device it has, those it grew from included. Raises DamagedError if that cannot be done."""
        try:
            items = self._walk(self._super.chunk_root, (DEVICES, DEV_ITEM, 0), (DEVICES, DEV_ITEM, _END))
            return [_member(data) for _, data in items]
        except _NONSENSE as error:
            raise DamagedError(f"its devices cannot be told: {error}") from error

    def subvolumes(self) -> Subvolumes:
        """Find every subvolume. Raises DamagedError if that cannot be done."""
        try:
            items = self._walk(self._super.chunk_root, (FIRST, CHUNK_ITEM, 0), (FIRST, CHUNK_ITEM, _END))
            found = [_chunk(key[2], data)[0] for key, data in items]
            self._chunks = found
            return Subvolumes(self._paths(), _profile(found, _DATA), _profile(found, _METADATA))
        except _NONSENSE as error:
            raise DamagedError(f"its trees cannot be followed: {error}") from error

    def _paths(self) -> Mapping[str, bool]:
        root = self._super.root
        trees: dict[int, tuple[int, bool]] = {}
        references: dict[int, tuple[int, int, str]] = {}
        for key, data in self._walk(root, (TOP, 0, 0), (LAST, 255, _END)):
            if key[1] == ROOT_ITEM and (key[0] == TOP or key[0] >= FIRST):
                where, flags = struct.unpack_from("<Q", data, 176)[0], struct.unpack_from("<Q", data, 208)[0]
                trees[key[0]] = (where, bool(flags & 1))
            elif key[1] == ROOT_BACKREF:
                directory, _, length = struct.unpack_from("<QQH", data)
                references[key[0]] = (key[2], directory, _text(data[18 : 18 + length]))

        def path_of(number: int, seen: tuple[int, ...] = ()) -> str:
            parent, directory, name = references[number]
            inside = self._directory(trees[parent][0], directory)
            if parent == TOP:
                return f"{inside}{name}"
            if parent in seen:
                raise DamagedError("its subvolumes are inside each other")
            return f"{path_of(parent, (*seen, number))}/{inside}{name}"

        return {path_of(number): trees[number][1] for number in references if number in trees}

    def _directory(self, tree: int, number: int) -> str:
        """Give the path of a directory from where its subvolume begins, with a slash behind it if there is any."""
        path = ""
        while number != FIRST:
            for key, data in self._walk(tree, (number, INODE_REF, 0), (number, INODE_REF, _END)):
                (length,) = struct.unpack_from("<H", data, 8)
                path = f"{_text(data[10 : 10 + length])}/{path}"
                number = key[2]
                break
            else:
                raise DamagedError(f"directory {number} is nowhere")
            if len(path) > 65536:
                raise DamagedError("its directories are inside each other")
        return path

    def _walk(self, root: int, low: Key, high: Key) -> Iterator[tuple[Key, bytes]]:
        """Give the items of a tree from one key to another."""
        node = self._node(root)
        count, level = struct.unpack_from("<IB", node, 0x60)
        if level == 0:
            for at in range(_HEADER, _HEADER + count * 25, 25):
                key: Key = struct.unpack_from("<QBQ", node, at)
                if low <= key <= high:
                    offset, size = struct.unpack_from("<II", node, at + 17)
                    yield key, node[_HEADER + offset : _HEADER + offset + size]
            return
        entries = [struct.unpack_from("<QBQQ", node, at) for at in range(_HEADER, _HEADER + count * 33, 33)]
        for position, (*first, where) in enumerate(entries):
            following = entries[position + 1][:3] if position + 1 < len(entries) else None
            if tuple(first) <= high and (following is None or following > low):
                yield from self._walk(where, low, high)

    def _node(self, where: int) -> bytes:
        if where in self._nodes:
            return self._nodes[where]
        if len(self._nodes) >= _NODES_AT_MOST:
            raise DamagedError("its trees have no end")
        for device, offset in self._copies(where):
            data = self._read(device, offset, self._super.node)
            if len(data) == self._super.node and struct.unpack_from("<Q", data, 0x30)[0] == where:
                self._nodes[where] = data
                return data
        raise DamagedError(f"its node at {where} cannot be read")

    def _copies(self, where: int) -> Iterator[tuple[int, int]]:
        """Give the places where a logical address lies: device and offset."""
        chunk = next((each for each in self._chunks if each.start <= where < each.start + each.length), None)
        if chunk is None:
            raise DamagedError(f"its address {where} lies nowhere")
        inside, places = where - chunk.start, chunk.places
        row, rest = divmod(inside, chunk.stripe)
        if chunk.type & _RAID0:
            row, column = divmod(row, len(places))
            places = places[column : column + 1]
        elif chunk.type & _RAID10:
            row, column = divmod(row, len(places) // chunk.halves)
            places = places[column * chunk.halves : (column + 1) * chunk.halves]
        elif chunk.type & (_RAID5 | _RAID6):
            row, column = divmod(row, len(places) - (2 if chunk.type & _RAID6 else 1))
            column = (column + row) % len(places)
            places = places[column : column + 1]
        for device, offset in places:
            yield device, offset + row * chunk.stripe + rest


def _member(data: bytes) -> Member:
    """Read what tells a device: it is written in its superblock as in the tree of chunks."""
    if len(data) < _MEMBER_LENGTH:
        raise ValueError("what tells a device is cut short")
    return Member(data[82:98], data[66:82], struct.unpack_from("<Q", data)[0])


def _chunk(start: int, data: bytes) -> tuple[_Chunk, int]:
    """Read a chunk that begins at an address, and how long what describes it is."""
    length, _, stripe, kind, _, _, _, count, halves = struct.unpack_from("<QQQQIIIHH", data)
    places = [struct.unpack_from("<QQ", data, 48 + 32 * each) for each in range(count)]
    return _Chunk(start, length, stripe or 65536, kind, max(halves, 1), places), 48 + 32 * count


def _profile(chunks: Sequence[_Chunk], purpose: int) -> str:
    """Name the profile of all chunks for one purpose; of several, while they are being changed, every one."""
    bits = {each.type for each in chunks if each.type & purpose}
    names = {next((name for bit, name in PROFILES.items() if kind & bit), "single") for kind in bits}
    return ",".join(sorted(names))


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
