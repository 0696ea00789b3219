from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pre_nixos.host.questions import Mark
from pre_nixos.host.sysfs import node_path
from tests.unit.host.trees import Tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Two disks, a mirror over a partition of each, two volumes over the mirror."""
    tree = Tree(tmp_path)
    for letter, minor in (("a", 0), ("b", 16)):
        tree.add(f"sd{letter}", f"8:{minor}", size="2048", queue__rotational="1", device__model="Model X  ")
        tree.add(f"sd{letter}1", f"8:{minor + 1}", on=f"sd{letter}", partition="1", start="2048", size="1024")
        tree.add(f"sd{letter}2", f"8:{minor + 2}", on=f"sd{letter}", partition="2", start="4096", size="1024")
    tree.add("md0", "9:0", md__uuid="1111", md__level="raid1")
    tree.stack("md0", "sda2", "sdb2")
    tree.add("dm-0", "252:0", dm__uuid="LVM-root", dm__suspended="0")
    tree.add("dm-1", "252:1", dm__uuid="LVM-home", dm__suspended="0")
    for name in ("dm-0", "dm-1"):
        tree.stack(name, "md0")
    return tree


def test_every_device_is_read_with_what_is_asked_for_and_no_more(tree: Tree) -> None:
    tree.note("8:1", "S:disk/by-partlabel/b", "S:disk/by-id/a-part1", "I:123", "E:ID_FS_TYPE=ext4", "E:ODD=a=b")
    nodes = {node.name: node for node in tree.sysfs.nodes().nodes}
    assert list(nodes) == ["dm-0", "dm-1", "md0", "sda", "sda1", "sda2", "sdb", "sdb1", "sdb2"]
    assert nodes["sda"].number == "8:0"
    assert nodes["sda"].attributes == {"size": "2048", "queue/rotational": "1", "device/model": "Model X"}
    assert (nodes["sda"].parent, nodes["sda1"].parent) == ("", "sda")
    assert nodes["sda2"].holders == ("md0",)
    assert nodes["md0"].slaves == ("sda2", "sdb2")
    assert nodes["md0"].holders == ("dm-0", "dm-1")
    assert nodes["sda1"].udev == {"ID_FS_TYPE": "ext4", "ODD": "a=b"}
    assert nodes["sda1"].links == ("/dev/disk/by-id/a-part1", "/dev/disk/by-partlabel/b")
    assert nodes["sda1"].path == os.path.realpath(tree.root / "class/block/sda1")


def test_a_path_without_a_node_of_its_own_is_no_device(tree: Tree) -> None:
    (tree.add("nvme0c0n1", "1:1") / "dev").unlink()
    assert tree.sysfs.node("nvme0c0n1") is None
    assert tree.sysfs.node("nonesuch") is None


@pytest.mark.parametrize(
    ("states", "said", "over"),
    [
        (("live tcp", "live tcp"), "live", "tcp"),
        (("live tcp", "connecting tcp"), "connecting", "tcp"),
        (("connecting tcp", "deleting rdma", "live tcp"), "connecting, deleting", "rdma+tcp"),
        ((), "without a path", "unknown"),
    ],
)
def test_a_disk_with_several_paths_is_as_well_as_the_worst_of_them(
    tree: Tree, states: tuple[str, ...], said: str, over: str
) -> None:
    below = tree.root / "devices/virtual/nvme-subsystem/nvme-subsys1"
    tree.add("nvme1n1", "259:2", below="virtual/nvme-subsystem/nvme-subsys1", size="2048")
    (below / "nvme1n1/device").symlink_to(below)
    for count, words in enumerate(states, 1):
        (below / f"nvme{count}").mkdir()
        for file, word in zip(("state", "transport"), words.split(), strict=True):
            (below / f"nvme{count}" / file).write_text(f"{word}\n")
    node = tree.sysfs.node("nvme1n1")
    assert node is not None
    assert (node.attributes["device/state"], node.attributes["device/transport"]) == (said, over)


@pytest.mark.parametrize(
    ("start", "trail", "found"),
    [
        ("8:0", [], "sda"),
        ("8:0", [{"partition": "2"}], "sda2"),
        ("8:0", [{"partition": "2"}, {"md/uuid": "1111"}], "md0"),
        ("8:0", [{"md/uuid": "*"}], "md0"),
        ("8:16", [{"md/uuid": "*"}, {"dm/uuid": "LVM-home"}], "dm-1"),
        ("8:16", [{"dm/uuid": "LVM-home", "dm/suspended": "0"}], "dm-1"),
    ],
)
def test_a_device_is_found_by_what_it_shows(tree: Tree, start: str, trail: list[dict[str, str]], found: str) -> None:
    located = tree.sysfs.locate(start, [Mark(attributes=attributes) for attributes in trail])
    assert (located.name, located.number, located.error) == (found, tree.sysfs.number(found), "")


@pytest.mark.parametrize(
    ("start", "attributes", "error"),
    [
        ("8:99", {}, "there is no block device 8:99"),
        ("8:0", {"partition": "*"}, "2 devices (sda1, sda2) above sda with partition=*"),
        ("8:0", {"dm/uuid": "*"}, "2 devices (dm-0, dm-1) above sda with dm/uuid=*"),
        ("8:0", {"dm/uuid": "LVM-home", "dm/name": "x"}, "no device above sda with dm/name=x, dm/uuid=LVM-home"),
        ("8:1", {"md/uuid": "*"}, "no device above sda1 with md/uuid=*"),
    ],
)
def test_anything_but_one_match_is_an_error(tree: Tree, start: str, attributes: dict[str, str], error: str) -> None:
    located = tree.sysfs.locate(start, [Mark(attributes=attributes)])
    assert (located.name, located.number, located.error) == ("", "", error)


def test_what_stands_on_something_suspended_is_stuck_too(tree: Tree) -> None:
    tree.add("dm-2", "252:2", dm__suspended="0")
    tree.stack("dm-2", "dm-0")
    assert tree.sysfs.stuck("dm-2") == ""
    tree.write(tree.root / "devices/virtual/block/dm-0/dm/suspended", "1")
    assert tree.sysfs.stuck("dm-2") == "dm-0 is suspended"
    assert tree.sysfs.stuck("dm-1") == ""


def test_an_nvme_namespace_without_a_live_path_is_stuck(tree: Tree) -> None:
    path = tree.add("nvme0n1", "259:0")
    tree.add("nvme0n1p1", "259:1", on="nvme0n1", partition="1")
    tree.write(path / "device/nvme0/state", "connecting")
    tree.write(path / "device/nvme1/state", "live")
    assert tree.sysfs.nvme_paths("nvme0n1p1") == {"nvme0": "connecting", "nvme1": "live"}
    assert tree.sysfs.stuck("nvme0n1p1") == ""
    tree.write(path / "device/nvme1/state", "dead")
    assert tree.sysfs.stuck("nvme0n1p1") == "the path nvme0 is connecting, the path nvme1 is dead"


def test_a_slash_in_a_name_is_written_as_an_exclamation_mark() -> None:
    assert node_path("cciss!c0d0p1") == "/dev/cciss/c0d0p1"
