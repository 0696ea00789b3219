"""NVMe disks with an identity: the kernel is told, inside the guest, to believe what QEMU says of them.

It has a list of controllers whose identifiers are made up, and QEMU's is on it: early versions gave every namespace the
same ones. The entry is changed in the guest's own copy of the driver, before it is loaded.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENTRY = struct.pack("<4I", 0x1B36, 0x0010, 0xFFFFFFFF, 0xFFFFFFFF)
"""Vendor and device, and any subsystem: how the kernel's table of NVMe controllers has QEMU's."""
_QUIRKS = 24
"""Where in an entry the quirks are, after these and the class."""
_BOGUS_IDENTIFIERS = 1 << 18
_SIGNED = b"~Module signature appended~\n"


def believed(driver: bytes) -> bytes:
    """Give the driver without its doubts about QEMU; the same bytes if it has none."""
    place = driver.find(_ENTRY)
    if place < 0:
        return driver
    (quirks,) = struct.unpack_from("<Q", driver, place + _QUIRKS)
    if not quirks & _BOGUS_IDENTIFIERS:
        return driver
    changed = bytearray(driver.removesuffix(_SIGNED))  # unsigned is accepted, signed wrongly is not
    struct.pack_into("<Q", changed, place + _QUIRKS, quirks & ~_BOGUS_IDENTIFIERS)
    return bytes(changed)


def believe_qemu(path: str) -> None:
    """Change the driver at this path, in the guest."""
    with open(path, "rb") as file:
        before = file.read()
    after = believed(before)
    if after != before:
        with open(path, "wb") as file:
            file.write(after)


def check(names: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """See that disks, by their kernel names, are what was wanted. Raises OSError for the first that is not."""
    for disk, wwn in wanted.items():
        path = f"/sys/block/{names[disk]}/wwid"
        with open(path) as file:
            shown = file.read().strip()
        if shown != wwn:
            raise OSError(f"{os.path.basename(names[disk])}, disk {disk!r}, is {shown}, not {wwn}")
