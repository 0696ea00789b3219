"""Partition tables in every state, and signatures that many or none lay claim to."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import pytest

from pre_nixos.lab.description import LabDisk
from pre_nixos.model.step import MIB
from tests.integration.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

MORE_DISKS = (
    LabDisk(name="coarse", size=256 * MIB, block_size=4096),
    LabDisk(name="large", size=12 * 1024 * MIB),
)

SCENARIOS = (
    Scenario(
        name="contents_of_a_zapped_table_in_the_middle",
        story="Both copies of the table are gone, also from the kernel; what was in the partitions lies where nobody"
        " looks, until the same partitions are made again.",
        rewrite="by us",
        rounds=0,
        script="""
gpt "$1" size=100MiB size=100MiB size=100MiB
keep_table "$1"
group middle "${1}2"
volume --name data --size 32m middle
vgchange -qq --activate n middle
ext4 "${1}3"
zeros "$1" 512 0 2048
zeros "$1" 512 $(($(blockdev --getsz "$1") - 33)) 33
flock "$1" blockdev --rereadpt "$1" # udevd takes the lock while it looks
udevadm settle
""",
    ),
    Scenario(
        name="gpt_whose_first_copy_is_gone",
        story="The head of the disk was overwritten; the copy at the end knows all partitions.",
        script="""
gpt "$1" size=100MiB size=100MiB
ext4 "${1}2"
keep_table "$1"
zeros "$1" 512 0 34
flock "$1" blockdev --rereadpt "$1" # udevd takes the lock while it looks
udevadm settle
""",
    ),
    Scenario(
        name="gpt_whose_copy_at_the_end_is_gone",
        story="As of a disk whose image was made from a larger one.",
        script="""
gpt "$1" size=100MiB size=100MiB
mkswap -q "${1}1"
swapon "${1}1"
zeros "$1" 512 $(($(blockdev --getsz "$1") - 33)) 33
""",
    ),
    Scenario(
        name="hybrid_of_gpt_and_mbr",
        story="Two tables that say different things of the same partitions.",
        script="""
gpt "$1" size=64MiB size=64MiB
sgdisk --hybrid 1:2 "$1" > /dev/null
udevadm settle
ext4 "${1}2"
""",
    ),
    Scenario(
        name="protective_mbr_and_nothing_behind_it",
        story="Both headers of the GPT were zeroed, its protective MBR was not.",
        script="""
gpt "$1" size=64MiB
zeros "$1" 512 1 33
zeros "$1" 512 $(($(blockdev --getsz "$1") - 33)) 33
flock "$1" blockdev --rereadpt "$1" # udevd takes the lock while it looks
rm -f "/run/table-${1#/dev/}"
udevadm settle
""",
    ),
    Scenario(
        name="mbr_with_logical_partitions",
        story="An old system: primary, extended and logical partitions, mounted, and swap.",
        script="""
sfdisk -q --label dos "$1" <<'END'
1: start=2048, size=64MiB, type=83, bootable
2: size=64MiB, type=82
3: size=300MiB, type=5
5: size=64MiB, type=83
6: size=64MiB, type=83
END
udevadm settle
ext4 "${1}1"
mkswap -q "${1}2"
swapon "${1}2"
ext4 "${1}5"
mkfs.vfat "${1}6" > /dev/null
mounted "${1}1" /mnt/old
mkdir /mnt/old/home
mount "${1}5" /mnt/old/home
""",
    ),
    Scenario(
        name="label_of_a_sun",
        story="A disk from a SPARC.",
        script="""
printf 'label: sun\\n1: start=64260, size=64260\\n2: start=128520, size=64260\\n' > "/run/table-${1#/dev/}"
sfdisk -q "$1" < "/run/table-${1#/dev/}"
udevadm settle
blkid -p "$1" | grep -q sun
ext4 "${1}2"
""",
    ),
    Scenario(
        name="filesystem_on_a_bare_disk_that_had_a_table",
        story="A filesystem on the whole disk; the table that was there before shows through.",
        script="""
gpt "$1" size=100MiB
keep_table "$1"
ext4 -O ^resize_inode "$1"
printf '\\125\\252' | dd of="$1" bs=1 seek=510 conv=notrunc status=none
udevadm settle
mounted "$1" /mnt/bare
""",
    ),
    Scenario(
        name="image_of_a_cd_that_is_a_disk_as_well",
        story="An installer's image written to the disk: a filesystem of CDs, an MBR over it, a partition within.",
        script="""
printf 'start=64, size=100MiB, type=0\\n' | sfdisk -q --label dos "$1" 2> /dev/null
printf '\\001CD001\\001' | dd of="$1" bs=2048 seek=16 conv=notrunc status=none
printf 'INSTALLER' | dd of="$1" bs=1 seek=32808 conv=notrunc status=none
printf '\\377CD001\\001' | dd of="$1" bs=2048 seek=17 conv=notrunc status=none
flock "$1" blockdev --rereadpt "$1" # udevd takes the lock while it looks
udevadm settle
""",
    ),
    Scenario(
        name="table_within_a_partition",
        story="The disk of a virtual machine in a partition: a table of its own, partitions the kernel does not show.",
        script="""
