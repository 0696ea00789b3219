"""What a machine has, said as somebody would who describes the system that is on it."""

from __future__ import annotations

from typing import Any

import pytest

import pre_nixos as pn
from pre_nixos.backends.btrfs import Btrfs, Subvolume
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.mounts import Mount
from pre_nixos.backends.mounts.options import asked_for
from pre_nixos.model.identity import Found, Ref
from pre_nixos.model.layer import State
from tests.unit.toys import disk, machine


@pytest.mark.parametrize(
    ("shown", "asked"),
    [
        ("rw,relatime", ""),
        ("rw,noatime,errors=remount-ro", "noatime"),
        ("rw,relatime,fmask=0022,dmask=0022,codepage=437,iocharset=ascii,shortname=mixed,errors=remount-ro", ""),
        ("rw,relatime,fmask=0077,dmask=0077,codepage=437", "umask=0077"),
        ("rw,fmask=0133,dmask=0022", "fmask=0133"),
        (
            "rw,noatime,compress=zstd:3,ssd,discard=async,space_cache=v2,subvolid=256,subvol=/a",
            "noatime,compress=zstd:3",
        ),
        ("ro,nosuid,nodev,discard,data=ordered,stripe=64", "ro,nosuid,nodev,discard"),
        ("rw,attr2,inode64,logbufs=8,logbsize=32k,noquota", ""),
        ("rw,size=1024k,mode=755,inode64", "size=1024k,mode=755"),
    ],
)
def test_what_would_be_so_anyway_was_asked_for_by_nobody(shown: str, asked: str) -> None:
    assert ",".join(asked_for(shown.split(","))) == asked


def found() -> pn.Machine:
    pool = Btrfs(label="pool", uuid="0b2bd4b6-76b9-4e03-9e44-5a0f3a4a2f70", state=State.ACTIVE)
    usual = ("rw", "noatime", "ssd", "subvolid=256", "subvol=/a")
    inside = Ref(kind="btrfs", uuid="0b2bd4b6-76b9-4e03-9e44-5a0f3a4a2f70")
    root = Ref(number="8:0", content="ext4")
    return machine(
        Found(disk("a")),
        Found(disk("b")),
        Found(Filesystem(type="ext4", label="root", state=State.ACTIVE), on=["8:0"]),
        Found(Mount(at="/mnt", root="/", type="ext4", options=("rw", "relatime")), on=[root]),
        Found(Mount(at="/srv/copy", root="/", type="ext4", options=("ro",)), on=[root]),
        Found(pool, on=["8:16"]),
        Found(Subvolume(name="a", read_only=False, state=State.ACTIVE), on=[inside]),
        Found(Mount(at="/mnt/a", root="/", type="btrfs", options=usual), on=[Ref(kind="btrfs.subvolume", name="a")]),
    )


def test_mounts_are_those_of_the_described_system() -> None:
    written = pn.write_layout(found().graph, found_at="/mnt")
    disks: Any = written.devices["disk"]
    first, second = disks.values()
    assert first["content"]["mountpoint"] == "/"
    assert "mountOptions" not in first["content"]
    assert second["content"]["subvolumes"] == {"a": {"mountpoint": "/a", "mountOptions": ["noatime"]}}
    assert not any("readOnly" in each for each in written.beyond())


def test_of_the_running_system_everything_is_where_it_is() -> None:
    disks: Any = pn.write_layout(found().graph, found_at="/").devices["disk"]
    first, second = disks.values()
    assert first["content"]["mountpoint"] == "/mnt"
    assert second["content"]["subvolumes"]["a"]["mountpoint"] == "/mnt/a"
