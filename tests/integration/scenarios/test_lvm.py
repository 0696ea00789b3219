"""Volume groups: of every kind, torn, doubled and forgotten."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import pytest

from tests.integration.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

SCENARIOS = (
    Scenario(
        name="linear_and_striped_volumes_with_swap",
        story="A group over a disk and a partition: data striped over both, swap beside it, in use.",
        on=("a", "b"),
        script="""
gpt "$2" size=200MiB
group plain "$1" "${2}1"
volume --name data --type striped --stripes 2 --size 64m plain
volume --name swap --size 32m plain
ext4 /dev/plain/data
mounted /dev/plain/data /mnt/plain
mkswap -q /dev/plain/swap
swapon /dev/plain/swap
""",
    ),
    Scenario(
        name="thin_pool_with_volumes_and_snapshots",
        story="A pool that has no node of its own, two filesystems in it, one of them a snapshot of the other.",
        script="""
gpt "$1" size=300MiB
group thin "${1}1"
volume --type thin-pool --name pool --size 100m thin
volume --type thin --name one --virtualsize 200m --thinpool pool thin
ext4 /dev/thin/one
mounted /dev/thin/one /mnt/one
seq 1 100000 > /mnt/one/numbers
volume --snapshot --name two --setactivationskip n thin/one
mounted /dev/thin/two /mnt/two
""",
    ),
    Scenario(
        name="snapshot_of_a_mounted_volume",
        story="A snapshot of the old kind, both sides mounted.",
        script="""
gpt "$1" size=300MiB
group old "${1}1"
volume --name data --size 64m old
ext4 /dev/old/data
mounted /dev/old/data /mnt/data
volume --snapshot --name before --size 16m old/data
mounted /dev/old/before /mnt/before
""",
    ),
    Scenario(
        name="cached_volume",
        story="A slow disk with a cache on a fast one that holds blocks not yet written back.",
        on=("a", "b"),
        script="""
group cached "$1" "$2"
volume --name data --size 64m cached "$1"
volume --type cache-pool --name fast --size 16m cached "$2"
lvconvert -qq --yes --type cache --cachemode writeback --cachepool cached/fast cached/data
ext4 /dev/cached/data
mounted /dev/cached/data /mnt/cached
seq 1 100000 > /mnt/cached/numbers
""",
    ),
    Scenario(
        name="volume_with_a_write_cache",
        story="The other kind of cache, for writes alone.",
        on=("a", "b"),
        script="""
group writes "$1" "$2"
volume --name data --size 64m writes "$1"
volume --name fast --size 16m writes "$2"
lvchange -qq --activate n writes/fast
lvconvert -qq --yes --type writecache --cachevol writes/fast writes/data
ext4 /dev/writes/data
""",
    ),
    Scenario(
        name="volumes_that_are_raids",
        story="LVM's own arrays, of four levels.",
        on=("a", "b", "c", "d"),
        script="""
group raids "$1" "$2" "$3" "$4"
volume --type raid1 --name one --size 16m --nosync raids
volume --type raid5 --name five --stripes 2 --size 16m --nosync raids
volume --type raid6 --name six --stripes 2 --size 16m raids 2> /dev/null ||
    volume --type raid6 --name six --stripes 3 --size 12m raids 2> /dev/null || true
volume --type raid10 --name ten --mirrors 1 --stripes 2 --size 16m --nosync raids
ext4 /dev/raids/five
mounted /dev/raids/five /mnt/five
""",
    ),
    Scenario(
        name="group_with_a_missing_disk",
        story="One of its disks was wiped; what does not need it is in use, half of a mirror among it.",
        on=("a", "b"),
        script="""
