"""Sparse files that stand for disks."""

from __future__ import annotations

import hashlib
import os

_CHUNK = 1 << 20


def make_image(path: str, size: int) -> None:
    """Make a disk of zeros that takes no room, unless it is there already."""
    with open(path, "ab") as file:
        file.truncate(size)


def content_hash(path: str) -> str:
    """Hash a disk's content; holes and written zeros are the same, so it does not matter how it came to be zero."""
    digest = hashlib.sha256()
    zeros = bytes(_CHUNK)
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        digest.update(size.to_bytes(8, "big"))
        offset = 0
        while offset < size:
            try:
                offset = os.lseek(file.fileno(), offset, os.SEEK_DATA) // _CHUNK * _CHUNK
            except OSError:  # no data beyond
                break
            chunk = os.pread(file.fileno(), _CHUNK, offset)
            if chunk != zeros[: len(chunk)]:
                digest.update(offset.to_bytes(8, "big"))
                digest.update(chunk)
            offset += _CHUNK
    return digest.hexdigest()
