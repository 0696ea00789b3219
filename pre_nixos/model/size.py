"""Sizes: how much was asked for, and how to say it."""

from __future__ import annotations

import re
from typing import TypeAlias

from pre_nixos.model.data import Data

_UNITS = {
    "": 1,
    "B": 1,
    "K": 1024,
    "KIB": 1024,
    "KB": 1000,
    "M": 1024**2,
    "MIB": 1024**2,
    "MB": 1000**2,
    "G": 1024**3,
    "GIB": 1024**3,
    "GB": 1000**3,
    "T": 1024**4,
    "TIB": 1024**4,
    "TB": 1000**4,
    "P": 1024**5,
    "PIB": 1024**5,
    "PB": 1000**5,
}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")
_SHARE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")


class Exact(Data, tag="exact", tag_field="is"):
    """So many bytes: to the byte for a partition, within one grain elsewhere."""

    bytes: int

    def __str__(self) -> str:
        """As a person would say it."""
        return human(self.bytes)


class Share(Data, tag="share", tag_field="is"):
    """A percentage of what the container offers."""

    percent: float
    less: int = 0
    """Bytes to take off from it: a share of what others leave is one of everything, less that share of theirs."""

    def __str__(self) -> str:
        """As a person would say it."""
        return f"{self.percent:g}% less {human(self.less)}" if self.less else f"{self.percent:g}%"


class Rest(Data, tag="rest", tag_field="is"):
    """Whatever is left once the others have theirs."""

    keep: int = 0
    """Bytes to leave free."""

    def __str__(self) -> str:
        """As a person would say it."""
        return f"the rest but {human(self.keep)}" if self.keep else "the rest"


Size: TypeAlias = Exact | Share | Rest


def parse_bytes(text: str) -> int:
    """Read `50GiB`, `50G` (binary, as LVM and Disko mean it), `400GB` (decimal, as disks are sold) or plain bytes."""
    found = _SIZE.fullmatch(text)
    if found is None or found[2].upper() not in _UNITS:
        raise ValueError(f"{text!r} is not a size; write for example 512M, 50GiB or 400GB")
    number, unit = found[1], _UNITS[found[2].upper()]
    return int(number) * unit if number.isdecimal() else round(float(number) * unit)


def parse_size(text: str) -> Size:
    """Read a size as people write it: `50GiB`, `20%`, `100%` (the rest) or `rest`."""
    share = _SHARE.fullmatch(text)
    if share is not None:
        percent = float(share[1])
        if not 0 < percent <= 100:
            raise ValueError(f"{text!r} is not a share; it must be over 0% and at most 100%")
        return Rest() if percent == 100 else Share(percent=percent)
    if text.strip().lower() == "rest":
        return Rest()
    return Exact(bytes=parse_bytes(text))


def as_size(size: Size | str | int) -> Size:
    """Take a size in any of the forms an author may write it; a plain number is so many bytes.

    Raises ValueError for words that are no size, and TypeError for what is neither words, a number nor a size.
    """
    if isinstance(size, str):
        return parse_size(size)
    if isinstance(size, int) and not isinstance(size, bool):
        if size <= 0:
            raise ValueError(f"{size} is not a size; write so many bytes, or for example 512M, 50GiB or 400GB")
        return Exact(bytes=size)
    if isinstance(size, Exact | Share | Rest):
        return size
    raise TypeError(f"{size!r} is not a size; write for example '50GiB', '20%', 'rest', a number of bytes, or Rest()")


def exact_bytes(size: Size | str | int | None) -> int:
    """Give the bytes of a size that was resolved; anything else is a programming error."""
    if isinstance(size, Exact):
        return size.bytes
    raise TypeError(f"this size was never resolved to bytes: {size!r}")


def told_apart(there: str, wanted: str, *sizes: object) -> tuple[str, str]:
    """Give what is said of two sizes; to the byte, if they differ by less than is said of them otherwise."""
    if there != wanted or not all(isinstance(each, Exact | int) for each in sizes):
        return there, wanted
    first, second = (each.bytes if isinstance(each, Exact) else each for each in sizes)
    return f"{first} bytes", f"{second} bytes"


def human(count: int) -> str:
    """Say a number of bytes briefly: `465.8 GiB`, `1 GiB`, `512 B`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024:
            return f"{value:.1f}".rstrip("0").rstrip(".") + f" {unit}"
        value /= 1024
    return f"{value:.1f}".rstrip("0").rstrip(".") + " PiB"
