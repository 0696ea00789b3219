"""The older type of tables in layouts: `table`, whose partitions are a list, and places and flags those of parted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.backends.gpt.disko import Slot, place
from pre_nixos.backends.gpt.kinds import Table
from pre_nixos.backends.gpt.places import FIRST, SECTOR
from pre_nixos.plugin import MIB, Share, for_type, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import Fragment, Handle

NO_MBR = (
    'tables of the type msdos are recognised, and not made: write format = "gpt". A machine without UEFI starts by '
    "a partition of it that has the flag bios_grub"
)
FILESYSTEMS = [
    "btrfs",
    "ext2",
    "ext3",
    "ext4",
    "fat16",
    "fat32",
    "hfs",
    "hfs+",
    "linux-swap",
    "ntfs",
    "reiserfs",
    "udf",
    "xfs",
]
BY_FILESYSTEM = {
    "linux-swap": "swap",
    **dict.fromkeys(("fat16", "fat32", "ntfs", "udf"), "microsoft-data"),
    **dict.fromkeys(("hfs", "hfs+"), "48465300-0000-11aa-aa11-00306543ecac"),
}
"""The types parted gives partitions for what is to be in them; to all others that of Linux."""
BY_FLAG = {
    "boot": "esp",
    "esp": "esp",
    "bios_grub": "bios-boot",
    "bls_boot": "xbootldr",
    "diag": "windows-recovery",
    "lvm": "lvm",
    "msftdata": "microsoft-data",
    "msftres": "microsoft-reserved",
    "prep": "prep",
    "raid": "raid",
    "swap": "swap",
}
"""Flags that are types."""
ATTRIBUTES = {"hidden": 0, "legacy_boot": 2, "no_automount": 63}
"""Flags that are attributes."""
UNITS = {"b": 1, "s": SECTOR, "kib": 1 << 10, "mib": MIB, "gib": 1 << 30, "tib": 1 << 40, "pib": 1 << 50}
NEAR = {"k": 10**3, "": 10**6, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
"""Units by which parted only finds the nearest place that suits it; of numbers alone it takes megabytes."""
BACKUP = MIB
"""What the second copy of the table takes of the end of a disk, as far as partitions are concerned."""
_PLACE = re.compile(r"(?P<sign>-?)(?P<number>\d+(?:\.\d+)?)(?P<unit>[a-z]*|%)", re.IGNORECASE)


class _Place:
    """Where a partition starts or ends, as it is written."""

    def __init__(self, text: str) -> None:
        found = _PLACE.fullmatch(text.strip())
        unit = found["unit"].lower() if found else ""
        if found is None or not (unit == "%" or unit in UNITS or unit.removesuffix("b") in NEAR):
            raise ValueError(f"{text!r} is no place on a disk; write for example 512MiB, 50% or -8GiB")
        number = float(found["number"])
        self.text = text.strip()
        self.from_the_end = bool(found["sign"])
        self.percent = number if unit == "%" else None
        self.beyond = {"s": SECTOR, "b": 1}.get(unit, 0)
        """What of a partition that ends there lies behind it: the sector or byte that is named is its last one."""
        if unit in UNITS:
            self.bytes = round(number * UNITS[unit])
        else:
            near = 0 if unit == "%" else number * NEAR[unit.removesuffix("b")]
            self.bytes = max(1, round(near / MIB)) * MIB


@for_type(hooks.from_disko, "table")
def read_older_table(content: Fragment, on: Sequence[Handle]) -> None:
    """Read a table whose partitions are a list: they are numbered in its order."""
    if content.choice("format", ["gpt", "msdos"]) == "msdos":
        content.pass_over()
        content.fault(NO_MBR, "format", on=on)
        return
    table = content.add(on, Table)
    slots: list[Slot] = []
    before: _Place | None = None
    for number, each in enumerate(content.items("partitions"), 1):
        slot, before = _read(each, number, before)
        slots.append(slot)
    place(slots, content, table)


def _read(fragment: Fragment, number: int, before: _Place | None) -> tuple[Slot, _Place | None]:
    """Read one partition, given where the one before it ends; give it with where it ends itself."""
    fragment.ignore("part-type")
    slot = Slot(fragment, label=fragment.text("name") or "")
    slot.wanted_number = number
    inside = fragment.child("content")
    kind = fragment.choice("fs-type", FILESYSTEMS)
    usual = "swap" if inside is not None and inside.type == "swap" else "linux"
    slot.type = BY_FILESYSTEM.get(kind or "", usual)
    flags = [*(["boot"] if fragment.flag("bootable") else []), *(fragment.texts("flags") or ())]
    for flag in flags:
        if flag in BY_FLAG:
            slot.type = BY_FLAG[flag]
        elif flag in ATTRIBUTES:
            slot.attributes = (slot.attributes or 0) | 1 << ATTRIBUTES[flag]
        else:
            slot.wrong(f"{flag!r} is none of the flags {', '.join(sorted({*BY_FLAG, *ATTRIBUTES}))}", "flags")
    end: _Place | None = None
    try:
        start = _Place(fragment.text("start") or "0%")
        end = _Place(fragment.text("end") or "100%")
        _extent(slot, start, end, before)
    except ValueError as error:
        slot.wrong(str(error))
    return slot, end


def _extent(slot: Slot, start: _Place, end: _Place, before: _Place | None) -> None:
    follows = before is not None and start.text == before.text
    first = before is None and start.percent == 0
    if (start.percent is not None or start.from_the_end) and not (follows or first):
        raise ValueError(f"the start {start.text!r} depends on the disk; let it be where the one before it ends")
    if not (follows or first):
        slot.start = max(start.bytes, FIRST)
    if end.percent == 100:
        slot.whole = True
    elif end.percent is not None:
        begun = start.percent or 0
        if end.percent <= begun:
            raise ValueError(f"it would end at {end.text}, and starts at {start.text}")
        slot.share = Share(percent=end.percent - begun, less=start.bytes - FIRST if start.percent is None else 0)
    elif end.from_the_end:
        slot.left = max(0, end.bytes - BACKUP)  # parted counts from the very end, where the second copy of the table is
    else:
        slot.end = end.bytes + end.beyond
