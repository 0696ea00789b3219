"""What a hostile eye tried with wiping, in a guest: whatever nobody agreed to lose must still be there afterwards."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.model.step import MIB
from tests.integration.scenarios.scenario import WORDS

if TYPE_CHECKING:
    from pre_nixos.host.questions import Ran
    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMAND = (sys.executable, "-m", "pre_nixos.cli")
ENVIRONMENT = {"PYTHONPATH": ROOT, "NO_COLOR": "1", "COLUMNS": "200"}
A, B = (LabDisk(name=name, size=512 * MIB) for name in "ab")
TINY = LabDisk(name="tiny", size=MIB)
SMALL = LabDisk(name="small", size=20 * MIB)
COARSE = LabDisk(name="coarse", size=40 * MIB, block_size=4096)


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    return boot_shared(Lab(disks=(A, B, TINY, SMALL, COARSE)))


def typed(guest: Guest, *words: str) -> Ran:
    return guest.run([*COMMAND, *words], environment=ENVIRONMENT, timeout=180, check=False)


def leave(guest: Guest, script: str, *names: str) -> str:
    """Run a script with the nodes of these disks as $1, $2 and so on, and give what it says."""
    nodes = [guest.node(each) for each in names]
    return guest.run(["sh", "-eu", "-s", "--", *nodes], stdin=WORDS + script, timeout=180).stdout


def holds(guest: Guest, disk: str) -> bool:
    """Whether anything on it can be recognised."""
    return guest.run(["blkid", "-p", guest.node(disk)], check=False).status == 0


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
    leave(guest, 'for disk; do head -c 40M /dev/urandom > "$disk" 2> /dev/null || true; done; sync', *names)
    ran = typed(guest, "wipe", *(guest.disk(each).serial_shown for each in names), "--overwrite", "--yes")
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
