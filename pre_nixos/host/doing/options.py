"""Mount options as people write them, and as mount(2) wants them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Iterable

_FLAGS: dict[str, tuple[int, int]] = {
    # what an option sets, and what it clears
    "ro": (1, 0),
    "rw": (0, 1),
    "nosuid": (2, 0),
    "suid": (0, 2),
    "nodev": (4, 0),
    "dev": (0, 4),
    "noexec": (8, 0),
    "exec": (0, 8),
    "sync": (16, 0),
    "async": (0, 16),
    "dirsync": (128, 0),
    "noatime": (1 << 10, 1 << 21),
    "atime": (0, 1 << 10),
    "nodiratime": (1 << 11, 0),
    "diratime": (0, 1 << 11),
    "silent": (1 << 15, 0),
    "loud": (0, 1 << 15),
    "relatime": (1 << 21, 1 << 10),
    "norelatime": (0, 1 << 21),
    "strictatime": (1 << 24, (1 << 10) | (1 << 21)),
    "nostrictatime": (0, 1 << 24),
    "lazytime": (1 << 25, 0),
    "nolazytime": (0, 1 << 25),
    "nosymfollow": (256, 0),
    "defaults": (0, 0),
}
_FOR_FSTAB = re.compile(r"(?:x-|X-|comment=).*|(?:no)?auto|nofail|_netdev|(?:no)?user|users|(?:no)?group|(?:no)?owner")
_OTHER_OPERATION = re.compile(r"r?bind|loop|move|remount|r?private|r?shared|r?slave|r?unbindable")


class Options(Data):
    """Mount options, sorted by who reads them."""

    flags: int = 0
    """For the kernel's mount layer."""
    data: str = ""
    """For the filesystem."""


def parse_options(options: Iterable[str]) -> Options:
    """Split options into flags and filesystem data; what only fstab's readers understand is left out.

    Raises ValueError for an option that asks for something else than mounting a device, such as `bind`.
    """
    flags = 0
    data: list[str] = []
    for option in (part for each in options for part in split_options(each)):
        name = option.partition("=")[0]
        if option in _FLAGS:
            sets, clears = _FLAGS[option]
            flags = (flags & ~clears) | sets
        elif _OTHER_OPERATION.fullmatch(name):
            raise ValueError(f"the option {option!r} asks for something else than mounting a device")
        elif not _FOR_FSTAB.fullmatch(option):
            data.append(option)
    return Options(flags=flags, data=",".join(data))


def split_options(text: str) -> list[str]:
    """Split at commas, except within double quotes, as SELinux contexts need it."""
    return [part for part in re.findall(r'(?:"[^"]*"|[^,"])+', text) if part]


def subvolume(options: Iterable[str]) -> str:
    """Which part of the filesystem is asked for: a path from its root, `/` for all of it."""
    for option in (part for each in options for part in split_options(each)):
        name, _, value = option.partition("=")
        if name == "subvol":
            return "/" + value.strip("/")
    return "/"
