"""Who else may be using what is to be wiped, or may need it: nothing goes under anybody's feet."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from pre_nixos.model.action import Verb
from tests.integration.wiping import (
    COMMAND,
    ENVIRONMENT,
    A,
    apply_blank,
    at_first,
    holds,
    leave,
    machine_of,
    typed,
)

if TYPE_CHECKING:
    from tests.integration.conftest import BootGuest


def test_nothing_is_removed_while_the_kernel_uses_another_partition_for_a_disk_that_stays(
    boot_fresh: BootGuest,
) -> None:
    """A log of XFS has no holder and no mount of its own: only opening it alone tells."""
    guest = machine_of(boot_fresh)
    leave(
        guest,
        """
gpt "$1" size=50MiB size=100MiB
ext4 "${1}1"
mounted "${1}1" /mnt/first
mkfs.xfs -q -f -l logdev="${1}2" "$2"
mkdir -p /mnt/stays
mount -o logdev="${1}2" "$2" /mnt/stays
""",
        "a",
        "b",
    )
    assert typed(guest, "wipe", A.serial_shown, "--yes").status == 1
    assert "/mnt/first" in guest.script("cat /proc/mounts").stdout
    assert guest.run(["blkid", "-p", guest.node("a") + "1"], check=False).status == 0


@pytest.mark.parametrize(
    "stack",
    [
        'group wide "$1" "$2"; volume --name data --size 900m wide; ext4 /dev/wide/data; vgchange -qq -an wide\n',
        """
