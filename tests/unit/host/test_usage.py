from __future__ import annotations

import os
import shutil
import struct
import time
from typing import TYPE_CHECKING

import pytest

from pre_nixos.host.loopdevices import parse
from pre_nixos.host.mappings import read_maps
from pre_nixos.host.questions import Opened, User, WhoUses
from pre_nixos.host.statx import Status, look
from pre_nixos.host.usage import Usage
from tests.unit.host.trees import Tree

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture

BUSY = Opened(free=False, error="Device or resource busy")


class Machine:
    """A canned /sys and /proc with one disk of two partitions, which nothing uses."""

    def __init__(self, root: Path) -> None:
        self.tree = Tree(root)
        self.proc = root / "proc"
        (self.proc / "self/ns").mkdir(parents=True)
        (self.proc / "self/ns/mnt").symlink_to("mnt:[1]")
        self.tree.add("sda", "8:0")
        self.tree.add("sda1", "8:1", on="sda", partition="1")
        self.tree.add("sda2", "8:2", on="sda", partition="2")
        self.tree.add("sdb", "8:16")
        self.opened = Opened(free=True)
        self.behind: dict[str, Status] = {}
        self.numbers = {"/dev/sda2": "8:2", "/dev/sdb": "8:16"}

    def look(self, path: str) -> Status | None:
        number = self.numbers.get(os.readlink(path) if os.path.islink(path) else path, "")
        return Status(filesystem="0:6", device=number) if number else look(path)

    def users(self, number: str) -> list[User]:
        usage = Usage(
            sysfs=self.tree.sysfs,
            open_exclusive=lambda _: self.opened,
            proc=str(self.proc),
            look=self.look,
            behind=lambda name, _: self.behind.get(name),
        )
        return list(usage.who_uses(WhoUses(number=number)).users)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_an_unused_disk_has_no_users(machine: Machine) -> None:
    assert machine.users("8:0") == machine.users("8:2") == machine.users("9:9") == []


def test_holders_of_the_disk_and_of_its_partitions(machine: Machine) -> None:
    machine.tree.add("dm-0", "252:0")
    machine.tree.stack("dm-0", "sda2")
    assert machine.users("8:0") == machine.users("8:2") == [User(how="holder", what="dm-0")]
    assert machine.users("8:1") == []


def test_mounts_and_swap(machine: Machine) -> None:
    (machine.proc / "self/mountinfo").write_text("30 1 8:1 / /boot rw - ext4 /dev/sda1 rw\n")
    (machine.proc / "swaps").write_text("Filename Type\n/dev/sda2 partition 1 0 -2\n")
    assert machine.users("8:0") == [User(how="mount", what="/boot"), User(how="swap", what="/dev/sda2")]
    assert machine.users("8:16") == []


def test_a_device_that_only_the_options_of_a_mount_name(machine: Machine) -> None:
    ours = "30 1 8:32 / /data rw - xfs /dev/sdc rw,attr2,logdev=/dev/sdb,noquota\n"
    (machine.proc / "self/mountinfo").write_text(ours + "31 1 0:30 / /mnt rw - overlay none rw,lowerdir=/dev/sdb\n")
    foreign = machine.proc / "40"
    (foreign / "ns").mkdir(parents=True)
    (foreign / "ns/mnt").symlink_to("mnt:[2]")
    (foreign / "comm").write_text("container\n")
    (foreign / "mountinfo").write_text("90 80 8:32 / /inside rw - xfs /dev/sdc rw,rtdev=/dev/sda2\n")
    assert machine.users("8:16") == [User(how="mount", what="/data")]
    assert machine.users("8:0") == [User(how="mount", what="/inside", pid=40)]


def test_the_other_device_of_a_mounted_btrfs(machine: Machine) -> None:
    devices = machine.tree.root / "fs/btrfs/the-uuid/devices"
    for name in ("sda2", "sdb"):
        machine.tree.write(devices / name / "size", "1")
    (machine.tree.root / "fs/btrfs/features").mkdir()
    assert machine.users("8:2") == [User(how="mount", what="btrfs the-uuid")]
    (machine.proc / "self/mountinfo").write_text("30 1 0:40 / /data rw - btrfs /dev/sdb rw\n")
    assert machine.users("8:2") == machine.users("8:16") == [User(how="mount", what="/data")]


