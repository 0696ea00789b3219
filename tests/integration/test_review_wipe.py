"""What a hostile eye tried with wiping, in a guest: whatever nobody agreed to lose must still be there afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.lab.description import Attachment, Lab, LabDisk
from pre_nixos.model.step import MIB
from tests.integration.wiping import (
    COMMAND,
    ENVIRONMENT,
    A,
    B,
    digest_of,
    holds,
    leave,
    machine_of,
    typed,
)

if TYPE_CHECKING:
    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

TINY = LabDisk(name="tiny", size=MIB)
SMALL = LabDisk(name="small", size=20 * MIB)
COARSE = LabDisk(name="coarse", size=40 * MIB, block_size=4096)


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    return boot_shared(Lab(disks=(A, B, TINY, SMALL, COARSE)))


def test_a_group_that_is_on_stays_when_a_clone_of_its_disk_is_wiped(guest: Guest) -> None:
    leave(
        guest,
        """
group orig "$1"
volume --name v --size 100m orig
ext4 /dev/orig/v
mounted /dev/orig/v /mnt/orig
echo work > /mnt/orig/work
sync
dd if="$1" of="$2" bs=1M count=200 conv=fsync status=none
udevadm settle
""",
        "b",
        "a",
    )
    ran = typed(guest, "wipe", A.serial_shown, "--yes")
    assert ran.status == 0, ran.stderr
    assert not holds(guest, "a")
    assert leave(guest, 'cat /mnt/orig/work; umount /mnt/orig; vgchange -qq -an orig; wipefs -qa "$1"', "b") == "work\n"


def test_a_group_of_another_host_that_reaches_another_disk_is_left_alone(guest: Guest) -> None:
    leave(
        guest,
        """
group far "$1" "$2"
volume --name v --size 700m far
vgchange -qq -an far
vgchange -qq -y --config 'local/extra_system_ids=["other"]' --systemid other far
udevadm settle
""",
        "a",
        "b",
    )
    before = guest.hash_disk("a"), guest.hash_disk("b")
    ran = typed(guest, "wipe", A.serial_shown, "--yes")
    assert ran.status == 1
    assert "stands partly on" in " ".join(ran.stderr.split())
    assert (guest.hash_disk("a"), guest.hash_disk("b")) == before
    leave(guest, 'wipefs -qa "$1" "$2"', "a", "b")


def test_a_mount_whose_path_and_labels_are_meant_to_mislead_is_unmounted_and_shown_plainly(guest: Guest) -> None:
    leave(
        guest,
        """
gpt "$1" size=50MiB
sfdisk -q --part-label "$1" 1 "$(printf 'x\\033[2K\\rsafe\\342\\200\\256')"
udevadm settle
ext4 -L "$(printf 'l\\nb\\033[31m')" "${1}1"
mounted "${1}1" "$(printf '/mnt/two\\nlines \\\\x')"
""",
        "a",
    )
    shown = typed(guest, "wipe", A.serial_shown, "--check")
    assert not {"\x1b", "\r", "\u202e"} & set(shown.stdout)
    ran = typed(guest, "wipe", A.serial_shown, "--yes")
    assert ran.status == 0, ran.stderr
    assert not holds(guest, "a")
    assert "two" not in guest.script("cat /proc/mounts").stdout


def test_disks_smaller_than_both_of_their_ends_together_are_overwritten_to_the_last_byte(guest: Guest) -> None:
    names = ("tiny", "small", "coarse")
    leave(guest, 'for disk; do noise 41943040 2> /dev/null > "$disk" || true; done; sync', *names)
    serials = [guest.disk(each).serial_shown for each in names]
    ran = typed(guest, "wipe", *serials, "--overwrite", "--yes", "--jobs", "3")
    assert ran.status == 0, ran.stderr
    compare = 'for disk; do cmp -n "$(blockdev --getsize64 "$disk")" "$disk" /dev/zero; done'
    assert leave(guest, compare, *names) == ""


@pytest.mark.parametrize("name", ["lock", "journal"])
def test_nothing_is_written_through_a_link_where_its_own_files_should_be(guest: Guest, name: str) -> None:
    leave(
        guest,
        f"""
