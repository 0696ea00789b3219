"""Partitions lie where the tools put them that Disko calls: what it made is kept to the byte."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.backends.gpt import Partition
from pre_nixos.backends.gpt.ondisk import read_table
from pre_nixos.plugin import exact_bytes
from tests.unit.layouts.cases import disk, layout, with_disks

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30
SIZES = (20 * GIB, 20 * GIB - 100 * 512)
NAMED: dict[str, dict[str, str]] = {
    "boot": {"size": "1M", "type": "EF02", "priority": "1"},
    "esp": {"size": "512M", "type": "EF00", "priority": "2"},
    "root": {"end": "-1G", "type": "8300", "priority": "4"},
    "swap": {"size": "100%", "type": "8200", "priority": "5"},
}
LISTED: list[dict[str, str]] = [
    {"name": "esp", "start": "1MiB", "end": "512MiB", "fs-type": "fat32"},
    {"name": "root", "start": "512MiB", "end": "-8GiB", "fs-type": "ext4"},
    {"name": "swap", "start": "-8GiB", "end": "100%", "fs-type": "linux-swap"},
]


def made(folder: Path, size: int, commands: list[list[str]]) -> list[tuple[int, int, int, str, str]]:
    """Run commands on an image, and read the table they leave."""
    if shutil.which(commands[0][0]) is None:
        pytest.skip(f"{commands[0][0]} is not here")
    image = folder / "image"
    with image.open("wb") as file:
        file.truncate(size)
    for command in commands:
        words = [str(image) if word == "IMAGE" else word for word in command]
        subprocess.run(words, check=True, capture_output=True)
    with image.open("rb") as written:

        def read(offset: int, length: int) -> bytes:
            written.seek(offset)
            return written.read(length)

        entries = read_table(read, size, 512).entries
    return [(number, each.start, each.length, each.type, each.label) for number, each in sorted(entries.items())]


def wanted(folder: Path, size: int, content: dict[str, object]) -> list[tuple[int, int, int, str, str]]:
    path = layout(folder, {"disk": {"main": {"device": "a", "content": content}}})
    parts = pn.read_layout(with_disks(disk("a", size=size)), path).graph.of(Partition)
    return [(each.number, each.start or 0, exact_bytes(each.size), each.type or "", each.label or "") for each in parts]


@pytest.mark.parametrize("size", SIZES)
def test_by_name_as_with_sgdisk(size: int, tmp_path: Path) -> None:
    commands: list[list[str]] = []
    for number, (name, each) in enumerate(NAMED.items(), 1):
        end = each.get("end") or ("-0" if each["size"] == "100%" else f"+{each['size']}")
        new = ["sgdisk", "--align-end", f"--new={number}:0:{end}", f"--change-name={number}:disk-main-{name}"]
        commands.append([*new, f"--typecode={number}:{each['type']}", "IMAGE"])
    parts = {name: {**each, "priority": int(each["priority"])} for name, each in NAMED.items()}
    assert made(tmp_path, size, commands) == wanted(tmp_path, size, {"type": "gpt", "partitions": parts})


def test_in_a_list_as_with_parted(tmp_path: Path) -> None:
    commands = [["parted", "-s", "IMAGE", "--", "mklabel", "gpt"]]
    commands += [
        ["parted", "-s", "IMAGE", "--", "mkpart", each["name"], each["fs-type"], each["start"], each["end"]]
        for each in LISTED
    ]
    commands.append(["parted", "-s", "IMAGE", "--", "set", "1", "boot", "on"])
    listed: list[dict[str, object]] = [{**each, "bootable": each is LISTED[0]} for each in LISTED]
    found = wanted(tmp_path, SIZES[0], {"type": "table", "format": "gpt", "partitions": listed})
    assert made(tmp_path, SIZES[0], commands) == found
