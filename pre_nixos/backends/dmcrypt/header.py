"""What a LUKS header says of how its data is encrypted, read from the device itself and without a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pre_nixos.plugin import Data, ReadAt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.plugin import Reader

LENGTH = 4096
"""A header; what comes right behind it is the JSON of LUKS2, and key material of LUKS1, which is not looked at."""
JSON_LENGTH = 12 * 1024
"""What cryptsetup makes room for unless told otherwise; what is not whole says nothing."""

MAGIC = b"LUKS\xba\xbe"
IN_USE = 0x00AC71F3
"""How LUKS1 marks a slot that holds a key."""
SLOTS = range(208, 208 + 8 * 48, 48)
"""Where LUKS1 has its slots."""


class Header(Data):
    """What can be compared with what is wanted; None where nothing is said."""

    cipher: str | None = None
    key_size: int | None = None
    """Bits."""
    sector_size: int | None = None
    pbkdf: str | None = None
    """Of the first slot, which is the one made first."""
    slots: int = 0
    iterations: int = 0
    """Of the first slot as well, like what follows; LUKS1 is not asked, for nothing could change it."""
    memory: int = 0
    threads: int = 0
    start: int = 0
    """Where the data begins, if it goes on to the end of the device; 0 if that is not known."""


def read_header(reader: Reader, number: str) -> Header:
    """Read the first header on a device; where it cannot be read, nothing is known of it."""
    data = reader.ask(ReadAt(number=number, offset=0, length=LENGTH)).data
    if len(data) < LENGTH or data[:6] != MAGIC:
        return Header()
    if data[6:8] == b"\0\1":
        return first_version(data)
    return second_version(reader.ask(ReadAt(number=number, offset=LENGTH, length=JSON_LENGTH)).data)


def first_version(data: bytes) -> Header:
    """Take a header of LUKS1 apart."""
    cipher = "-".join(data[at : at + 32].rstrip(b"\0").decode("ascii", "replace") for at in (8, 40))
    slots = sum(int.from_bytes(data[at : at + 4], "big") == IN_USE for at in SLOTS)
    key_size = int.from_bytes(data[108:112], "big") * 8
    return Header(cipher=cipher, key_size=key_size, sector_size=512, pbkdf="pbkdf2", slots=slots)


def second_version(data: bytes) -> Header:
    """Read the JSON of LUKS2."""
    try:
        document: Any = msgspec.json.decode(data.partition(b"\0")[0])
        segment: Mapping[str, Any] = next(each for each in document["segments"].values() if each["type"] == "crypt")
        slots: Mapping[str, Any] = {
            number: slot for number, slot in document["keyslots"].items() if slot["type"] == "luks2"
        }
        basics = Header(cipher=segment["encryption"], sector_size=segment["sector_size"], slots=len(slots))
        if segment["size"] == "dynamic" and len(document["segments"]) == 1:
            basics = msgspec.structs.replace(basics, start=int(segment["offset"]))
        if not slots:
            return basics
        first: Mapping[str, Any] = slots[min(slots, key=int)]
        # With checksums of the data a part of the key is for these.
        key_size = None if "integrity" in segment else first["key_size"] * 8
        kdf: Mapping[str, Any] = first["kdf"]
        return msgspec.structs.replace(
            basics,
            key_size=key_size,
            pbkdf=kdf["type"],
            iterations=int(kdf.get("time", kdf.get("iterations", 0))),
            memory=int(kdf.get("memory", 0)),
            threads=int(kdf.get("cpus", 0)),
        )
    except (msgspec.DecodeError, RecursionError, LookupError, TypeError, ValueError, AttributeError, StopIteration):
        return Header()