ext4 "$1"
echo untouched > /run/victim
rm -rf /run/pre-nixos
mkdir /run/pre-nixos
ln -s /run/victim /run/pre-nixos/{name}
""",
        "a",
    )
    before = guest.hash_disk("a")
    ran = typed(guest, "wipe", A.serial_shown, "--yes")
    assert ran.status == 1
    assert guest.hash_disk("a") == before
    assert leave(guest, "cat /run/victim; rm -rf /run/pre-nixos") == "untouched\n"


ON_NO_DISK = """
mkdir -p /mnt/share
mount -t tmpfs none /mnt/share
"""
ON_ANOTHERS_DISK = """
ext4 "$2"
rm -f /run/shared
mkdir -p /mnt/share
"""
SEEN_BY_ONE = """unshare --mount --propagation private setsid sh -c "
    mount $2 /mnt/share; truncate -s 200M /mnt/share/lun; losetup /dev/loop7 /mnt/share/lun; touch /run/shared
    exec sleep 86400
    " < /dev/null > /dev/null 2>&1 &
while [ ! -e /run/shared ]; do sleep 0.1; done
"""
SEEN_BY_ALL = "truncate -s 200M /mnt/share/lun; losetup /dev/loop7 /mnt/share/lun\n"
GROUP = """
group wide "$1" /dev/loop7
volume --name data --size 100m wide /dev/loop7
ext4 /dev/wide/data
vgchange -qq -an wide
sync
"""
ARRAY = """
array wide --level=linear --raid-devices=2 "$1" /dev/loop7
ext4 /dev/md/wide
mdadm --stop --quiet /dev/md/wide
udevadm settle
mdadm --stop --scan --quiet
sync
"""


@pytest.mark.parametrize("stack", [GROUP, ARRAY], ids=["group", "array"])
@pytest.mark.parametrize(
    "place", [ON_NO_DISK + SEEN_BY_ALL, ON_ANOTHERS_DISK + SEEN_BY_ONE], ids=["no disk", "a disk mounted elsewhere"]
)
def test_a_loop_device_that_stands_on_none_of_the_disks_is_not_cleared_with_a_stack_that_reaches_it(
    boot_fresh: BootGuest, place: str, stack: str
) -> None:
    guest = machine_of(boot_fresh)
    leave(guest, place + stack, "a", "b")
    before = leave(guest, "sha256sum /dev/loop7")
    ran = typed(guest, "wipe", A.serial_shown, "--yes")
    assert leave(guest, "sha256sum /dev/loop7") == before
    assert ran.status == 1


def test_an_array_that_reaches_a_device_nobody_looks_at_is_not_taken_for_one_on_this_disk_alone(
    boot_fresh: BootGuest,
) -> None:
    """The same with what the survey leaves out: zram here, network block devices in real life."""
    guest = machine_of(boot_fresh)
    leave(
        guest,
        """
modprobe zram
echo 200M > /sys/block/zram0/disksize
array wide --level=linear --raid-devices=2 "$1" /dev/zram0
ext4 /dev/md/wide
""",
        "a",
    )
    assert typed(guest, "wipe", A.serial_shown, "--yes").status == 1
    assert "wide" in leave(guest, "ls /dev/md") or holds(guest, "a")


def test_a_consent_with_which_nothing_was_begun_does_not_cover_what_comes_to_the_disk_later(
    boot_fresh: BootGuest,
) -> None:
    guest = machine_of(boot_fresh)
    leave(
        guest,
        """
ext4 "$1"
mounted "$1" /mnt/old
cd /mnt/old
holding /dev/null
sleep 0.2
""",
        "a",
    )
    digest = digest_of(typed(guest, "wipe", A.serial_shown, "--check"))
    refused = typed(guest, "wipe", A.serial_shown, "--consent", digest)
    assert "is in use" in " ".join(refused.stderr.split())
    leave(
        guest,
        """
