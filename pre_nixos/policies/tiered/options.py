"""The options of the policy `tiered`: every number in it, and the names it gives."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta

from pre_nixos.plugin import Data, InvalidLayout, Options
from pre_nixos.policies.reading import is_read, read_bytes

_GROUP_NAME = re.compile(r"[A-Za-z0-9+_.][A-Za-z0-9+_.-]*")
"""What LVM takes as the name of a volume group, and md as that of an array."""
_LONGEST_NAME = 27
"""md keeps 32 bytes for a name, and further tiers add a number to theirs."""


class TieredOptions(Options):
    """What may be asked of the policy `tiered`. Sizes are written `50GiB`, `400GB` or `512M`; 0 makes none."""

    disks: Annotated[
        tuple[str, ...],
        Meta(
            description="Use these disks only, each named by serial, WWN, by-id link or disk id; "
            "a disk that is named may be removable or on the network"
        ),
    ] = ()
    careful: Annotated[bool, Meta(description="Mirror the SSDs (RAID1, RAID10 from four on) instead of striping")] = (
        False
    )
    lone: Annotated[
        bool, Meta(description="Also use disks that match no other, each as a volume group of its own, not redundant")
    ] = False
    tolerance: Annotated[
        float, Meta(ge=0, le=50, description="By how many percent the disks of one array may differ in size")
    ] = 1.0
    firmware: Annotated[
        Literal["auto", "uefi", "bios"],
        Meta(description="What the machine will boot with; auto is what it was booted with now"),
    ] = "auto"
    filesystem: Annotated[
        Literal["ext4", "xfs", "ext3", "ext2"], Meta(description="The filesystem of every volume but swap")
    ] = "ext4"

    esp: Annotated[str, Meta(description="EFI system partition on every disk of main, where there is UEFI")] = "1GiB"
    bios_boot: Annotated[
        str, Meta(description="Partition for the boot loader's core on every disk of main, where there is no UEFI")
    ] = "1MiB"
    slash: Annotated[str, Meta(description="Volume main/slash, mounted at /")] = "50GiB"
    home_cap: Annotated[str, Meta(description="Volume main/home, mounted at /home: at most this")] = "16GiB"
    home_share: Annotated[
        float, Meta(ge=0, le=100, description="Volume main/home: at most so many percent of what slash leaves")
    ] = 25.0
    home_least: Annotated[str, Meta(description="Volume main/home: rather none than less than this")] = "256MiB"
    swap_factor: Annotated[float, Meta(ge=0, le=64, description="Swap: so many times the memory")] = 2.0
    swap_cap: Annotated[str, Meta(description="Swap: at most this")] = "64GiB"
    swap_disks: Annotated[
        float,
        Meta(
            ge=0,
            le=100,
            description="A pair of HDDs is small, and suits swap, if its disks have at most so many percent "
            "of the size of those of large",
        ),
    ] = 50.0
    var_tmp: Annotated[str, Meta(description="Volume swap/var_tmp, mounted at /var/tmp")] = "32GiB"
    var_log: Annotated[str, Meta(description="Volume swap/var_log, mounted at /var/log")] = "16GiB"
    data: Annotated[str, Meta(description="Volume large/data, mounted at /data")] = "100GiB"
    extent: Annotated[str, Meta(description="Extents of the volume groups: a power of two")] = "4MiB"
    free_extents: Annotated[int, Meta(ge=0, description="Extents left free in each volume group")] = 2

    main_name: Annotated[str, Meta(description="Name of the volume group the system is on")] = "main"
    large_name: Annotated[str, Meta(description="Name of the volume group on the larger HDDs")] = "large"
    swap_name: Annotated[str, Meta(description="Name of the volume group on a small pair of HDDs")] = "swap"


class Sizes(Data):
    """The sizes among the options, in bytes."""

    esp: int
    bios_boot: int
    slash: int
    home_cap: int
    home_least: int
    swap_cap: int
    var_tmp: int
    var_log: int
    data: int
    extent: int


def read_sizes(options: TieredOptions) -> Sizes:
    """Read the options that are text. Raises InvalidLayout with everything that is wrong with any of them."""
    problems: list[str] = []
    read = read_bytes(options, Sizes.__struct_fields__, problems)
    if is_read("extent", problems) and (read["extent"] & (read["extent"] - 1) or read["extent"] < 4096):
        problems.append(f"option extent: {options.extent!r} is not a power of two of at least 4 KiB")
    if is_read("slash", problems) and not read["slash"]:
        problems.append(f"option slash: {options.slash!r} leaves no room for the system")
    names = {name: getattr(options, name) for name in ("main_name", "large_name", "swap_name")}
    problems += [
        f"option {name}: {value!r} cannot name a volume group; "
        f"use at most {_LONGEST_NAME} letters, digits and _ . + -, not beginning with -"
        for name, value in names.items()
        if not _GROUP_NAME.fullmatch(value) or value.strip(".") == "" or len(value) > _LONGEST_NAME
    ]
    if len(set(names.values())) < len(names):
        problems.append(f"options {', '.join(names)}: two volume groups cannot share a name")
    if problems:
        raise InvalidLayout(problems)
    return Sizes(**read)
