"""Partition types: their GUIDs, and shorter ways to say them."""

from __future__ import annotations

import re

GUIDS = {
    "esp": "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
    "bios-boot": "21686148-6449-6e6f-744e-656564454649",
    "xbootldr": "bc13c2ff-59e6-4262-a352-b275fd6f7172",
    "linux": "0fc63daf-8483-4772-8e79-3d69d8477de4",
    "swap": "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f",
    "raid": "a19d880f-05fc-4d3b-a006-743f0f84911e",
    "lvm": "e6d6d379-f507-44c2-a23c-238f2a3df928",
    "luks": "ca7d7ccb-63ed-4c53-861c-1742536059cc",
    "dm-crypt": "7ffec5c9-2d00-49b7-8941-3ea10a5586b7",
    "home": "933ac7e1-2eb4-4f13-b844-0e14e2aef915",
    "srv": "3b8f8425-20e0-4f3b-907f-1a25a76f98e8",
    "var": "4d21b016-b534-45c2-a9fb-5c16e091fd2d",
    "var-tmp": "7ec6f557-3bc5-4aca-b293-16ef5df639d1",
    "user-home": "773f91ef-66d4-49b5-bd83-d683bf40ad16",
    "root-x86": "44479540-f297-41b2-9af7-d131d5f0458a",
    "root-x86-64": "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
    "root-arm": "69dad710-2ce4-4e3c-b16c-21a1d49abed3",
    "root-arm64": "b921b045-1df0-41c3-af44-4c6f280d3fae",
    "root-riscv64": "72ec70a6-cf74-40e6-bd49-4bda08e8f224",
    "usr-x86-64": "8484680c-9521-48c6-9c11-b0720656f69e",
    "usr-arm64": "b0e01050-ee5f-4390-949a-9101b17104e9",
    "linux-reserved": "8da63339-0007-60c0-c436-083ac8230908",
    "prep": "9e1a2d38-c612-4316-aa26-8b49521e5a8b",
    "zfs": "6a898cc3-1dd2-11b2-99a6-080020736631",
    "microsoft-data": "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7",
    "microsoft-reserved": "e3c9e316-0b5c-4db8-817d-f92df00215ae",
    "windows-recovery": "de94bba4-06d1-4d40-a16a-bfd50179d6ac",
    "scratch": "b3c41473-07a6-4f08-a30b-66bf361f8927",
}
"""What people and the discoverable partitions specification call the types."""

ESP = GUIDS["esp"]
BIOS_BOOT = GUIDS["bios-boot"]
SCRATCH = GUIDS["scratch"]
"""Of no other program: says that nobody keeps the key of what is in the partition, and so that nobody can miss it.

The type for plain dm-crypt would not do. What is in such a partition may be all somebody has, under a passphrase.
"""

CODES = {
    "0700": "microsoft-data",
    "0C01": "microsoft-reserved",
    "2700": "windows-recovery",
    "4100": "prep",
    "8200": "swap",
    "8300": "linux",
    "8301": "linux-reserved",
    "8302": "home",
    "8303": "root-x86",
    "8304": "root-x86-64",
    "8305": "root-arm64",
    "8306": "srv",
    "8307": "root-arm",
    "8308": "dm-crypt",
    "8309": "luks",
    "8310": "var",
    "8311": "var-tmp",
    "8312": "user-home",
    "8314": "usr-x86-64",
    "8316": "usr-arm64",
    "8E00": "lvm",
    "BF01": "zfs",
    "EA00": "xbootldr",
    "EF00": "esp",
    "EF02": "bios-boot",
    "FD00": "raid",
}
"""sgdisk's codes for them."""

NAMES = {guid: name for name, guid in GUIDS.items()}
DEFAULT = GUIDS["linux"]
"""What a partition is made as if nobody says."""

UNUSED = "00000000-0000-0000-0000-000000000000"
"""The type of an entry that holds no partition."""

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def normal(text: str) -> str:
    """Give the GUID of a type in whichever of the three ways it was written; what is none of them as it is."""
    lower = text.strip().lower()
    return GUIDS.get(lower) or GUIDS.get(CODES.get(lower.upper(), ""), lower)


def is_guid(text: str) -> bool:
    """Tell a GUID in its normal form."""
    return _GUID.fullmatch(text) is not None


def shown(type_: str) -> str:
    """Name a type for people, or give its GUID."""
    return NAMES.get(type_, type_)
