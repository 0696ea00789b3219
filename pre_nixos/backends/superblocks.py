"""How large a filesystem takes itself to be, by its superblock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import MIB, ReadAt, ReadMounts

if TYPE_CHECKING:
    from pre_nixos.plugin import Reader

LENGTH = 4096
SLACK = 4 * MIB
"""What a filesystem may leave unused of its device for good: ext leaves out a last group that is too small to use."""


def unused(reader: Reader, number: str, type_: str, space: int) -> int:
    """Give the bytes that a filesystem does not use of its device; 0 if that is next to nothing, or is not known.

    XFS in use tells its superblock last of all: for as long as it is mounted, nothing is known.
    """
    if type_ not in {"ext4", "xfs"} or not space:
        return 0
    if type_ == "xfs" and any(each.device == number for each in reader.ask(ReadMounts()).mounts):
        return 0
    size = size_of(reader.ask(ReadAt(number=number, offset=0, length=LENGTH)).data)
    left = space - size if size else 0
    return left if left > SLACK else 0


def size_of(data: bytes) -> int:
    """Read the size from the first bytes of a device; 0 if there is no such superblock."""
    if len(data) < LENGTH:
        return 0
    if data[:4] == b"XFSB":
        return int.from_bytes(data[4:8], "big") * int.from_bytes(data[8:16], "big")
    ext = data[1024:]
    if ext[0x38:0x3A] != b"\x53\xef":
        return 0
    block, blocks = 1024 << min(_number(ext, 0x18), 16), _number(ext, 0x4)
    if _number(ext, 0x60) & 0x80:  # block numbers of 64 bits
        blocks += _number(ext, 0x150) << 32
    return block * blocks


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")