gpt "$1" size=300MiB size=64MiB
printf 'size=100MiB\\n' | sfdisk -q --no-reread --force --label gpt "${1}1" 2> /dev/null
mkswap -q "${1}2"
udevadm settle
""",
    ),
    Scenario(
        name="two_signatures_at_once",
        story="A LUKS header over an ext4 on one disk, an xfs over swap on the other: who is right cannot be told.",
        on=("a", "b"),
        script="""
truncate -s 16M /run/header
truncate -s 320M /run/xfs
key
cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 --key-file /run/key /run/header
ext4 "$1"
dd if=/run/header of="$1" bs=592 count=1 conv=notrunc status=none
mkswap -q "$2"
mkfs.xfs -q -f /run/xfs
dd if=/run/xfs of="$2" bs=512 count=1 conv=notrunc status=none
rm /run/header /run/xfs
udevadm settle
""",
    ),
    Scenario(
        name="random_bytes",
        story="A disk that was overwritten with random bytes, or is encrypted with no header: nobody can tell.",
        script="""
noise 20971520 > "$1"
udevadm settle
""",
    ),
    Scenario(
        name="hibernated_system",
        story="A system sleeps in its swap.",
        script="""
gpt "$1" size=64MiB
mkswap -q "${1}1"
printf S1SUSPEND | dd of="${1}1" bs=1 seek=4086 conv=notrunc status=none
udevadm trigger --settle "${1}1"
""",
    ),
    Scenario(
        name="partition_that_begins_where_an_older_one_did_not",
        story="The disk was partitioned anew: the old filesystem begins a little before the new partition.",
        script="""
gpt "$1" start=2048,size=200MiB
ext4 "${1}1"
sfdisk -q --delete "$1"
printf 'start=34816, size=100MiB\\n' | sfdisk -q --wipe never --wipe-partitions never --label gpt "$1" 2> /dev/null
udevadm settle
mkfs.vfat "${1}1" > /dev/null
""",
    ),
    Scenario(
        name="signatures_at_odd_places",
        story="Copies of a filesystem's first blocks where no partition begins, left by a tool that moved it.",
        script="""
truncate -s 64M /run/small
ext4 /run/small
for place in 3 7 11; do dd if=/run/small of="$1" bs=1M count=4 seek=$place conv=notrunc status=none; done
printf LABELONE | dd of="$1" bs=512 seek=3 conv=notrunc status=none
rm /run/small
udevadm settle
""",
    ),
    Scenario(
        name="disk_of_large_blocks",
        story="Blocks of 4096 bytes: the table is elsewhere, and so is the copy of it.",
        on=("coarse",),
        script="""
gpt "$1" size=64MiB size=64MiB
ext4 "${1}1"
mounted "${1}1" /mnt/coarse
group coarse "${1}2"
volume --name data --size 16m coarse
""",
    ),
    Scenario(
        name="labels_of_a_bluestore",
        story="A disk of Ceph: its label is at the start, and again after 1 and after 10 GiB.",
        on=("large",),
        script="""
for place in 0 1 10; do
    printf 'bluestore block device\\n11111111-2222-3333-4444-555555555555\\n' |
        dd of="$1" bs=1M seek=$((place * 1024)) conv=notrunc status=none
done
udevadm trigger --settle "$1"
""",
    ),
    Scenario(
        name="labels_of_zfs",
        story="Four labels, two at each end; a wipe of the first and the last MiB has been through.",
        script="""
gpt "$1" size=200MiB
uberblock() { printf '\\014\\261\\272\\000\\000\\000\\000\\000\\210\\023'; head -c 1014 /dev/zero; }
for n in $(seq 32); do uberblock; done > /run/uberblocks
size=$(($(blockdev --getsize64 "${1}1") / 262144 * 256))
for place in 128 384 $((size - 512 + 128)) $((size - 256 + 128)); do
    dd if=/run/uberblocks of="${1}1" bs=1K seek=$place conv=notrunc status=none
done
udevadm trigger --settle "${1}1"
blkid -p "${1}1" | grep -q zfs
""",
    ),
    Scenario(
        name="signatures_that_nobody_here_manages",
        story="DRBD, bcache, Stratis, BitLocker and a journal of ext4, each on a partition of its own.",
        script="""
gpt "$1" $(yes size=32MiB | head -5)
python3 - "$1" <<'END'
import struct, sys
def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
disk = sys.argv[1]
def put(number, offset, data):
    with open(f"{disk}{number}", "r+b") as file:
        file.seek(offset, 2 if offset < 0 else 0)
        file.write(data)
put(1, -4096, struct.pack(">Q4QQQII", 60000, 1, 2, 3, 4, 5, 0, 0, 0x8374026B) + struct.pack(">5I", 8, 0, 0, 0, 4096))
body = b"!Stra0tis\\x86\\xff\\x02^\\x41rh" + struct.pack("<QBQ", 65536, 1, 0)[:9] + b"a" * 32 + b"b" * 32
body = body.ljust(508, b"\\0")
put(3, 512, struct.pack("<I", crc32c(body)) + body)
put(4, 0, b"\\xeb\\x58\\x90-FVE-FS-")
END
make-bcache --bdev "${1}2" > /dev/null
mke2fs -q -F -O journal_dev "${1}5"
udevadm settle
""",
    ),
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=attrgetter("name"))
def test_tables_and_signatures(play: Callable[[Scenario], None], scenario: Scenario) -> None:
    play(scenario)