def test_loops_on_the_device_and_on_files_of_its_filesystem(machine: Machine, tmp_path: Path) -> None:
    machine.tree.add("loop0", "7:0", loop__backing_file="/dev/sdb")
    machine.tree.add("loop1", "7:1")
    assert machine.users("8:16") == [User(how="loop", what="loop0")]
    (tmp_path / "image").write_text("")
    device = os.stat(tmp_path).st_dev
    machine.tree.add("sdz", f"{os.major(device)}:{os.minor(device)}")
    machine.tree.add("loop2", "7:2", loop__backing_file=str(tmp_path / "image"))
    assert machine.users(f"{os.major(device)}:{os.minor(device)}") == [User(how="loop", what="loop2")]


@pytest.mark.parametrize("path", ["/run/gone (deleted)", "/dev/sda2"])
def test_behind_a_loop_device_is_what_the_kernel_says_and_not_what_is_at_its_path(machine: Machine, path: str) -> None:
    machine.tree.add("loop0", "7:0", loop__backing_file=path)
    machine.behind["loop0"] = Status(filesystem="0:6", device="8:16")
    machine.tree.add("loop1", "7:1", loop__backing_file=path)
    machine.behind["loop1"] = Status(filesystem="8:16", device="")
    assert machine.users("8:16") == [User(how="loop", what="loop0"), User(how="loop", what="loop1")]
    assert machine.users("8:0") == []


def test_how_the_kernel_says_what_is_behind_a_loop_device() -> None:
    # Of a large number, the upper part of the minor goes above the major.
    numbers = struct.pack("=QQQ", (259 << 8) | 1 | (1 << 20), 12345, 0x0810)
    assert parse(numbers + bytes(208)) == Status(filesystem="259:257", device="8:16")
    assert parse(bytes(16) + bytes(216)).device == ""


def test_what_is_served_to_others(machine: Machine) -> None:
    config = machine.tree.root / "kernel/config"
    machine.tree.write(config / "nvmet/subsystems/nqn/namespaces/1/device_path", "/dev/sdb")
    machine.tree.write(config / "target/core/iblock_0/disk/udev_path", "/dev/sdb")
    machine.tree.write(config / "target/core/iblock_0/hba_info", "text")
    assert machine.users("8:16") == [
        User(how="export", what="nvmet nqn namespace 1"),
        User(how="export", what="LIO iblock_0/disk"),
    ]


@pytest.mark.parametrize(
    "info",
    [
        "        TCM FILEIO ID: 0        File: /dev/sdb  Size: 536870912  Mode: Buffered-WCE Async: 0",
        "        iBlock device: sdb  readonly: 0\n        Major: 8 Minor: 16  CLAIMED: IBLOCK",
        "        iBlock device: sdb  UDEV PATH: / Major: 8  readonly: 0\n        Major: 8 Minor: 16  CLAIMED: IBLOCK",
    ],
)
def test_what_is_served_without_a_note(machine: Machine, info: str) -> None:
    status = "Status: ACTIVATED  Max Queue Depth: 0  SectorSize: 512  HwMaxSectors: 16384\n"
    machine.tree.write(machine.tree.root / "kernel/config/target/core/any_0/disk/info", status + info)
    assert machine.users("8:16") == [User(how="export", what="LIO any_0/disk")]
    assert machine.users("8:0") == []


def test_open_files_of_others_but_not_our_own(machine: Machine) -> None:
    for pid in (12, os.getpid()):
        descriptors = machine.proc / str(pid) / "fd"
        descriptors.mkdir(parents=True)
        (descriptors / "3").symlink_to("/dev/sda2")
        (descriptors / "4").symlink_to("/dev/sda2")
        (descriptors / "5").symlink_to("socket:[7]")
        (machine.proc / str(pid) / "comm").write_text("dd\n")
    assert machine.users("8:0") == [User(how="open", what="dd", pid=12)]


