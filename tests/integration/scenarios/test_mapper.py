"""What stands on device-mapper and loop devices: encrypted, mapped by hand, and left without what it stood on."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import pytest

from tests.integration.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

SCENARIOS = (
    Scenario(
        name="luks_of_both_versions_open_and_closed",
        story="Four encrypted partitions: two are open, a filesystem in one of them is mounted.",
        script="""
gpt "$1" size=100MiB size=100MiB size=100MiB size=100MiB
lock --type luks1 "${1}1"
lock --type luks1 "${1}2"
lock --type luks2 "${1}3"
lock --type luks2 "${1}4"
unlock "${1}2" older
unlock "${1}4" 'newer one'
newer=/dev/dm-$(dmsetup info --columns --noheadings -o minor 'newer one' | tr -d ' ')
ext4 "$newer"
mounted "$newer" /mnt/newer
""",
    ),
    Scenario(
        name="luks_with_its_header_on_another_disk",
        story="The header lies on a stick; without it the disk is random bytes.",
        on=("a", "b"),
        script="""
gpt "$2" size=32MiB
lock --type luks2 --header "${2}1" "$1"
unlock --header "${2}1" "$1" detached
ext4 /dev/mapper/detached
""",
    ),
    Scenario(
        name="luks_with_its_header_in_a_file",
        story="The header is a file somewhere else: it is open, and no disk says what it is.",
        script="""
rm -f /run/header
lock --type luks2 --header /run/header "$1"
unlock --header /run/header "$1" headless
mkswap -q /dev/mapper/headless
swapon /dev/mapper/headless
""",
    ),
    Scenario(
        name="open_luks_whose_header_was_wiped",
        story="Somebody wiped the disk while the volume was open and mounted.",
        script="""
lock --type luks2 "$1"
unlock "$1" wiped
ext4 /dev/mapper/wiped
mounted /dev/mapper/wiped /mnt/wiped
zeros "$1" 1M 0 16
udevadm settle
""",
    ),
    Scenario(
        name="mapper_over_a_disk_that_was_pulled",
        story="A mapping over two disks, one of which was pulled out; its name stays taken.",
        refuses=("dm torn", "cannot be told", "when in doubt nothing is written"),
        remedy="dmsetup remove torn; udevadm settle",
        afterwards="rmmod scsi_debug",
        script="""
