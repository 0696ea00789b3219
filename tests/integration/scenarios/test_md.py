"""Arrays: of every level and metadata, whole and in pieces."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import pytest

from tests.integration.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

SCENARIOS = (
    Scenario(
        name="old_swap_group_on_an_array_of_another_name",
        story="An installation that failed half-way left a mirror with the volume group `swap`; udev brought it back"
        " as md127, and the live system switched the swap on.",
        on=("a", "b"),
        script="""
for disk; do gpt "$disk" "size=256MiB, type=raid"; done
array swap --level=1 --raid-devices=2 --metadata=1.2 --assume-clean "${1}1" "${2}1"
array=$(readlink -f /dev/md/swap)
group swap "$array"
volume --name swap --extents 100%FREE swap
mkswap -q /dev/swap/swap
vgchange -qq --activate n swap
mdadm --stop --quiet "$array"
udevadm settle
[ -e /dev/md127 ] || mdadm --assemble --quiet --run /dev/md127 "${1}1" "${2}1"
udevadm settle
vgchange -qq --activate y swap
udevadm settle
swapon /dev/swap/swap
""",
    ),
    Scenario(
        name="table_zapped_but_contents_left",
        story="Somebody zapped both copies of the table; the mirror that was on the only partition is still there.",
        on=("a", "b"),
        script="""
for disk; do gpt "$disk" "size=100MiB, type=raid"; keep_table "$disk"; done
array back --level=1 --raid-devices=2 --metadata=1.2 --assume-clean "${1}1" "${2}1"
group back /dev/md/back
mdadm --stop --quiet /dev/md/back
udevadm settle
for disk; do sgdisk --zap-all "$disk" > /dev/null; done
udevadm settle
""",
    ),
    Scenario(
        name="array_whose_metadata_is_of_version_0_90",
        story="The oldest metadata, at the end; the filesystem in it can be seen on each member, and is mounted.",
        on=("a", "b"),
        script="""
for disk; do gpt "$disk" "size=64MiB, type=raid"; done
array oldest --level=1 --raid-devices=2 --metadata=0.90 --assume-clean "${1}1" "${2}1"
ext4 /dev/md/oldest
mounted /dev/md/oldest /mnt/oldest
""",
    ),
    Scenario(
        name="array_whose_metadata_is_at_the_end",
        story="Version 1.0 on whole disks: the table in the array is visible on each disk while it is stopped.",
        on=("a", "b"),
        rewrite="by us",
        script="""
array end --level=1 --raid-devices=2 --metadata=1.0 --assume-clean "$1" "$2"
array=$(readlink -f /dev/md/end)
gpt "$array" size=64MiB
ext4 "${array}p1"
mdadm --stop --quiet "$array"
flock "$1" blockdev --rereadpt "$1" # udevd takes the lock while it looks
udevadm settle
""",
    ),
    Scenario(
        name="array_whose_metadata_is_at_the_start",
        story="Version 1.1, with a volume group in it that is active.",
        on=("a", "b"),
        script="""
for disk; do gpt "$disk" "size=64MiB, type=raid"; done
array start --level=1 --raid-devices=2 --metadata=1.1 --assume-clean "${1}1" "${2}1"
group start /dev/md/start
volume --name data --size 16m start
""",
    ),
    Scenario(
        name="arrays_of_every_level",
        story="Somebody tried them all out.",
        script="""
gpt "$1" $(yes size=20MiB | head -18)
p() { for n; do echo "$disk$n"; done; }
array zero --level=0 --raid-devices=2 $(p 1 2)
array linear --level=linear --raid-devices=2 $(p 3 4)
array four --level=4 --raid-devices=3 --assume-clean $(p 5 6 7)
array five --level=5 --raid-devices=3 --assume-clean $(p 8 9 10)
array six --level=6 --raid-devices=4 --assume-clean $(p 11 12 13 14)
array ten --level=10 --raid-devices=4 --assume-clean $(p 15 16 17 18)
""",
    ),
    Scenario(
        name="degraded_array",
        story="One of three members is missing for good; the filesystem on the others is mounted.",
        on=("a", "b"),
        script="""