array wide --level=0 --raid-devices=2 "$1" "$2"
ext4 /dev/md/wide
mdadm --stop -q /dev/md/wide
udevadm settle
mdadm --stop -q --scan
""",
    ],
    ids=["group", "array"],
)
def test_what_reaches_a_disk_whose_path_is_not_open_is_not_taken_for_lacking_it(
    boot_fresh: BootGuest, stack: str
) -> None:
    """With the path open it is refused: it stands partly on a disk nobody named. A path that is down is no consent."""
    guest = machine_of(boot_fresh)
    leave(guest, stack + 'echo offline > "/sys/block/${2#/dev/}/device/state"', "a", "b")
    ran = typed(guest, "wipe", A.serial_shown, "--yes")
    assert ran.status == 1
    assert holds(guest, "a")


ZFS = """
python3 - "$@" <<'END'
import struct, sys
def text(words):
    return struct.pack(">I", len(words)) + words.encode().ljust(-(-len(words) // 4) * 4, b"\\0")
def pair(name, kind, value):
    body = text(name) + struct.pack(">II", kind, 1) + value
    return struct.pack(">II", 8 + len(body), 8 + len(body)) + body
for member, disk in enumerate(sys.argv[1:], 1):
    label = bytes([1, 1, 0, 0]) + struct.pack(">II", 0, 1) + pair("version", 8, struct.pack(">Q", 5000))
    label += pair("name", 9, text("tank")) + pair("pool_guid", 8, struct.pack(">Q", 4242))
    label += pair("guid", 8, struct.pack(">Q", member)) + bytes(8)
    with open(disk, "r+b") as file:
        size = file.seek(0, 2)
        for start in (0, 262144, size - 524288, size - 262144):
            file.seek(start + 16384)
            file.write(label)
            for number in range(32):
                file.seek(start + 131072 + number * 1024)
                file.write(struct.pack("<QQ", 0xBAB10C, 5000))
END
udevadm settle
for disk; do blkid -p "$disk" | grep -q 'LABEL="tank" UUID="4242"'; done
"""


def test_one_disk_of_a_pool_that_nobody_manages_is_not_wiped_without_the_other(boot_fresh: BootGuest) -> None:
    guest = machine_of(boot_fresh)
    leave(guest, ZFS, "a", "b")
    ran = typed(guest, "wipe", A.serial_shown, "--yes")
    assert ran.status == 1
    assert holds(guest, "a")


PARTITION = """
echo ',100MiB' | sfdisk -q --append "$1" 2> /dev/null || true
udevadm settle
ext4 "${1}2"
udevadm settle
"""


@pytest.mark.parametrize(
    ("there", "comes"),
    [
        (
            'pvcreate -qq "$1"\n',
            'group new "$1"; volume --name v --size 100m new; ext4 /dev/new/v; vgchange -qq -an new; udevadm settle\n',
        ),
        ('gpt "$1" size=50MiB; ext4 "${1}1"\n', PARTITION),
        ('gpt "$1" size=50MiB size=100MiB; ext4 "${1}1"\n', 'head -c 20M /dev/urandom > "${1}2"; sync\n'),
    ],
    ids=["a group on a volume that was in none", "a filesystem on a new partition", "bytes on a blank partition"],
)
def test_what_comes_between_the_look_and_the_removal_is_not_removed_with_what_was_agreed_to(
    boot_fresh: BootGuest, there: str, comes: str
) -> None:
    guest = machine_of(boot_fresh)
    leave(guest, there + "udevadm settle\n", "a")
    said = apply_blank(guest, A, at_first(Verb.TEARDOWN, lambda: leave(guest, comes, "a")))
    assert said, "it went without a word"
    assert holds(guest, "a")


def test_a_disk_served_to_others_out_of_a_file_is_not_wiped_though_no_path_is_noted(boot_fresh: BootGuest) -> None:
    """LIO's own attribute is `fd_dev_name`; `udev_path` is a remark that some tools leave there."""
    guest = machine_of(boot_fresh)
    leave(
        guest,
        """
core=/sys/kernel/config/target/core/fileio_77/served
port=/sys/kernel/config/target/loopback/naa.6001405777770001/tpgt_1
mkdir -p $core
echo "fd_dev_name=$1,fd_dev_size=$(blockdev --getsize64 "$1"),fd_buffered_io=1" > $core/control
echo 1 > $core/enable
mkdir -p $port/lun/lun_0
echo naa.6001405777770002 > $port/nexus
ln -s $core $port/lun/lun_0/served
sleep 1
udevadm settle
client=/dev/$(ls -t /sys/block | grep ^sd | while read -r disk; do
    [ "$(cat /sys/block/$disk/device/model)" = "TWIN DISK       " ] || echo $disk; done | head -1)
ext4 "$client"
mounted "$client" /mnt/client
echo work > /mnt/client/work
sync
""",
        "a",
    )
    assert typed(guest, "wipe", A.serial_shown, "--yes").status == 1
    assert holds(guest, "a")


def test_a_disk_under_a_loop_device_is_not_wiped_though_the_node_it_was_opened_by_is_gone(
    boot_fresh: BootGuest,
) -> None:
    """A container has nodes of its own; the path that sysfs shows leads nowhere here, the kernel's number does."""
    guest = machine_of(boot_fresh)
    leave(
        guest,
        """
mknod /run/node b $(tr : ' ' < "/sys/block/${1#/dev/}/dev")
losetup /dev/loop7 /run/node
rm /run/node
ext4 /dev/loop7
mounted /dev/loop7 /mnt/live
echo work > /mnt/live/work
sync
""",
        "a",
    )
    assert typed(guest, "wipe", A.serial_shown, "--yes").status == 1
    assert holds(guest, "a")


def test_a_disk_that_a_process_only_has_mapped_into_its_memory_is_not_wiped(boot_fresh: BootGuest) -> None:
    guest = machine_of(boot_fresh)
    leave(
        guest,
        """
ext4 "$1"
cat > /run/mapping.py <<'END'
import ctypes, os, sys, time
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
descriptor = os.open(sys.argv[1], os.O_RDWR)
libc.mmap(None, 1 << 20, 3, 1, descriptor, 0)
os.close(descriptor)
open("/run/mapped", "w").close()
time.sleep(86400)
END
setsid python3 /run/mapping.py "$1" < /dev/null > /dev/null 2>&1 &
while [ ! -e /run/mapped ]; do sleep 0.1; done
""",
        "a",
    )
    assert typed(guest, "wipe", A.serial_shown, "--yes").status == 1
    assert holds(guest, "a")


REMOTE = """
import ctypes, os, struct, time
descriptor = os.open("/dev/fuse", os.O_RDWR)
os.makedirs("/mnt/remote", exist_ok=True)
options = b"fd=%d,rootmode=40000,user_id=0,group_id=0" % descriptor
ctypes.CDLL(None).mount(b"remote", b"/mnt/remote", b"fuse", 0, options)
while True:
    request = os.read(descriptor, 1 << 17)
    _, what, unique = struct.unpack_from("<IIQ", request)
    if os.path.exists("/run/gone"):
        time.sleep(86400)
    if what == 26:
        body = struct.pack("<IIIIHHIIHHI28x", 7, 31, 4096, 0, 12, 10, 4096, 1, 0, 0, 0)
    elif what == 3:
        body = bytes(16) + struct.pack("<6Q10I", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)
    elif what in (2, 36):
        continue
    else:
        os.write(descriptor, struct.pack("<IiQ", 16, -38, unique))
        continue
    os.write(descriptor, struct.pack("<IiQ", 16 + len(body), 0, unique) + body)
"""


def test_a_server_that_does_not_answer_somebody_elses_process_does_not_stop_a_wipe_for_ever(
    boot_fresh: BootGuest,
) -> None:
    guest = machine_of(boot_fresh)
    leave(guest, 'modprobe fuse; ext4 "$1"', "a")
    guest.start([sys.executable, "-c", REMOTE], log="/run/remote")
    leave(
        guest,
        """
until grep -q /mnt/remote /proc/mounts; do sleep 0.1; done
cd /mnt/remote
setsid sleep 86400 < /dev/null > /dev/null 2>&1 &
cd /
sleep 0.5
touch /run/gone
timeout -s KILL 1 ls -d /mnt/remote/. > /dev/null 2>&1 || true
""",
    )
    words = ("timeout", "-s", "KILL", "60", *COMMAND, "wipe", A.serial_shown, "--yes")
    ran = guest.run(words, environment=ENVIRONMENT, timeout=120, check=False)
    assert ran.status in {0, 1}, "it hung until it was killed"


def test_a_plan_that_is_refused_is_not_called_as_wanted(boot_fresh: BootGuest) -> None:
    guest = machine_of(boot_fresh)
    leave(guest, 'group wide "$1" "$2"; volume --name data --size 900m wide; vgchange -qq -an wide', "a", "b")
    shown = typed(guest, "wipe", A.serial_shown, "--check")
    assert "cannot be carried out" in shown.stdout
    assert "Everything is as wanted" not in shown.stdout
