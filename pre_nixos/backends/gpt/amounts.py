"""Sizes and places as sgdisk takes them, and so as layouts have them."""

from __future__ import annotations

import re
from typing import NamedTuple

from pre_nixos.plugin import MIB

SECTOR = 512
"""What a number without a unit counts, also on disks with larger sectors: a layout does not know its disk."""
UNITS = {"k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4, "p": 1024**5}
_AMOUNT = re.compile(r"(?P<sign>[+-]?)(?P<number>\d+)(?:(?P<unit>[kmgtp])(?:iB)?|s)?", re.IGNORECASE)


class Amount(NamedTuple):
    """A number of bytes, from where it is written to count."""

    sign: str
    """`+` counts from the start of the partition, `-` from the end of the disk, nothing from the start of the disk."""
    bytes: int
    sectors: bool
    """Whether it was said in sectors, the last of which belongs to the partition."""


def amount(text: str) -> Amount:
    """Read `512M`, `+1G`, `-10M`, `2048s` or `2048`. Raises ValueError."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not an amount; write for example 512M, 1G or, for sectors, 2048s")
    unit = (found["unit"] or "").lower()
    return Amount(found["sign"], int(found["number"]) * (UNITS[unit] if unit else SECTOR), not unit)


def said(count: int, *, sectors: str = "") -> str:
    """Write bytes as an amount, in sectors if they are no whole MiB; `sectors` is what to put behind those."""
    return f"{count // SECTOR}{sectors}" if count % MIB else f"{count // MIB}M"
