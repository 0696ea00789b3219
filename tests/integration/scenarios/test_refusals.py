"""What must be refused in words, with every byte as it was, and what goes once the reason is gone."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import pytest

from tests.integration.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

SCENARIOS = (
    Scenario(
        name="filesystem_mounted_in_another_namespace",
        story="Only one process sees the mount, in a namespace of its own.",
        refuses=("mounted at /mnt/hidden", "namespace", "sleep", "out of our reach"),
        remedy="release",
        script="""
gpt "$1" size=100MiB
ext4 "${1}1"
mkdir -p /mnt/hidden
rm -f /run/hidden
unshare --mount --propagation private setsid \\
    sh -c "mount ${1}1 /mnt/hidden; touch /run/hidden; exec sleep 86400" < /dev/null > /dev/null 2>&1 &
echo $! > /run/holder
while [ ! -e /run/hidden ]; do sleep 0.05; done
""",
    ),
    Scenario(
        name="group_that_reaches_another_disk",
        story="A volume group over a disk of the plan and one that is not.",
        on=("a", "b"),
        takes=("a",),
        refuses=("wide", "stands partly on", "LABB"),
        script="""
group wide "$1" "$2"
volume --name data --type striped --stripes 2 --size 32m wide
ext4 /dev/wide/data
""",
    ),
    Scenario(
        name="array_that_reaches_another_disk",
        story="A mirror that was stopped, of which only one half is in the plan.",
        on=("a", "b"),
        takes=("b",),
        refuses=("halves", "stands partly on", "LABA"),
        script="""
for disk; do gpt "$disk" "size=64MiB, type=raid"; done
array halves --level=1 --raid-devices=2 --assume-clean "${1}1" "${2}1"
mdadm --stop --quiet /dev/md/halves
udevadm settle
mdadm --stop --scan --quiet
""",
    ),
    Scenario(
        name="btrfs_that_reaches_another_disk",
        story="A filesystem over two disks, mounted, of which only one is in the plan.",
        on=("a", "b"),
        takes=("a",),
        refuses=("stands partly on", "LABB"),
        script="""
mkfs.btrfs -q -f -L wide "$1" "$2"
udevadm settle
mounted "$1" /mnt/wide
sync -f /mnt/wide
""",
    ),
    Scenario(
        name="seed_from_which_others_grew",
        story="A seed, and two filesystems that grew from it on other disks; only the seed is in the plan.",
        on=("a", "b", "c"),
        takes=("a",),
        refuses=("stands partly on", "LABB", "LABC"),
        script="""
mkfs.btrfs -q -f -L seed "$1"
btrfstune -S 1 "$1"
mkdir -p /mnt/grown
for disk in "$2" "$3"; do
    mount -r "$1" /mnt/grown
    quietly btrfs device add -f "$disk" /mnt/grown
    mount -o remount,rw /mnt/grown
    seq 1 1000 > /mnt/grown/numbers
    umount /mnt/grown
    quietly btrfs device scan --forget
done
udevadm settle
""",
    ),
    Scenario(
        name="open_descriptor_of_the_bare_device",
        story="A process has the disk itself open, as a backup or a virtual machine does; nothing is mounted.",
        refuses=("process {holder} (sleep)", "{a}"),
        remedy="release",
        script="""
ext4 "$1"
holding "$1"
""",
    ),
    Scenario(
        name="open_descriptor_of_a_partition",
        story="The same with a partition, while the plan speaks of the disk.",
        refuses=("process {holder} (sleep)", "{a}1"),
        remedy="release",
        script="""
gpt "$1" size=64MiB
holding "${1}1"
""",
    ),
    Scenario(
        name="file_held_open_on_a_mounted_filesystem",
        story="A shell's log on a mounted filesystem on a volume; nothing may be unmounted meanwhile.",
        refuses=("process {holder} (sleep)", "has a file open"),
        remedy="release",
        script="""
group used "$1"
volume --name data --size 32m used
ext4 /dev/used/data
mounted /dev/used/data /mnt/used
echo text > /mnt/used/file
sync -f /mnt/used
holding /mnt/used/file
""",
    ),
    Scenario(
        name="process_that_works_in_a_mounted_directory",
        story="Nothing is open; somebody merely stands in a directory of the filesystem.",
        refuses=("process {holder} (sleep)", "works there"),
        remedy="release",
        script="""
gpt "$1" size=64MiB
ext4 "${1}1"
mounted "${1}1" /mnt/work
sync -f /mnt/work
(cd /mnt/work && exec setsid sleep 86400 < /dev/null > /dev/null 2>&1) &
echo $! > /run/holder
sleep 0.2
""",
    ),
    Scenario(
        name="file_that_is_only_mapped_into_memory",
        story="A program mapped a file and closed it: no descriptor tells of it.",
        refuses=("process {holder}",),
        remedy="release",
        script="""
gpt "$1" size=64MiB
ext4 "${1}1"
mounted "${1}1" /mnt/mapped
head -c 8192 /dev/zero > /mnt/mapped/file
sync -f /mnt/mapped
rm -f /run/mapped
setsid python3 -c "
import mmap, os, time
handle = os.open('/mnt/mapped/file', os.O_RDONLY)
kept = mmap.mmap(handle, 8192, prot=mmap.PROT_READ)
os.close(handle)
open('/run/mapped', 'w').close()
time.sleep(86400)
" < /dev/null > /dev/null 2>&1 &
echo $! > /run/holder
while [ ! -e /run/mapped ]; do sleep 0.05; done
""",
    ),
    Scenario(
        name="lazily_unmounted_filesystem_in_use",
        story="It was unmounted with force while a file was open: no mount shows it, and it is still there.",
        refuses=("process {holder} (sleep)",),
        remedy="release",
        script="""
