"""The vocabulary is the documented one, and what is written is what Disko understands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

import pre_nixos as pn
from pre_nixos.hooks.fragment import Fragment
from tests.unit.layouts.cases import EXAMPLES, RIGHT, WRONG, case, disk, layout, with_disks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_mock import MockerFixture

PAGE = (Path(__file__).parents[3] / "docs" / "layouts.md").read_text()
CONTENT = {"type", "content"}
DISKO: dict[str, set[str]] = {
    "disk": {"device", "destroy", "imageName", "imageSize", "name", *CONTENT},
    "gpt": {"type", "partitions", "efiGptPartitionFirst"},
    "partition": {
        *("type", "attributes", "priority", "name", "uuid", "label", "size", "alignment", "start", "end", "hybrid"),
        "content",
    },
    "filesystem": {"type", "format", "extraArgs", "mountOptions", "mountpoint"},
    "luks": {
        *("name", "keyFile", "passwordFile", "askPassword", "settings", "additionalKeyFiles", "initrdUnlock"),
        *("extraFormatArgs", "extraOpenArgs", *CONTENT),
    },
    "btrfs": {"type", "extraArgs", "mountOptions", "subvolumes", "mountpoint", "swap"},
    "subvolume": {"name", "type", "extraArgs", "mountOptions", "mountpoint", "swap"},
    "lvm_pv": {"type", "vg"},
    "lvm_vg": {"name", "type", "lvs"},
    "volume": {"name", "priority", "size", "lvm_type", "extraArgs", "pool", "content"},
    "mdraid": {"type", "name"},
    "mdadm": {"name", "type", "level", "metadata", "extraArgs", *CONTENT},
    "swap": {
        *("type", "discardPolicy", "extraArgs", "mountOptions", "priority", "randomEncryption", "resumeDevice"),
    },
}
"""The keys Disko has for each of its types."""
INNER = {"partitions": "partition", "subvolumes": "subvolume", "lvs": "volume"}


def strangers(table: dict[str, Any], kind: str) -> Iterator[str]:
    """Find the keys Disko does not have."""
    yield from (f"{kind}.{key}" for key in table.keys() - DISKO[kind])
    for key, value in table.items():
        if key == "content":
            yield from strangers(value, value["type"])
        for inner in cast("dict[str, dict[str, Any]]", value).values() if key in INNER else ():
            yield from strangers(inner, INNER[key])


@pytest.mark.parametrize("name", ["raid1-luks-lvm", "impermanence-btrfs", "partitions-in-order"])
def test_what_disko_can_say_is_said_as_disko_does(name: str, tmp_path: Path) -> None:
    it = case(next(path for path in RIGHT if path.stem == name))
    there = with_disks(*(disk(serial, **fields) for serial, fields in it["machine"].items()))
    wanted = pn.read_layout(there, layout(tmp_path, it["layout"]), disks=it.get("disks", {}))
    written = pn.write_layout(wanted.graph, disks=there.all_disks)
    found = [
        each
        for section, entries in written.devices.items()
        for entry in cast("dict[str, dict[str, Any]]", entries).values()
        for each in strangers(entry, section)
    ]
    assert not found


def test_every_key_that_is_read_is_documented(mocker: MockerFixture, tmp_path: Path) -> None:
    asked: set[str] = set()
    close = Fragment.close

    def closing(fragment: Fragment) -> None:
        if fragment.type != "toy":
            asked.update(fragment._known - fragment._table.keys())  # pyright: ignore[reportPrivateUsage] - what it is for
        close(fragment)

    mocker.patch.object(Fragment, "close", closing)
    for path in (*RIGHT, *WRONG):
        pn.check_layout(layout(tmp_path, case(path)["layout"]))
    for path in EXAMPLES:
        pn.check_layout(str(path))
    asked -= {"type", "name", "alignment", "efiGptPartitionFirst"}
    assert {"mountpoint", "select", "chunk"} <= asked
    assert not {key for key in asked if f"`{key}" not in PAGE and f"{key} =" not in PAGE}
