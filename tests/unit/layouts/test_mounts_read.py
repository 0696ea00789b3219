"""Mounts that others in the same layout have a say in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.backends import mounts
from pre_nixos.backends.mounts import Mount
from pre_nixos.plugin import Attach
from tests.unit.layouts.cases import disk, layout, with_disks

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.plugin import DeviceGraph


def read(folder: Path, content: dict[str, object], **sections: object) -> DeviceGraph:
    said = {"disk": {"main": {"device": "a", "content": content}}, **sections}
    return pn.read_layout(with_disks(disk("a")), layout(folder, said)).graph


def by_place(graph: DeviceGraph) -> dict[str, Mount]:
    return {each.at: each for each in graph.of(Mount)}


def subvolume(at: str, *options: str) -> dict[str, object]:
    return {"mountpoint": at, "mountOptions": list(options)}


def test_what_is_bound_as_a_whole_is_told_from_what_is_mounted(tmp_path: Path) -> None:
    bind = {"fsType": "none", "device": "/data", "mountOptions": ["bind", "ro"]}
    graph = read(
        tmp_path,
        {"type": "filesystem", "format": "ext4", "mountpoint": "/data"},
        nodev={"/srv": bind, "/www": {**bind, "device": "/data/www"}},
    )
    assert {at: each.directory for at, each in by_place(graph).items()} == {"/data": None, "/srv": "/", "/www": "/www"}


def test_a_directory_of_a_directory_is_looked_for_where_that_one_is(tmp_path: Path) -> None:
    def bound(device: str) -> dict[str, object]:
        return {"fsType": "none", "device": device, "mountOptions": ["bind"]}

    sections = {"/b": bound("/a/y"), "/a": bound("/data/x"), "/c": bound("/b"), "/data/own": bound("/data/own")}
    graph = read(tmp_path, {"type": "filesystem", "format": "ext4", "mountpoint": "/data"}, nodev=sections)
    found = {at: each.directory for at, each in by_place(graph).items() if each.directory}
    assert found == {"/a": "/x", "/b": "/x/y", "/c": "/x/y", "/data/own": "/own"}
    for around in ({"/a": bound("/b"), "/b": bound("/a")}, {"/a": bound("/a/x")}):
        with pytest.raises(pn.InvalidLayout, match="is on nothing that the layout mounts"):
            read(tmp_path, {"type": "filesystem", "format": "ext4", "mountpoint": "/data"}, nodev=around)


def test_where_subvolumes_contradict_each_other_the_first_place_counts(tmp_path: Path) -> None:
    subvolumes = {
        "root": subvolume("/", "compress=zstd", "noatime"),
        "home": subvolume("/home", "compress=zstd"),
        "nix": subvolume("/nix", "compress=zstd:1", "noatime"),
        "log": subvolume("/log", "autodefrag", "ro"),
        "swap": subvolume("/swap", "nodatacow", "noexec"),
    }
    graph = read(tmp_path, {"type": "btrfs", "subvolumes": subvolumes})
    found = by_place(graph)
    assert {at: each.overruled for at, each in found.items() if each.overruled} == {
        "/nix": ("compress=zstd:1",),
        "/swap": ("nodatacow",),
    }
    assert found["/swap"].options == ("nodatacow", "noexec"), "it is what the booted system is told"
    given: dict[str, set[str]] = {}
    for each in found.values():
        steps = [step for action in mounts.mount(each, graph) or () for step in action.steps]
        (step,) = [each for each in steps if isinstance(each, Attach)]
        given[each.at] = {option for option in step.options if not option.startswith("subvol")}
    assert given["/swap"] == {"compress=zstd", "autodefrag", "noexec"}
    assert given["/"] == {"compress=zstd", "autodefrag", "noatime"}, "whichever is mounted first decides for all"
