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
# Whoever is still to hear of the new group would activate it again.
udevadm settle
vgchange -qq --activate n swap
# What udev does at a start, done here: it would take the members one by one, and might have taken only one by now.
udevadm control --property=ANACONDA=1
mdadm --stop --quiet "$array"
udevadm settle
mdadm --assemble --quiet --run /dev/md127 "${1}1" "${2}1"
udevadm settle
udevadm control --property=ANACONDA=
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

EVERY_VOLUME = Recipe(
    name="every-volume",
    story="Volume groups of every kind on the partitions of one disk, two of one name among them; two more disks held"
    " halves of groups, and were pulled: one group was active then, one was not.",
    disks=3,
    script="""
for n in $(seq 15); do echo "size=160MiB"; done | sfdisk -q --label gpt "$1"
udevadm settle
make() { lvcreate -qq --yes "$@"; }
{
vgcreate -qq kinds "${1}1" "${1}2" "${1}3" "${1}4"
make --name plain --size 16m kinds
make --name with-dash --size 16m kinds
make --name stripes --type striped --stripes 2 --size 16m kinds
make --type thin-pool --name pool --size 48m kinds
make --type thin --name thin --virtualsize 64m --thinpool pool kinds
make --snapshot --name thinsnap kinds/thin
make --snapshot --name snap --size 8m kinds/plain
make --type raid1 --name mirrored --size 16m --nosync kinds
make --type raid5 --name parity --size 16m --nosync kinds
make --name cached --size 16m kinds
make --type cache-pool --name fast --size 16m kinds "${1}4"
lvconvert -qq --yes --type cache --cachepool kinds/fast kinds/cached
vgcreate -qq my-vg "${1}5"
make --name r-t --size 16m my-vg
vgcreate -qq idle "${1}6"
make --name one --size 16m idle
udevadm settle
vgchange -qq --activate n idle
for partition in "${1}7" "${1}8"; do
    vgcreate -qq --devices "$partition" twin "$partition"
    make --devices "$partition" --name same --size 16m twin
    udevadm settle
    vgchange -qq --devices "$partition" --activate n twin
done
pvcreate -qq "${1}9"
yes | mdadm --create /dev/md/under --quiet --run --homehost=any --level=1 --metadata=1.2 --assume-clean \\
    --raid-devices=2 "${1}10" "${1}11"
vgcreate -qq onmd /dev/md/under
make --name data --size 16m onmd
for group in asleep awake; do
    [ $group = asleep ] && here="${1}12" there=$2 || here="${1}13" there=$3
    vgcreate -qq $group "$here" "$there"
    make --name here --size 16m $group "$here"
    make --name gone --size 16m $group "$there"
    make --name both --type raid1 --size 16m --nosync $group
done
udevadm settle
vgchange -qq --activate n asleep
vgcreate -qq exported "${1}14"
vgexport -qq exported
vgcreate -qq outer "${1}15"
make --name pv --size 100m outer
vgcreate -qq --config 'devices { scan_lvs=1 }' inner /dev/outer/pv
make --config 'devices { scan_lvs=1 }' --name deep --size 16m inner
} 2> /dev/null
udevadm settle
for disk in "$2" "$3"; do echo 1 > "/sys/block/${disk#/dev/}/device/delete"; done
udevadm settle
""",
)