for disk; do gpt "$disk" "size=64MiB, type=raid"; done
array poor --level=5 --raid-devices=3 "${1}1" "${2}1" missing
ext4 /dev/md/poor
mounted /dev/md/poor /mnt/poor
""",
    ),
    Scenario(
        name="half_assembled_and_inactive",
        story="Only one of three members was seen when the machine came up: an array that holds its disk and offers"
        " nothing.",
        on=("a", "b", "c"),
        script="""
for disk; do gpt "$disk" "size=64MiB, type=raid"; done
array half --level=5 --raid-devices=3 --assume-clean "${1}1" "${2}1" "${3}1"
mdadm --stop --quiet /dev/md/half
udevadm settle
mdadm --stop --scan --quiet
mdadm --incremental --quiet "${1}1"
udevadm settle
grep -q inactive /proc/mdstat
""",
    ),
    Scenario(
        name="resyncing_array",
        story="A mirror that was made a moment ago, still comparing its halves, slowly.",
        on=("a", "b"),
        script="""
echo 1 > /proc/sys/dev/raid/speed_limit_max
echo 1 > /proc/sys/dev/raid/speed_limit_min
for disk; do gpt "$disk" "size=200MiB, type=raid"; done
array busy --level=1 --raid-devices=2 "${1}1" "${2}1"
grep -q resync /proc/mdstat
""",
    ),
    Scenario(
        name="array_recovering_with_a_spare",
        story="A member failed, a spare took its place and is being filled; the failed one is still in the array.",
        on=("a", "b", "c"),
        script="""
echo 1 > /proc/sys/dev/raid/speed_limit_max
echo 1 > /proc/sys/dev/raid/speed_limit_min
for disk; do gpt "$disk" "size=200MiB, type=raid"; done
array spared --level=1 --raid-devices=2 --spare-devices=1 --assume-clean "${1}1" "${2}1" "${3}1"
mdadm --quiet /dev/md/spared --fail "${2}1"
udevadm settle
grep -q recovery /proc/mdstat
grep -q '(F)' /proc/mdstat
""",
    ),
    Scenario(
        name="members_that_were_thrown_out",
        story="One member was removed from its array, its superblock still there; the array itself was stopped.",
        on=("a", "b"),
        script="""
for disk; do gpt "$disk" "size=64MiB, type=raid"; done
array former --level=1 --raid-devices=2 --assume-clean "${1}1" "${2}1"
mdadm --quiet /dev/md/former --fail "${2}1"
for try in 1 2 3 4 5; do mdadm --quiet /dev/md/former --remove "${2}1" 2> /dev/null && break; sleep 0.1; done
mdadm --stop --quiet /dev/md/former
udevadm settle
""",
    ),
    Scenario(
        name="array_on_arrays",
        story="A stripe over two mirrors, with a filesystem that is mounted.",
        on=("a", "b"),
        script="""
for disk; do gpt "$disk" size=80MiB size=80MiB; done
array left --level=1 --raid-devices=2 --assume-clean "${1}1" "${2}1"
array right --level=1 --raid-devices=2 --assume-clean "${1}2" "${2}2"
array both --level=0 --raid-devices=2 /dev/md/left /dev/md/right
ext4 /dev/md/both
mounted /dev/md/both /mnt/both
""",
    ),
    Scenario(
        name="array_on_logical_volumes",
        story="A mirror over volumes of two groups, one on each disk.",
        on=("a", "b"),
        script="""
group left "$1"
group right "$2"
for group in left right; do volume --name half --size 64m $group; done
array volumes --level=1 --raid-devices=2 --assume-clean /dev/left/half /dev/right/half
mkswap -q /dev/md/volumes
swapon /dev/md/volumes
""",
    ),
    Scenario(
        name="firmware_raid_of_intel",
        story="Two disks that the firmware knows as one set, with a mirror in it.",
        on=("a", "b"),
        script="""
