"""How a mapping is open now, which only its table in the kernel says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import Data

if TYPE_CHECKING:
    from collections.abc import Sequence

DISCARDS = "allow_discards"
UNQUEUED = frozenset({"no_read_workqueue", "no_write_workqueue"})


class InForce(Data):
    """What can be compared with what is wanted; None where nothing is known."""

    cipher: str | None = None
    key_size: int | None = None
    """Bits."""
    allow_discards: bool | None = None
    bypass_workqueues: bool | None = None


def in_force(lines: Sequence[Sequence[str]]) -> InForce:
    """Read a table of one line: start, length, `crypt`, cipher, key, offset, device, offset, and options."""
    if len(lines) != 1 or len(lines[0]) < 8 or lines[0][2] != "crypt":
        return InForce()
    options = frozenset(lines[0][9:])
    return InForce(
        cipher=lines[0][3],
        key_size=_bits(lines[0][4]),
        allow_discards=DISCARDS in options,
        bypass_workqueues=options >= UNQUEUED,
    )


def _bits(key: str) -> int | None:
    """Give the length of a key: `:64:logon:name` is one of 64 bytes in the kernel's keyring, others show as zeros."""
    if key.startswith(":"):
        length = key.split(":")[1]
        return int(length) * 8 if length.isdecimal() else None
    return len(key) * 4 if key != "-" else None