def test_a_process_that_calls_itself_nothing_is_still_a_user(machine: Machine) -> None:
    descriptors = machine.proc / "12/fd"
    descriptors.mkdir(parents=True)
    (descriptors / "3").symlink_to("/dev/sdb")
    (machine.proc / "12/comm").write_text("\n")
    (machine.proc / "12/status").write_text("Name:\t\nPPid:\t1\n")
    assert machine.users("8:16") == [User(how="open", what="a process without a name", pid=12)]


def test_what_udev_starts_is_udevs_and_what_ends_meanwhile_uses_nothing(
    machine: Machine, mocker: MockerFixture
) -> None:
    for pid, name, parent in ((20, "(udev-worker)", 1), (21, "probe", 20), (22, "probe", 20)):
        descriptors = machine.proc / str(pid) / "fd"
        descriptors.mkdir(parents=True)
        (descriptors / "3").symlink_to("/dev/sdb")
        (machine.proc / str(pid) / "comm").write_text(f"{name}\n")
        (machine.proc / str(pid) / "status").write_text(f"Name:\t{name}\nPPid:\t{parent}\n")
    session = Usage._session  # pyright: ignore[reportPrivateUsage] - where in the look it ends

    def ending(self: Usage, pid: str) -> str:
        if pid == "22":
            shutil.rmtree(machine.proc / "22")
        return session(self, pid)

    mocker.patch.object(Usage, "_session", ending)
    assert machine.users("8:16") == [
        User(how="open", what="(udev-worker)", pid=20),
        User(how="open", what="probe (started by udev)", pid=21),
    ]


@pytest.mark.parametrize(
    ("opened", "what"),
    [(BUSY, "the kernel"), (Opened(free=False, error="Permission denied"), "cannot be told: Permission denied")],
)
def test_a_device_that_does_not_open_exclusively_is_in_use(machine: Machine, opened: Opened, what: str) -> None:
    machine.opened = opened
    assert machine.users("8:16") == [User(how="exclusive", what=what)]


@pytest.mark.parametrize(
    ("line", "how"),
    [
        ("7f00000000-7f00001000 rw-s 00000000 00:06 300                        /dev/sdb", "open"),
        ("00400000-00401000 r--p 00000000 00:06 300                            /dev/sdb", "open"),
        ("7f00000000-7f00001000 rw-s 00000000 00:06 300                        /dev/gone (deleted)", "open"),
        ("7f00000000-7f00001000 rw-s 00000000 00:19 300                        /run/a node", "open"),
        ("7f00000000-7f00001000 r-xp 00000000 08:10 300                        /usr/lib/a library", "file"),
        ("7f00000000-7f00001000 r-xp 00000000 08:01 300                        /a 08:10 b", ""),
        ("7f00000000-7f00001000 rw-s 00000000 00:01 300                        /dev/zero (deleted)", ""),
        ("7f00000000-7f00001000 rw-p 00000000 00:00 0", ""),
    ],
)
def test_what_others_have_mapped_into_their_memory(machine: Machine, line: str, how: str) -> None:
    place = machine.proc / "12"
    (place / "map_files").mkdir(parents=True)
    (place / "comm").write_text("database\n")
    (place / "maps").write_text(f"7e00000000-7e00001000 r-xp 00000000 fe:00 1    /bin/database\n{line}\n")
    if "gone" in line or "node" in line:
        (place / "map_files/7f00000000-7f00001000").symlink_to("/dev/sdb")
    assert machine.users("8:16") == ([User(how=how, what="database", pid=12)] if how else [])


def test_a_process_that_does_not_tell_what_it_has_mapped_is_left_out_until_it_does(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "maps").write_text(name) if name != "b" else os.mkfifo(tmp_path / name / "maps")
    places = [str(tmp_path / name) for name in "abc"]
    others = {places[0]: b"a", places[2]: b"c"}
    assert read_maps(places, patience=0.1) == others
    assert read_maps(places, patience=60) == others
    (tmp_path / "b/maps").write_text("late")
    deadline = time.monotonic() + 10
    (tmp_path / "b/maps").unlink()
    (tmp_path / "b/maps").write_text("now")
    while (found := read_maps(places)) == others and time.monotonic() < deadline:
        time.sleep(0.01)
    assert found == others | {places[1]: b"now"}