modprobe scsi_debug dev_size_mb=64
udevadm settle
for each in /sys/block/sd*; do grep -q scsi_debug "$each/device/model" && stick=${each##*/}; done
printf '0 65536 linear %s 2048\\n65536 65536 linear %s 2048\\n' "$1" "/dev/$stick" | dmsetup create torn
udevadm settle
ext4 /dev/mapper/torn
echo 1 > "/sys/block/$stick/device/delete"
udevadm settle
""",
    ),
    Scenario(
        name="luks_on_a_volume_on_an_array_on_partitions_with_swap_beside",
        story="Everything at once, in use: a stripe with parity, a group on it, an encrypted volume, a filesystem.",
        on=("a", "b", "c"),
        script="""
for disk; do gpt "$disk" "size=100MiB, type=raid" "size=32MiB, type=swap"; done
array all --level=5 --raid-devices=3 --assume-clean "${1}1" "${2}1" "${3}1"
group all /dev/md/all
volume --name secret --size 100m all
lock --type luks2 /dev/all/secret
unlock /dev/all/secret secret
ext4 /dev/mapper/secret
mounted /dev/mapper/secret /mnt/secret
for disk; do mkswap -q "${disk}2"; swapon "${disk}2"; done
""",
    ),
    Scenario(
        name="luks_that_keeps_checksums",
        story="A volume with integrity, which has a device of its own below it.",
        script="""
gpt "$1" size=32MiB
lock --type luks2 --integrity hmac-sha256 "${1}1"
unlock "${1}1" sums
""",
    ),
    Scenario(
        name="mapping_encrypted_without_a_header",
        story="Plain dm-crypt, with swap in it, as of old.",
        script="""
gpt "$1" size=100MiB
key
unlock --type plain --cipher aes-xts-plain64 --key-size 256 "${1}1" plain
mkswap -q /dev/mapper/plain
swapon /dev/mapper/plain
""",
    ),
    Scenario(
        name="tables_over_two_disks",
        story="Somebody joined two disks by hand, put another table on that, and a filesystem on it.",
        on=("a", "b"),
        script="""
printf '0 65536 linear %s 2048\\n65536 65536 linear %s 2048\\n' "$1" "$2" | dmsetup create both-disks
udevadm settle
echo "0 120000 linear /dev/mapper/both-disks 1024" | dmsetup create upper
udevadm settle
ext4 /dev/mapper/upper
mounted /dev/mapper/upper /mnt/upper
""",
    ),
    Scenario(
        name="volumes_whose_metadata_is_gone",
        story="The disk was wiped while its group was active: mappings of volumes LVM knows nothing about.",
        script="""
group gone "$1"
volume --name data --size 64m gone
volume --snapshot --name snap --size 16m gone/data
ext4 /dev/gone/data
mounted /dev/gone/data /mnt/gone
zeros "$1" 1M 0 1
udevadm trigger --settle "$1"
""",
    ),
    Scenario(
        name="suspended_mapping",
        story="A mapping was left suspended: whoever reads it waits for ever.",
        script="""
gpt "$1" size=100MiB
echo "0 65536 linear ${1}1 2048" | dmsetup create still
udevadm settle
dmsetup suspend still
""",
    ),
    Scenario(
        name="multipath_over_one_path",
        story="A map of multipath's kind, over the only path there is, with a partition mapped in it.",
        script="""
gpt "$1" size=100MiB
ext4 "${1}1"
size=$(blockdev --getsz "$1")
sfdisk --delete -q "$1" 2> /dev/null || true
udevadm settle
echo "0 $size multipath 0 0 1 1 round-robin 0 1 1 $1 1000" | dmsetup create --uuid mpath-36001405aba mpatha
udevadm settle
echo "0 100000 linear /dev/mapper/mpatha 2048" | dmsetup create --uuid part1-mpath-36001405aba mpatha-part1
udevadm settle
""",
    ),
    Scenario(
        name="thin_pool_made_by_hand",
        story="What container engines used to set up: a pool over two partitions, and a volume in it.",
        script="""
gpt "$1" size=32MiB size=200MiB
zeros "${1}1" 1M 0 1
udevadm settle
echo "0 204800 thin-pool ${1}1 ${1}2 128 0" | dmsetup create pool
dmsetup message /dev/mapper/pool 0 "create_thin 0"
echo "0 102400 thin /dev/mapper/pool 0" | dmsetup create container
udevadm settle
ext4 /dev/mapper/container
mounted /dev/mapper/container /mnt/container
""",
    ),
    Scenario(
        name="bcache_over_two_disks",
        story="A slow disk with a cache on a fast one, made by a plugin's technology, mounted.",
        on=("a", "b"),
        script="""
modprobe bcache
gpt "$1" size=200MiB
# The kernel asks for a bucket's memory in one piece, and a small guest that ran for a while has no piece of 512 KiB.
make-bcache --wipe-bcache --bucket 64k --bdev "${1}1" --cache "$2" > /dev/null
udevadm settle
for each in "${1}1" "$2"; do
    [ -e "/sys/class/block/${each#/dev/}/bcache" ] || echo "$each" > /sys/fs/bcache/register
done
udevadm settle
ext4 /dev/bcache0
mounted /dev/bcache0 /mnt/bcache
""",
    ),
    Scenario(
        name="loop_device_of_a_partition",
        story="A loop device that shows a partition from its second MiB on, with a filesystem that is mounted.",
        script="""
gpt "$1" size=100MiB
losetup --offset 1048576 /dev/loop7 "${1}1"
ext4 /dev/loop7
mounted /dev/loop7 /mnt/loop
""",
    ),
    Scenario(
        name="stack_inside_a_file",
        story="A file on the disk is a disk of its own: partitions, a group, an encrypted volume, mounted.",
        script="""
gpt "$1" size=400MiB
ext4 "${1}1"
mounted "${1}1" /mnt/images
truncate -s 200M /mnt/images/disk
losetup --partscan /dev/loop7 /mnt/images/disk
gpt /dev/loop7 size=150MiB
group nested /dev/loop7p1
volume --name data --size 100m nested
lock --type luks1 /dev/nested/data
unlock /dev/nested/data inmost
ext4 /dev/mapper/inmost
mounted /dev/mapper/inmost /mnt/nested
""",
    ),
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=attrgetter("name"))
def test_mappings(play: Callable[[Scenario], None], scenario: Scenario) -> None:
    play(scenario)