release
umount /mnt/old
wipefs -qa "$1"
group precious "$1"
volume --name books --size 300m precious
ext4 /dev/precious/books
""",
        "a",
    )
    ran = typed(guest, "wipe", A.serial_shown, "--consent", digest)
    assert ran.status == 1
    assert holds(guest, "a")


LARGE = LabDisk(name="large", size=6144 * MIB)
SLOW = 'dd if=/dev/urandom of="$2" bs=1M count=20 seek=5000 status=none; sync\n'


def test_a_new_filesystem_on_a_disk_that_is_finished_is_not_removed_while_another_is_still_overwritten(
    boot_fresh: BootGuest,
) -> None:
    guest = machine_of(boot_fresh, A, LARGE)
    leave(guest, 'ext4 "$1"\n' + SLOW, "a", "large")
    words = ("wipe", A.serial_shown, LARGE.serial_shown, "--overwrite", "--yes")
    pid = guest.start([*COMMAND, *words, "--log", "/run/events"], log="/run/said", environment=ENVIRONMENT)
    leave(
        guest,
        """
until [ "$(grep -c '"action-ended"' /run/events 2> /dev/null)" = 2 ]; do sleep 0.05; done
ext4 "$1"
mounted "$1" /mnt/new
echo work > /mnt/new/work
umount /mnt/new
""",
        "a",
    )
    assert guest.run(["test", "-e", f"/proc/{pid}/exe"], check=False).status == 0, "it was over before it was tried"
    guest.script(f"while [ -e /proc/{pid}/exe ]; do sleep 0.1; done", timeout=180)
    assert holds(guest, "a"), guest.script("cat /run/said").stdout


def killed_after_the_first(guest: Guest, *words: str) -> None:
    """Run a wipe that erases, and kill it once the first disk is done."""
    pid = guest.start([*COMMAND, "wipe", *words, "--yes"], log="/run/said", environment=ENVIRONMENT)
    wait = 'until grep -q \'"ended","verb":"erase"\' /run/pre-nixos/journal 2> /dev/null; do sleep 0.01; done'
    guest.script(f"{wait}; kill -9 {pid}; while [ -e /proc/{pid}/exe ]; do sleep 0.05; done", timeout=120)


P, Q = (LabDisk(name=name, size=256 * MIB, attachment=Attachment.PLAIN) for name in "pq")


def test_a_disk_that_was_only_discarded_is_not_said_to_be_overwritten(boot_fresh: BootGuest) -> None:
    guest = machine_of(boot_fresh, P, Q)
    names = {each.serial: each.device.name for each in pn.probe(guest.host).all_disks if each.device}
    first, second = (f"/dev/{names[each.serial_shown]}" for each in (P, Q))
    guest.script(f"for disk in {first} {second}; do noise 62914560 > $disk; done; sync")
    killed_after_the_first(guest, P.serial_shown, Q.serial_shown, "--discard")
    guest.script(f"dd if=/dev/urandom of={first} bs=1M seek=100 count=4 conv=notrunc,fsync status=none")
    ran = typed(guest, "wipe", P.serial_shown, "--overwrite", "--yes")
    assert ran.status == 0
    rest = guest.run(["cmp", "-n", str(P.size), first, "/dev/zero"], check=False)
    assert rest.status == 0, ran.stdout


def test_a_disk_that_was_used_after_it_had_been_overwritten_is_not_left_out_the_next_time(
    boot_fresh: BootGuest,
) -> None:
    guest = machine_of(boot_fresh, A, LARGE)
    leave(guest, 'ext4 "$1"\n' + SLOW, "a", "large")
    words = (A.serial_shown, LARGE.serial_shown, "--overwrite")
    killed_after_the_first(guest, *words)
    leave(
        guest, 'ext4 "$1"; yes secret | dd of="$1" bs=1M seek=200 count=8 iflag=fullblock conv=fsync status=none', "a"
    )
    ran = typed(guest, "wipe", *words, "--yes")
    assert ran.status == 0, ran.stderr
    rest = guest.run(["cmp", "-n", str(A.size), guest.node("a"), "/dev/zero"], check=False)
    assert rest.status == 0, ran.stderr
