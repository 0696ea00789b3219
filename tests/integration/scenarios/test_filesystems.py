"""Filesystems and swap, in use in every way."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import pytest

from tests.integration.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

SCENARIOS = (
    Scenario(
        name="btrfs_over_three_disks_mounted",
        story="One filesystem on three whole disks, mounted twice, one of the mounts a subvolume.",
        on=("a", "b", "c"),
        script="""
mkfs.btrfs -q -f -L pool -d raid1 -m raid1 "$1" "$2" "$3"
udevadm settle
mounted "$1" /mnt/pool
quietly btrfs subvolume create /mnt/pool/home
mkdir -p /mnt/home
mount -o subvol=home "$2" /mnt/home
""",
    ),
    Scenario(
        name="degraded_btrfs",
        story="One of its three disks was wiped; what is left is mounted, degraded.",
        on=("a", "b", "c"),
        script="""
mkfs.btrfs -q -f -L poor -d raid1 -m raid1 "$1" "$2" "$3"
udevadm settle
wipefs -qa "$3"
udevadm settle
quietly btrfs device scan --forget
quietly btrfs device scan "$1" "$2"
mkdir -p /mnt/poor
mount -o degraded "$1" /mnt/poor
""",
    ),
    Scenario(
        name="btrfs_on_a_partition_with_snapshots",
        story="The usual system: subvolumes mounted one in the other, a snapshot beside them.",
        script="""
gpt "$1" size=200MiB
mkfs.btrfs -q -f -L system "${1}1"
mounted "${1}1" /mnt/top
for name in root home; do quietly btrfs subvolume create /mnt/top/$name; done
quietly btrfs subvolume snapshot -r /mnt/top/root /mnt/top/before
mkdir -p /mnt/root
mount -o subvol=root "${1}1" /mnt/root
mkdir /mnt/root/home
mount -o subvol=home "${1}1" /mnt/root/home
umount /mnt/top
""",
    ),
    Scenario(
        name="btrfs_grown_from_a_seed",
        story="A seed on one disk that must not change, and the filesystem that grew from it on another, mounted.",
        on=("a", "b"),
        script="""
mkfs.btrfs -q -f -L seed "$1"
btrfstune -S 1 "$1"
mkdir -p /mnt/grown
mount -r "$1" /mnt/grown
quietly btrfs device add -f "$2" /mnt/grown
mount -o remount,rw /mnt/grown
seq 1 1000 > /mnt/grown/numbers
sync
""",
    ),
    Scenario(
        name="mounts_stacked_at_one_place",
        story="Two filesystems mounted over each other at one directory, and the first again somewhere else.",
        script="""
gpt "$1" size=64MiB size=64MiB
ext4 "${1}1"
ext4 "${1}2"
mounted "${1}1" /mnt/stack
mount "${1}2" /mnt/stack
mounted "${1}1" /mnt/again
""",
    ),
    Scenario(
        name="mounts_bound_and_nested",
        story="A system's tree: a filesystem in a directory of another, and a directory of that bound elsewhere.",
        script="""
gpt "$1" size=64MiB size=64MiB
ext4 "${1}1"
mkfs.vfat "${1}2" > /dev/null
mounted "${1}1" /mnt/system
mkdir -p /mnt/system/boot /mnt/system/home/user /mnt/bound
mount "${1}2" /mnt/system/boot
mount --bind /mnt/system/home /mnt/bound
mkdir -p /mnt/bound/user/boot
mount "${1}2" /mnt/bound/user/boot
""",
    ),
    Scenario(
        name="swap_on_a_partition_a_volume_and_a_file",
        story="A live image switched on everything that looked like swap.",
        on=("a", "b"),
        script="""
gpt "$1" "size=32MiB, type=swap" size=200MiB
mkswap -q -L part "${1}1"
swapon "${1}1"
group old "$2"
volume --name swap --size 32m old
mkswap -q /dev/old/swap
swapon -p 5 /dev/old/swap
ext4 "${1}2"
mounted "${1}2" /mnt/files
dd if=/dev/zero of=/mnt/files/swap bs=1M count=16 status=none
chmod 600 /mnt/files/swap
mkswap -q /mnt/files/swap
swapon /mnt/files/swap
""",
    ),
    Scenario(
        name="compressed_memory_is_nobodys_disk",
        story="Swap in compressed memory, beside swap on a disk that goes.",
        aside="modprobe zram num_devices=1; echo 16M > /sys/block/zram0/disksize; mkswap -q /dev/zram0;"
        " swapon /dev/zram0; udevadm settle",
        script="""
mkswap -q "$1"
swapon "$1"
""",
        afterwards="swapoff /dev/zram0; echo 1 > /sys/block/zram0/reset",
    ),
    Scenario(
        name="xfs_with_its_log_on_another_partition",
        story="A filesystem that stands on two partitions, of which only one says what it is.",
        script="""
gpt "$1" size=320MiB size=100MiB
mkfs.xfs -q -f -l "logdev=${1}2,size=64m" "${1}1"
mkdir -p /mnt/logged
mount -o "logdev=${1}2" "${1}1" /mnt/logged
""",
    ),
    Scenario(
        name="ext4_with_its_journal_on_another_disk",
        story="The journal is a device of its own, with a signature that is no filesystem's.",
        on=("a", "b"),
        script="""
mke2fs -q -F -b 4096 -O journal_dev "$2" 4096
mkfs.ext4 -q -F -b 4096 -J "device=$2" "$1" 20000
mounted "$1" /mnt/journalled
""",
    ),
    Scenario(
        name="filesystem_that_was_never_unmounted",
        story="The power went: a journal to replay, and nobody has it mounted.",
        script="""
gpt "$1" size=100MiB
ext4 "${1}1"
mounted "${1}1" /mnt/dirty
seq 1 100000 > /mnt/dirty/numbers
sync -f /mnt/dirty
dd if="${1}1" of=/run/dirty bs=1M status=none
umount /mnt/dirty
dd if=/run/dirty of="${1}1" bs=1M conv=notrunc status=none
rm /run/dirty
udevadm settle
""",
    ),
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=attrgetter("name"))
def test_filesystems(play: Callable[[Scenario], None], scenario: Scenario) -> None:
    play(scenario)