EVERY_ARRAY = Recipe(
    name="every-array",
    story="Arrays of every metadata and in every state on the partitions of one disk; those that are being synced are"
    " slow about it.",
    disks=1,
    script="""
udevadm control --property=ANACONDA=1
for n in $(seq 29); do
    # Chosen: once in a few hundred times this kernel takes so many random ones for the table of another system.
    printf 'size=64MiB, uuid=7c0ffee1-d15c-4a7e-9b1e-0000000000%02d\\n' "$n"
done | sfdisk -q --label gpt "$1"
udevadm settle
disk=$1
echo 1 > /proc/sys/dev/raid/speed_limit_min
echo 1 > /proc/sys/dev/raid/speed_limit_max
p() { for n; do echo "$disk$n"; done; }
make() {
    name=$1; shift
    yes | mdadm --create "/dev/md/$name" --quiet --run --homehost=any "$@"
}
md() { readlink -f "/dev/md/$1" | sed "s|/dev/\\(.*\\)|/sys/block/\\1/md/$2|"; }
clean="--level=1 --raid-devices=2 --assume-clean"
make fine $clean --metadata=1.2 $(p 1 2)
make pending --level=1 --raid-devices=2 --metadata=1.2 $(p 3 4)
make running --level=1 --raid-devices=2 --metadata=1.2 $(p 5 6)
make lonely --level=1 --raid-devices=2 --metadata=1.2 $(p 7) missing
make spared --level=5 --raid-devices=3 --assume-clean --spare-devices=1 --metadata=1.2 $(p 8 9 10 11)
make bereft $clean --bitmap=none --metadata=1.2 $(p 12 13)
make ancient $clean --metadata=0.90 $(p 14 15)
make at-end $clean --metadata=1.0 $(p 16 17)
make at-start $clean --metadata=1.1 $(p 18 19)
make asleep $clean --metadata=1.2 $(p 20 21)
make half $clean --metadata=1.2 $(p 22 23)
make lower-a $clean --metadata=1.2 $(p 24 25)
make lower-b $clean --metadata=1.2 $(p 26 27)
udevadm settle
make upper --level=0 --raid-devices=2 --metadata=1.2 /dev/md/lower-a /dev/md/lower-b
udevadm settle
echo frozen > "$(md pending sync_action)"
mdadm --quiet /dev/md/bereft --fail "${disk}13"
sleep 0.5
mdadm --quiet /dev/md/bereft --remove "${disk}13"
mdadm --stop --quiet /dev/md/asleep /dev/md/half
mdadm --incremental --quiet "${disk}22" || true
udevadm settle
udevadm control --property=ANACONDA=
""",
)

FIRMWARE_ARRAYS = Recipe(
    name="firmware-arrays",
    story="Two disks that a machine's firmware knows as one set (IMSM), and two it knows as another (DDF).",
    disks=4,
    script="""
export IMSM_NO_PLATFORM=1
make() { yes | mdadm --create "/dev/md/$1" --quiet --run "$2" "$3" --raid-devices=2 "$4" "$5"; udevadm settle; }
make imsm --metadata=imsm --level=container "$1" "$2"
yes | mdadm --create /dev/md/boot --quiet --run --level=1 --raid-devices=2 --size=32M /dev/md/imsm
make ddf --metadata=ddf --level=container "$3" "$4"
yes | mdadm --create /dev/md/data --quiet --run --level=1 --raid-devices=2 /dev/md/ddf
udevadm settle
# However long it takes until somebody looks, they are still being made whole.
for name in boot data; do
    echo 10 > "/sys/class/block/$(basename "$(readlink -f "/dev/md/$name")")/md/sync_speed_max"
done
""",
)

EVERY_TABLE = Recipe(
    name="every-table",
    story="An MBR with logical partitions, a GPT whose first copy was overwritten, one on a disk of large blocks, and a"
    " filesystem on a bare disk in whose boot sector the kernel sees a partition.",
    disks=4,
    script="""
sfdisk -q --label dos "$1" <<'END'
1: start=2048, size=64MiB, type=83, bootable
2: size=64MiB, type=82
3: size=256MiB, type=5
5: size=64MiB, type=83
6: size=64MiB, type=83
END
printf 'size=64MiB, name=one\\nsize=64MiB, name=two\\n' | sfdisk -q --label gpt "$2"
printf 'name=all\\n' | sfdisk -q --label gpt "$3"
udevadm settle
mkfs.ext4 -q -L first "${1}1"
mkswap -q -L second "${1}2"
mkfs.vfat --mbr=n -n FIFTH "${1}5" > /dev/null
mkfs.ext4 -q -L two "${2}2"
dd if=/dev/zero of="$2" bs=512 seek=1 count=1 conv=notrunc status=none
mkfs.xfs -q -L coarse "${3}1"
mkfs.vfat --mbr=y -n PLAIN "$4" > /dev/null
udevadm settle
""",
)

