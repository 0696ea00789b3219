"""What libblkid finds in regular files, with the magics written by hand."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest

from pre_nixos.host.blkid import Probe

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.host.blkid import Found

SIZE = 8 << 20
UUID = bytes(range(16))


def swap(page: int = 4096) -> dict[int, bytes]:
    return {1024: struct.pack("<III16s16s", 1, 999, 0, UUID, b"swappy"), page - 10: b"SWAPSPACE2"}


def luks() -> dict[int, bytes]:
    first = b"LUKS\xba\xbe" + struct.pack(">H", 2) + bytes(160) + b"00010203-0405-0607-0809-0a0b0c0d0e0f"
    return {0: first, 16384: b"SKUL" + first[4:]}


def md(offset: int, uuid: bytes) -> dict[int, bytes]:
    head = struct.pack("<IIII16s32s", 0xA92B4EFC, 1, 0, 0, uuid, b"host:name")
    body = struct.pack("<QIIQIIIiI", 0, 1, 0, 8192, 0, 2, 0, 0, 0)
    device = struct.pack("<QQQQII16s", 2048, 8192, offset // 512, 0, 0, 0, UUID)
    block = bytearray((head + body).ljust(128, b"\0") + device.ljust(128, b"\0") + b"\xff" * 256)
    return {offset: bytes(block)}


def reiserfs() -> dict[int, bytes]:
    head = struct.pack("<IIIIIIIIIIIHH", 1024, 0, 17, 18, 0, 0, 0, 0, 0, 0, 0, 4096, 0)
    return {65536: head.ljust(52, b"\0") + b"ReIsEr2Fs", 65536 + 84: UUID}


def mbr(kind: int = 0x83) -> dict[int, bytes]:
    return {446: struct.pack("<B3sB3sII", 0, b"", kind, b"", 2048, 4096), 510: b"\x55\xaa"}


def look(path: Path, *contents: dict[int, bytes]) -> tuple[int, Found, list[Found], int]:
    path.write_bytes(b"")
    os.truncate(path, SIZE)
    descriptor = os.open(path, os.O_RDWR)
    try:
        for content in contents:
            for offset, data in content.items():
                os.pwrite(descriptor, data, offset)
        probe = Probe(descriptor)
        try:
            return *probe.verdict(), *probe.signatures()
        finally:
            probe.close()
    finally:
        os.close(descriptor)


def types(found: list[Found]) -> list[str]:
    return sorted(values.get("TYPE") or values["PTTYPE"] for values in found)


@pytest.mark.parametrize(
    ("contents", "verdict", "expected"),
    [
        ([], 1, []),
        ([swap()], 0, ["swap"]),
        ([luks()], 0, ["crypto_LUKS"]),
        ([mbr()], 0, ["dos"]),
        ([mbr(0xEE)], 0, ["PMBR"]),
        ([swap(), luks()], 0, ["crypto_LUKS", "swap"]),
        ([md(4096, UUID)], 0, ["linux_raid_member"]),
        ([md(4096, UUID), md(0, UUID[::-1])], 0, ["linux_raid_member", "linux_raid_member"]),
        ([swap(), reiserfs()], -2, ["reiserfs", "swap"]),
        ([md(SIZE - 8192, UUID), swap()], 0, ["linux_raid_member", "swap"]),
    ],
)
def test_every_magic_is_listed(
    tmp_path: Path, contents: list[dict[int, bytes]], verdict: int, expected: list[str]
) -> None:
    said, _, found, error = look(tmp_path / "disk", *contents)
    assert (said, types(found), error) == (verdict, expected, 0)


def test_the_winner_is_the_one_libblkid_alone_would_have_named(tmp_path: Path) -> None:
    _, winner, found, _ = look(tmp_path / "disk", md(SIZE - 8192, UUID), swap())
    assert winner["TYPE"] == "linux_raid_member"
    assert types(found) == ["linux_raid_member", "swap"]


def test_what_is_known_of_a_magic_is_given(tmp_path: Path) -> None:
    _, _, (found,), _ = look(tmp_path / "disk", swap())
    assert found["UUID"] == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert (found["LABEL"], found["USAGE"], found["VERSION"]) == ("swappy", "other", "1")
    assert (found["SBMAGIC_OFFSET"], found["SBMAGIC_LENGTH"]) == ("4086", "10")