gpt "$1" size=64MiB
ext4 "${1}1"
mounted "${1}1" /mnt/lazy
echo text > /mnt/lazy/file
sync -f /mnt/lazy
holding /mnt/lazy/file
umount --lazy /mnt/lazy
""",
    ),
    Scenario(
        name="rescued_system_with_proc_in_it",
        story="Somebody wanted to change root into the old system: /proc, /sys and /dev are mounted in it.",
        refuses=("ext4 cannot be unmounted from /mnt/system", "/mnt/system/proc", "/mnt/system/dev", "/mnt/system/run"),
        remedy="umount /mnt/system/run /mnt/system/dev /mnt/system/proc",
        script="""
gpt "$1" size=100MiB
ext4 "${1}1"
mounted "${1}1" /mnt/system
mkdir /mnt/system/proc /mnt/system/dev /mnt/system/run
mount -t proc proc /mnt/system/proc
mount --bind /dev /mnt/system/dev
mount -t tmpfs tmpfs /mnt/system/run
sync -f /mnt/system
""",
    ),
    Scenario(
        name="filesystem_that_an_overlay_stands_on",
        story="A live system whose changes go to a disk: an overlay over it, in use.",
        refuses=("ext4 cannot be unmounted from /mnt/changes", "/mnt/overlay"),
        remedy="umount /mnt/overlay",
        script="""
gpt "$1" size=100MiB
ext4 "${1}1"
mounted "${1}1" /mnt/changes
mkdir -p /mnt/changes/upper /mnt/changes/work /mnt/overlay
mount -t overlay -o lowerdir=/etc,upperdir=/mnt/changes/upper,workdir=/mnt/changes/work overlay /mnt/overlay
sync -f /mnt/changes
""",
    ),
    Scenario(
        name="mapping_that_cannot_be_read",
        story="A mapping with a hole, behind which there may be anything.",
        refuses=("dm holed", "cannot be told", "when in doubt nothing is written"),
        remedy="dmsetup remove holed; udevadm settle",
        script="""
gpt "$1" size=64MiB
ext4 "${1}1"
printf "0 32768 linear ${1}1 0\\n32768 32768 error\\n" | dmsetup create holed
udevadm settle
""",
    ),
    Scenario(
        name="volume_that_misses_a_disk_and_is_on",
        story="A group without one of its disks was switched on by force: what is missing reads as an error.",
        on=("a", "b"),
        refuses=("volume there", "cannot be told", "when in doubt nothing is written"),
        remedy="vgchange -qq --activate n torn 2> /dev/null; udevadm settle",
        script="""
group torn "$1" "$2"
volume --name here --size 16m torn "$1"
volume --name there --size 16m torn "$2"
vgchange -qq --activate n torn
zeros "$2" 1M 0 1
udevadm trigger --settle "$2"
vgchange -qq --activate y --partial torn 2> /dev/null
udevadm settle
""",
    ),
    Scenario(
        name="holder_that_nobody_knows",
        story="Something stands on a partition for which there is no plugin: an array that fails on purpose.",
        refuses=("md126",),
        remedy="mdadm --stop --quiet /dev/md126; udevadm settle",
        script="""
gpt "$1" size=64MiB
mdadm --build /dev/md126 --quiet --level=faulty --raid-devices=1 "${1}1"
udevadm settle
""",
    ),
    Scenario(
        name="disk_that_is_served_to_others",
        story="This machine offers the disk to others as a SCSI target.",
        refuses=("{a}", "serves it to others"),
        remedy="rmdir /sys/kernel/config/target/core/iblock_9/served /sys/kernel/config/target/core/iblock_9",
        script="""
quietly modprobe target_core_iblock
gpt "$1" size=64MiB
mkdir -p /sys/kernel/config/target/core/iblock_9/served
echo "udev_path=$1" > /sys/kernel/config/target/core/iblock_9/served/control
echo "$1" > /sys/kernel/config/target/core/iblock_9/served/udev_path
echo 1 > /sys/kernel/config/target/core/iblock_9/served/enable
""",
    ),
    Scenario(
        name="disk_that_is_read_only",
        story="A switch on the disk, or somebody's caution.",
        refuses=("read-only",),
        remedy='blockdev --setrw "$1"',
        script="""
ext4 "$1"
udevadm settle
blockdev --setro "$1"
""",
    ),
    Scenario(
        name="loop_device_of_a_file_on_another_disk",
        story="A file of the bystander is a disk of its own, with a filesystem that looks like the target's.",
        aside="mkdir -p /mnt/by; mount -o ro,noload ${1}1 /mnt/by; losetup --read-only /dev/loop5 /mnt/by/numbers",
        script="""
ext4 -L pictures "$1"
mounted "$1" /mnt/pictures
""",
        afterwards="losetup --detach /dev/loop5; umount /mnt/by",
    ),
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=attrgetter("name"))
def test_refusals(play: Callable[[Scenario], None], scenario: Scenario) -> None:
    play(scenario)
