"""What earlier owners leave on disks: short scripts that make it, each with the story it stands for."""

from __future__ import annotations

from pre_nixos.model.data import Data


class Recipe(Data):
    """A script run as root in a guest, with the disks' nodes as $1, $2 and so on."""

    name: str
    story: str
    disks: int
    script: str
    timeout: float = 120.0


OLD_SWAP_ARRAY = Recipe(
    name="old-swap-array",
    story="An installation that failed half-way left a RAID1 with the volume group `swap`; udev brought it back as"
    " md127, and the live system switched the swap on.",
    disks=2,
    script="""
for disk; do
    printf 'label: gpt\\n1: start=2048, type=A19D880F-05FC-4D3B-A006-743F0F84911E\\n' | sfdisk -q "$disk"
done
udevadm settle
yes | mdadm --create /dev/md/swap --quiet --run --level=1 --raid-devices=2 --metadata=1.2 "${1}1" "${2}1"
udevadm settle
array=$(readlink -f /dev/md/swap)
echo frozen > "/sys/block/${array#/dev/}/md/sync_action"
vgcreate -qq swap "$array"
lvcreate -qq --yes --name swap --extents 100%FREE swap
mkswap -q /dev/swap/swap
vgchange -qq --activate n swap
mdadm --stop --quiet "$array"
[ -e /dev/md127 ] || mdadm --assemble --quiet --run /dev/md127 "${1}1" "${2}1"
udevadm settle
vgchange -qq --activate y swap
udevadm settle
swapon /dev/swap/swap
""",
)

MOUNTED_FILESYSTEM = Recipe(
    name="mounted-filesystem",
    story="Somebody works on the disk: an ext4 on a logical volume is mounted at /mnt/old, a file held open there.",
    disks=1,
    script="""
printf 'label: gpt\\n1: start=2048, type=E6D6D379-F507-44C2-A23C-238F2A3DF928\\n' | sfdisk -q "$1"
udevadm settle
vgcreate -qq old "${1}1"
lvcreate -qq --yes --name data --extents 50%FREE old
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 /dev/old/data
mkdir -p /mnt/old
mount /dev/old/data /mnt/old
seq 1 100000 > /mnt/old/numbers
setsid sleep 86400 < /mnt/old/numbers > /dev/null 2>&1 &
sync
""",
)

BYSTANDER = Recipe(
    name="bystander",
    story="Another disk, nobody's business: an ext4 with files, not mounted.",
    disks=1,
    script="""
printf 'label: gpt\\n1: start=2048, name="holiday pictures"\\n' | sfdisk -q "$1"
udevadm settle
mkfs.ext4 -q -L pictures "${1}1"
mkdir -p /mnt/bystander
mount "${1}1" /mnt/bystander
seq 1 100000 > /mnt/bystander/numbers
mkdir /mnt/bystander/folder
seq 1 1000 > /mnt/bystander/folder/more
umount /mnt/bystander
sync
""",
)

RECIPES = {recipe.name: recipe for recipe in (OLD_SWAP_ARRAY, MOUNTED_FILESYSTEM, BYSTANDER)}
"""All recipes by name."""