group torn "$1" "$2"
volume --name here --size 16m torn "$1"
volume --name there --size 16m torn "$2"
volume --type raid1 --name both --size 16m --nosync torn
vgchange -qq --activate n torn
zeros "$2" 1M 0 1
udevadm trigger --settle "$2"
lvchange -qq --activate y torn/here torn/both 2> /dev/null
udevadm settle
ext4 /dev/torn/here
mounted /dev/torn/here /mnt/here
""",
    ),
    Scenario(
        name="exported_group",
        story="Made ready to be carried to another machine, which makes LVM refuse to do anything with it.",
        script="""
group away "$1"
volume --name data --size 16m away
vgchange -qq --activate n away
vgexport -qq away
""",
    ),
    Scenario(
        name="two_groups_of_one_name",
        story="A disk from another machine, whose group is called as that of this one; both are on.",
        on=("a", "b"),
        script="""
for disk; do
    vgcreate -qq --devices "$disk" main "$disk"
    lvcreate -qq --yes --devices "$disk" --name "data${disk#/dev/}" --size 16m main
    udevadm settle
    vgchange -qq --devices "$disk" --activate n main
done
for disk; do vgchange -qq --devices "$disk" --activate y main; done
udevadm settle
[ -e /dev/mapper/main-datasda ] && [ -e /dev/mapper/main-datasdb ]
""",
    ),
    Scenario(
        name="names_with_dashes",
        story="A group and a volume with dashes in their names, which are doubled below /dev/mapper.",
        script="""
gpt "$1" size=100MiB
group my-vg "${1}1"
volume --name r-t --size 32m my-vg
ext4 /dev/my-vg/r-t
mounted /dev/my-vg/r-t "/mnt/with a blank"
""",
    ),
    Scenario(
        name="group_on_a_volume",
        story="A virtual machine's disk, whose group the host switched on, too.",
        script="""
group outer "$1"
volume --name guest --size 200m outer
vgcreate -qq --config 'devices { scan_lvs=1 }' inner /dev/outer/guest
lvcreate -qq --yes --config 'devices { scan_lvs=1 }' --name data --size 16m inner
udevadm settle
ext4 /dev/inner/data
mounted /dev/inner/data /mnt/inner
""",
    ),
    Scenario(
        name="physical_volume_in_no_group",
        story="A partition and a whole disk were made ready for LVM, and nothing came of it.",
        on=("a", "b"),
        script="""
gpt "$1" size=100MiB
pvcreate -qq "${1}1" "$2"
""",
    ),
    Scenario(
        name="header_of_a_physical_volume_below_a_filesystem",
        story="A filesystem was made over a physical volume, whose label it does not reach.",
        script="""
gpt "$1" size=100MiB
pvcreate -qq "${1}1"
dd if="${1}1" of=/run/label bs=512 count=8 status=none
ext4 "${1}1"
dd if=/run/label of="${1}1" bs=512 skip=1 seek=1 count=1 conv=notrunc status=none
udevadm trigger --settle "${1}1"
""",
    ),
    Scenario(
        name="disk_that_was_cloned",
        story="A disk was copied onto another, block by block: two physical volumes of one identity, one in use.",
        on=("a", "b"),
        script="""
group twice "$1"
volume --name data --size 16m twice
dd if="$1" of="$2" bs=1M count=8 conv=notrunc status=none
udevadm trigger --settle "$2"
""",
    ),
    Scenario(
        name="group_over_an_array_and_a_partition",
        story="Grown with what was at hand: a mirror at first, then the rest of one of its disks.",
        on=("a", "b"),
        script="""
gpt "$1" size=100MiB size=100MiB
gpt "$2" size=100MiB
array first --level=1 --raid-devices=2 --assume-clean "${1}1" "${2}1"
group grown /dev/md/first
vgextend -qq grown "${1}2"
volume --name data --extents 100%FREE grown
ext4 /dev/grown/data
mounted /dev/grown/data /mnt/grown
""",
    ),
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=attrgetter("name"))
def test_volume_groups(play: Callable[[Scenario], None], scenario: Scenario) -> None:
    play(scenario)
