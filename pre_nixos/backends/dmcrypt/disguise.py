"""What others may see of a LUKS header: what is read of it, and nothing that could be tried against a passphrase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from pre_nixos.backends.dmcrypt.header import (
    IN_USE,
    JSON_LENGTH,
    LENGTH,
    MAGIC,
    SLOTS,
    second_version,
)
from pre_nixos.plugin import hooks, implements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pre_nixos.plugin import Pieces

_SEGMENT = ("type", "encryption", "sector_size", "size", "offset")
_SLOT = ("type", "key_size")
_KDF = ("type", "time", "iterations", "memory", "cpus")


@implements(hooks.disguise)
def without_salts(pieces: Pieces, other: Callable[[str], str]) -> Mapping[int, bytes]:
    """Keep how data is encrypted and how keys are tried; salts, digests, tokens and the UUID become zeros."""
    header = pieces.at(0, LENGTH)
    if len(header) < LENGTH or header[: len(MAGIC)] != MAGIC:
        return {}
    if header[6:8] == b"\0\1":
        return {0: _first_version(header)}
    return {0: header[:8], LENGTH: _second_version(pieces.at(LENGTH, JSON_LENGTH), other)}


def _first_version(header: bytes) -> bytes:
    new = bytearray(len(header))
    for start, end in ((0, 72), (108, 112)):  # magic, version, cipher and its mode; bytes of the key
        new[start:end] = header[start:end]
    for at in SLOTS:
        if int.from_bytes(header[at : at + 4], "big") == IN_USE:
            new[at : at + 4] = header[at : at + 4]
    return bytes(new)


def _second_version(data: bytes, other: Callable[[str], str]) -> bytes:
    """Write anew, into the same space, the little of the JSON that says anything here."""
    try:
        document: Any = msgspec.json.decode(data.partition(b"\0")[0])
        segments = {number: _segment(each, other) for number, each in document["segments"].items()}
        slots = {
            number: {**_scalars(each, _SLOT, other), "kdf": _scalars(each.get("kdf"), _KDF, other)}
            for number, each in document["keyslots"].items()
        }
    except (msgspec.DecodeError, RecursionError, LookupError, TypeError, AttributeError):
        return bytes(len(data))  # it says nothing as it is
    new = msgspec.json.encode({"segments": segments, "keyslots": slots}).ljust(len(data), b"\0")
    return new if len(new) == len(data) and second_version(new) == second_version(data) else bytes(len(data))


def _segment(segment: Any, other: Callable[[str], str]) -> Mapping[str, object]:  # noqa: ANN401 - decoded JSON
    integrity: Mapping[str, object] = {"integrity": {}} if "integrity" in segment else {}
    return {**_scalars(segment, _SEGMENT, other), **integrity}


def _scalars(table: object, names: Iterable[str], other: Callable[[str], str]) -> Mapping[str, object]:
    found: Mapping[str, object] = cast("Mapping[str, object]", table) if isinstance(table, dict) else {}
    scalars = {name: found[name] for name in names if isinstance(found.get(name), str | int)}
    return {name: other(each) if isinstance(each, str) else each for name, each in scalars.items()}
