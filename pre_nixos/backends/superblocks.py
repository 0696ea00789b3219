"""How large a filesystem, or what is ready to be swapped to, takes itself to be, by its first bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import MIB, ReadAt, ReadMounts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.plugin import Reader

LENGTH = 4096
XFS_MAGIC = b"XFSB"
EXT = 1024
"""Where the superblock of ext begins."""
EXT_MAGIC = b"\x53\xef"
SWAP = 1024
"""Where the fields of a swap area begin; its magic ends the first page."""
SWAP_MAGIC = b"SWAPSPACE2"
SLACK = 4 * MIB
"""What a filesystem may leave unused of its device for good: ext leaves out a last group that is too small to use."""


def unused(reader: Reader, number: str, type_: str, space: int) -> int:
    """Give the bytes that a filesystem does not use of its device; 0 if that is next to nothing, or is not known.

    XFS in use tells its superblock last of all: for as long as it is mounted, only the mount says how large it is.
    """
    if type_ not in {"ext2", "ext3", "ext4", "xfs", "swap"} or not space:
        return 0
    mounts = [each for each in reader.ask(ReadMounts()).mounts if each.device == number] if type_ == "xfs" else []
    size = next((each.size for each in mounts if each.size), 0) if mounts else size_of(first_bytes(reader, number))
    left = space - size if size else 0
    return left if left > SLACK else 0


def first_bytes(reader: Reader, number: str) -> bytes:
    """Give what a device begins with; nothing if it cannot be read."""
    return reader.ask(ReadAt(number=number, offset=0, length=LENGTH)).data


def was_mounted(data: bytes) -> bool:
    """Whether an ext was ever mounted to be written to, by the first bytes of its device: it counts that."""
    ext = data[EXT:]
    return len(data) >= LENGTH and ext[0x38:0x3A] == EXT_MAGIC and _number(ext, 0x34) & 0xFFFF > 0


def size_of(data: bytes) -> int:
    """Read the size from the first bytes of a device; 0 if there is no such superblock."""
    if len(data) < LENGTH:
        return 0
    if data[:4] == XFS_MAGIC:
        return int.from_bytes(data[4:8], "big") * int.from_bytes(data[8:16], "big")
    if data[-len(SWAP_MAGIC) :] == SWAP_MAGIC:
        # On a machine with larger pages the magic is elsewhere, and it is not known how large the area is.
        return (_number(data, SWAP + 4) + 1) * LENGTH if _number(data, SWAP) == 1 else 0
    ext = data[EXT:]
    if ext[0x38:0x3A] != EXT_MAGIC:
        return 0
    block, blocks = 1024 << min(_number(ext, 0x18), 16), _number(ext, 0x4)
    if _number(ext, 0x60) & 0x80:  # block numbers of 64 bits
        blocks += _number(ext, 0x150) << 32
    return block * blocks


def only_the_size(data: bytes) -> Mapping[int, bytes]:
    """Give the parts of the first bytes of a device that say how large what is on it is, by where they are."""
    if data[:4] == XFS_MAGIC:
        return {0: data[:16]}
    if data[-len(SWAP_MAGIC) :] == SWAP_MAGIC:
        return {SWAP: data[SWAP : SWAP + 12], LENGTH - len(SWAP_MAGIC): SWAP_MAGIC}
    if data[EXT + 0x38 : EXT + 0x3A] == EXT_MAGIC:
        fields = ((0x4, 4), (0x18, 4), (0x34, 2), (0x38, 2), (0x60, 4), (0x150, 4))
        return {EXT + at: data[EXT + at : EXT + at + length] for at, length in fields}
    return {}


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")