EVERY_MAPPING = Recipe(
    name="every-mapping",
    story="Encrypted partitions, open and closed, with headers elsewhere or none; and tables somebody set up by hand: a"
    " plain one, one that stands still, one with a hole that cannot be read, and one that is nothing but a hole.",
    disks=1,
    script="""
for n in $(seq 12); do echo "size=64MiB"; done | sfdisk -q --label gpt "$1"
udevadm settle
head -c 64 /dev/zero > /run/key
lock() { cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /run/key "$@"; }
unlock() { cryptsetup open --key-file /run/key "$@"; }
lock --type luks2 --label closed "${1}1"
lock --type luks2 "${1}2"
unlock "${1}2" 'a name with blanks'
lock --type luks1 "${1}3"
lock --type luks1 "${1}4"
unlock "${1}4" older
unlock --type plain --cipher aes-xts-plain64 --key-size 256 "${1}5" plain
lock --type luks2 --header "${1}6" "${1}7"
unlock --header "${1}6" "${1}7" detached
lock --type luks2 --header /run/elsewhere "${1}8"
unlock --header /run/elsewhere "${1}8" headless
echo "0 65536 linear ${1}9 2048" | dmsetup create raw
echo "0 65536 linear ${1}10 2048" | dmsetup create still
dmsetup suspend still
printf "0 32768 linear ${1}11 0\\n32768 32768 error\\n" | dmsetup create holed
echo "0 65536 error" | dmsetup create hole
udevadm settle
mkfs.ext4 -q /dev/mapper/raw
mkswap -q /dev/mapper/older
swapon /dev/mapper/older
dd if=/dev/urandom of="${1}12" bs=1M count=1 status=none
udevadm settle
""",
)

EVERY_USE = Recipe(
    name="every-use",
    story="A filesystem with a bind mount, a loop device and a swap file on it, swap on a partition, a mount that only"
    " one process sees, a loop device of a partition, a mount that was let go of while a file was open, and a btrfs on"
    " two disks.",
    disks=3,
    script="""
for n in $(seq 5); do echo "size=128MiB"; done | sfdisk -q --label gpt "$1"
udevadm settle
cd /srv 2> /dev/null || cd /
mkdir -p /srv/used /srv/bound /srv/hidden /srv/image /srv/pool /srv/lazy
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 -L used "${1}1"
mount "${1}1" /srv/used
mkdir /srv/used/folder
mount --bind /srv/used/folder /srv/bound
truncate -s 32M /srv/used/image
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 -L image /srv/used/image
mount -o loop /srv/used/image /srv/image
dd if=/dev/zero of=/srv/used/swapfile bs=1M count=16 status=none
chmod 600 /srv/used/swapfile
mkswap -q /srv/used/swapfile
swapon /srv/used/swapfile
mkswap -q -L part "${1}2"
swapon "${1}2"
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 -L hidden "${1}3"
unshare --mount --propagation private setsid \\
    sh -c "mount ${1}3 /srv/hidden; touch /run/hidden; exec sleep 86400" < /dev/null > /dev/null 2>&1 &
while [ ! -e /run/hidden ]; do sleep 0.1; done
losetup --find --offset 1048576 "${1}4"
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 -L lazy "${1}5"
mount "${1}5" /srv/lazy
setsid sleep 86400 < /dev/null > /srv/lazy/file 2> /dev/null &
while [ ! -e /srv/lazy/file ]; do sleep 0.1; done
umount --lazy /srv/lazy
mkfs.btrfs -q -L pool -d raid1 -m raid1 "$2" "$3" 2> /dev/null
udevadm settle
mount "$2" /srv/pool
sync
udevadm settle
""",
)

STRAY_BYTES = Recipe(
    name="stray-bytes",
    story="The uberblocks of a ZFS, random bytes that nobody claims, an ext4 with the header of a LUKS volume over it,"
    " and swap with an xfs over it: who is right cannot be told.",
    disks=4,
    script="""
uberblock() { printf '\\014\\261\\272\\000\\000\\000\\000\\000\\210\\023'; head -c 1014 /dev/zero; }
for n in $(seq 32); do uberblock; done | dd of="$1" bs=1K seek=128 conv=notrunc status=none
dd if=/dev/urandom of="$2" bs=1M count=1 seek=1 conv=notrunc status=none
truncate -s 16M /run/header
head -c 64 /dev/zero > /run/key
cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 --key-file /run/key /run/header
mkfs.ext4 -q "$3"
# No more than libblkid wants: in what follows, which is random, the kernel might see partitions.
dd if=/run/header of="$3" bs=208 count=1 conv=notrunc status=none
mkswap -q "$4"
truncate -s 320M /run/xfs
mkfs.xfs -q /run/xfs
dd if=/run/xfs of="$4" bs=512 count=1 conv=notrunc status=none
udevadm settle
""",
)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        OLD_SWAP_ARRAY,
        MOUNTED_FILESYSTEM,
        BYSTANDER,
        EVERY_VOLUME,
        EVERY_ARRAY,
        FIRMWARE_ARRAYS,
        EVERY_TABLE,
        EVERY_MAPPING,
        EVERY_USE,
        STRAY_BYTES,
    )
}
"""All recipes by name."""