export IMSM_NO_PLATFORM=1
array imsm --metadata=imsm --level=container --raid-devices=2 "$1" "$2"
array boot --level=1 --raid-devices=2 --size=64M /dev/md/imsm
""",
    ),
    Scenario(
        name="firmware_raid_whose_monitor_died",
        story="Nobody is left who could note in the metadata that the mirror is written to; its filesystem is mounted.",
        on=("a", "b"),
        script="""
export IMSM_NO_PLATFORM=1
array imsm --metadata=imsm --level=container --raid-devices=2 "$1" "$2"
array boot --level=1 --raid-devices=2 --size=64M --assume-clean /dev/md/imsm
watched imsm boot
ext4 /dev/md/boot
mounted /dev/md/boot /mnt/boot
echo written > /mnt/boot/file
sync
echo clean > "$(md boot array_state)"
pkill -KILL -x mdmon
""",
        refuses=("has died", "mount at /mnt/boot", "Start it: mdmon md"),
        remedy='set=$(readlink -f /dev/md/imsm); IMSM_NO_PLATFORM=1 mdmon "${set#/dev/}"',
    ),
    Scenario(
        name="firmware_raid_of_ddf",
        story="Two disks of another controller, the mirror in their set with a filesystem in it.",
        on=("a", "b"),
        script="""
array ddf --metadata=ddf --level=container --raid-devices=2 "$1" "$2"
array data --level=1 --raid-devices=2 --size=64M /dev/md/ddf
watched ddf data
ext4 /dev/md/data
""",
    ),
    Scenario(
        name="old_group_in_a_stopped_array",
        story="The array was stopped; the group in it begins where no wiping of the members' ends gets to.",
        on=("a", "b"),
        script="""
for disk; do gpt "$disk" "size=200MiB, type=raid"; done
array deep --level=1 --raid-devices=2 --assume-clean --data-offset=64M "${1}1" "${2}1"
group deep /dev/md/deep
volume --name data --size 16m deep
vgchange -qq --activate n deep
mdadm --stop --quiet /dev/md/deep
udevadm settle
""",
    ),
    Scenario(
        name="group_in_an_array_over_an_array_that_is_off",
        story="Of three arrays below a group one was stopped, and took with it all that stood on it.",
        on=("a", "b"),
        script="""
for disk; do gpt "$disk" size=80MiB size=80MiB; done
array left --level=1 --raid-devices=2 --assume-clean "${1}1" "${2}1"
array right --level=1 --raid-devices=2 --assume-clean "${1}2" "${2}2"
array both --level=0 --raid-devices=2 /dev/md/left /dev/md/right
group top /dev/md/both
volume --name data --size 16m top
vgchange -qq --activate n top
mdadm --stop --quiet /dev/md/both
udevadm settle
mdadm --stop --quiet /dev/md/left
udevadm settle
""",
    ),
    Scenario(
        name="filesystem_over_one_half_of_an_array",
        story="Somebody wiped one member and made a filesystem on it; the other is still a member, and waits.",
        on=("a", "b"),
        script="""
for disk; do gpt "$disk" "size=64MiB, type=raid"; done
array widow --level=1 --raid-devices=2 --assume-clean "${1}1" "${2}1"
mdadm --stop --quiet /dev/md/widow
udevadm settle
mdadm --stop --scan --quiet
mdadm --zero-superblock --quiet "${1}1"
ext4 "${1}1"
mounted "${1}1" /mnt/widow
""",
    ),
    Scenario(
        name="array_whose_name_has_a_colon",
        story="Made on another host, whose name is part of the array's.",
        on=("a", "b"),
        script="""
for disk; do gpt "$disk" "size=64MiB, type=raid"; done
yes | mdadm --create /dev/md126 --name=nas:data --quiet --run --homehost=elsewhere --level=1 --raid-devices=2 \\
    --assume-clean "${1}1" "${2}1"
udevadm settle
""",
    ),
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=attrgetter("name"))
def test_arrays(play: Callable[[Scenario], None], scenario: Scenario) -> None:
    play(scenario)
