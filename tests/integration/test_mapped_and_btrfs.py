"""What stands on device-mapper, and btrfs over several devices: found in any state, and removed without a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.btrfs import Btrfs
from pre_nixos.backends.devicemapper import Mapped
from pre_nixos.backends.dmcrypt import Luks, Plain
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.flow.apply import apply
from pre_nixos.flow.probe import probe
from pre_nixos.flow.schedule import schedule
from pre_nixos.flow.verify import verify
from pre_nixos.host.questions import SafeProbe, Verdict
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.lab.residue import Recipe
from pre_nixos.model.draft import Draft
from pre_nixos.model.layer import Disk, State

if TYPE_CHECKING:
    from pre_nixos.flow.outcome import Report
    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

MIB = 1 << 20

FORMAT = "cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /run/key"
OPEN = "cryptsetup open --key-file /run/key"
KEY = "head -c 64 /dev/zero | tr '\\0' k > /run/key"

ENCRYPTED = Recipe(
    name="encrypted",
    story="LUKS in every state a careless hand can leave it in.",
    disks=6,
    script=f"""
{KEY}
{FORMAT} --type luks2 --label 'my label' "$1"
{OPEN} "$1" 'a name with spaces'
udevadm settle
mkfs.ext4 -q /dev/dm-0
{FORMAT} --type luks1 "$2"
{OPEN} --type plain --cipher aes-xts-plain64 --key-size 256 "$3" plain
{FORMAT} --type luks2 "$4"
{OPEN} "$4" orphan
dd if=/dev/zero of="$4" bs=1M count=16 conv=notrunc status=none
{FORMAT} --type luks2 --header "$5" "$6"
{OPEN} --header "$5" "$6" detached
udevadm settle
""",
)
RAW = Recipe(
    name="raw-tables",
    story="Tables somebody set up by hand: one over two disks, one on another, one that was left suspended.",
    disks=2,
    script="""
printf '0 65536 linear %s 2048\\n65536 65536 linear %s 2048\\n' "$1" "$2" | dmsetup create 'both disks'
udevadm settle
mkfs.ext4 -q /dev/dm-0
echo "0 65536 linear /dev/dm-0 1024" | dmsetup create upper
echo "0 1000 linear $2 204800" | dmsetup create still
dmsetup suspend still
udevadm settle
""",
)
INTEGRITY = Recipe(
    name="integrity",
    story="A LUKS volume that also keeps checksums, on a device of its own below it.",
    disks=1,
    script=f"""
{KEY}
{FORMAT} --type luks2 --integrity hmac-sha256 "$1"
{OPEN} "$1" sums
udevadm settle
""",
)
POOL = Recipe(
    name="pool",
    story="A btrfs over three devices, one of which was wiped; and one on a single device.",
    disks=4,
    script="""
mkfs.btrfs -q -f -L pool -d raid1 -m raid1 "$1" "$2" "$3"
mkfs.btrfs -q -f -L alone "$4"
wipefs -qa "$3"
udevadm settle
""",
)


def lab(*names: str, size: int = 320 * MIB) -> Lab:
    return Lab(disks=tuple(LabDisk(name=name, size=size) for name in names), modules=("dm_crypt", "btrfs"))


def sweep(guest: Guest) -> Report:
    """Want nothing, on every disk; afterwards they must be blank, and nothing may be left to do."""
    machine = probe(guest.host)
    plan = schedule(machine, Draft(machine, take=machine.disks).wanted())
    assert not plan.objections
    report = apply(plan, consent=plan.digest, host=guest.host)
    assert not verify(plan.wanted, guest.host)
    after = probe(guest.host).graph
    assert not [each for each in after if after.disks(each) and not isinstance(after[each], Disk)]
    numbers = tuple(each.device.number for each in after.of(Disk) if each.device)
    assert {each.verdict for each in guest.host.ask(SafeProbe(numbers=numbers)).devices} == {Verdict.BLANK}
    assert guest.run(["dmsetup", "ls"]).stdout == "No devices found\n"
    return report


def problems(report: Report) -> list[str]:
    return [each.problem for each in report.rounds if each.problem]


def test_encrypted_volumes(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(lab(*"abcdef"))
    guest.dirty(ENCRYPTED, *"abcdef")
    graph = probe(guest.host).graph
    found = {each.mapper or each.version: (each.state, each.orphan) for each in graph.of(Luks)}
    assert found == {
        "a name with spaces": (State.ACTIVE, False),
        "1": (State.INACTIVE, False),
        "orphan": (State.ACTIVE, True),
        "detached": (State.ACTIVE, False),
    }
    assert [each.mapper for each in graph.of(Plain)] == ["plain"]
    (detached,) = (each for each in graph.of(Luks) if each.mapper == "detached")
    assert len(graph.on(detached.id)) == 2
    report = sweep(guest)
    assert not problems(report)
    # Not a keyslot is left, nor the second header.
    assert guest.run(["grep", "-c", "-a", "-E", "LUKS|SKUL", guest.node("a")], check=False).stdout == "0\n"


def test_a_volume_keeps_what_is_in_it_when_only_its_name_changes(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(lab("a"))
    disk = guest.node("a")
    guest.script(f"{KEY}; {FORMAT} --type luks2 {disk}; {OPEN} {disk} old; udevadm settle; mkfs.ext4 -q /dev/dm-0")
    machine = probe(guest.host)
    draft = Draft(machine, take=machine.disks)
    volume = draft.add(Luks(mapper="new name", version="2"), on=list(machine.disks))
    draft.add(Filesystem(type="ext4"), on=[volume])
    plan = schedule(machine, draft.wanted())
    assert not plan.losses()[machine.disks[0].id]
    apply(plan, consent=plan.digest, host=guest.host)
    assert not verify(plan.wanted, guest.host)
    assert not schedule(probe(guest.host), plan.wanted).actions
    guest.run(["cryptsetup", "close", "new name"])
    # Closed, it has no name, and still nobody wants to make it anew.
    closed = schedule(probe(guest.host), plan.wanted)
    assert not closed.losses()[machine.disks[0].id]


POWERTEC = """
import hashlib, os, sys
with open(sys.argv[1], "r+b") as disk:
    header = bytearray(disk.read(16384))
    while (0x2A + sum(header[:511])) % 256 != header[511]:
        header[104:168] = os.urandom(64)
        header[448:512] = bytes(64)
        header[448:480] = hashlib.sha256(header).digest()
    disk.seek(0)
    disk.write(header)
"""
"""Writes another salt into a LUKS2 header, until the sum of its first sector is what this kernel knows a table by."""


def test_a_header_that_the_kernel_takes_for_a_table(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(lab("a"))
    disk = guest.node("a")
    guest.script(f"{KEY}; {FORMAT} --type luks2 {disk}")
    guest.run(["python3", "-c", POWERTEC, disk])
    shown = f"/sys/block/{guest.kernel_name('a')}/{guest.kernel_name('a')}1"
    guest.script(f"udevadm settle; test -e {shown}; {OPEN} {disk} kept; udevadm settle; mkfs.ext4 -q /dev/dm-0")
    machine = probe(guest.host)
    assert [remark for remark in machine.remarks if "is no partition" in remark]
    draft = Draft(machine, take=machine.disks)
    volume = draft.add(Luks(mapper="other", version="2"), on=list(machine.disks))
    draft.add(Filesystem(type="ext4"), on=[volume])
    plan = schedule(machine, draft.wanted())
    assert not plan.objections
    assert not plan.losses()[machine.disks[0].id]
    apply(plan, consent=plan.digest, host=guest.host)
    assert not verify(plan.wanted, guest.host)
    # To whoever uses what the kernel shows, it is there, and nothing is done behind their back.
    guest.script(f"cryptsetup close other; {OPEN} /dev/{guest.kernel_name('a')}1 mistaken; udevadm settle")
    assert schedule(probe(guest.host), plan.wanted).objections
    guest.script("cryptsetup close mistaken")
    sweep(guest)
    guest.script(f"udevadm settle; ! test -e {shown}")


OVERWRITTEN = """
printf 'size=90MiB\\nsize=90MiB\\nsize=110MiB\\n' | sfdisk -q --label gpt "$1"
udevadm settle
mkfs.ext4 -q "${1}1"; mkfs.ext4 -q "${1}2"
mkfs.btrfs -q --csum crc32c "$2" "${1}3"
mkdir -p /run/first /run/second
mount "${1}2" /run/second; echo precious > /run/second/file; umount /run/second
mount "${1}1" /run/first
truncate -s 4M /run/image; mkfs.vfat /run/image > /dev/null
dd if=/run/image of="$1" bs=64k conv=notrunc,fsync status=none
udevadm settle
umount /run/first
udevadm settle
"""
"""An image is written over the beginning of a disk while one of its partitions is mounted."""


def test_partitions_whose_table_was_overwritten_are_no_mirage(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(lab("a", "b"))
    guest.script(OVERWRITTEN, guest.node("a"), guest.node("b"))
    machine = probe(guest.host)
    assert not machine.remarks
    (taken,) = machine.disks.where(matching=lambda disk: disk.serial == guest.disk("a").serial_shown).exactly(1)
    plan = schedule(machine, Draft(machine, take=[taken]).wanted())
    assert [each.kind for each in plan.losses()[taken.id]].count("filesystem") == 3
    assert any("btrfs" in str(each) and "does not speak for" in str(each) for each in plan.objections)
    guest.script(f"mount {guest.node('a')}2 /run/second; grep -q precious /run/second/file; umount /run/second")


def test_raw_tables(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(lab("a", "b"))
    guest.dirty(RAW, "a", "b")
    machine = probe(guest.host)
    assert {each.name: (each.target, each.suspended) for each in machine.graph.of(Mapped)} == {
        "both disks": ("linear", False),
        "upper": ("linear", False),
        "still": ("linear", True),
    }
    (alone,) = machine.disks.where(matching=lambda disk: disk.serial == guest.disk("a").serial_shown).exactly(1)
    partly = schedule(machine, Draft(machine, take=[alone]).wanted())
    assert any("dm both disks" in str(each) for each in partly.objections)
    sweep(guest)


def test_a_volume_with_checksums(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(lab("a", size=64 * MIB))
    guest.dirty(INTEGRITY, "a")
    (volume,) = probe(guest.host).graph.of(Luks)
    assert volume.mapper == "sums"
    assert not problems(sweep(guest))


def test_btrfs(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(lab(*"abcd"))
    guest.dirty(POOL, *"abcd")
    graph = probe(guest.host).graph
    assert {each.label: (each.devices, each.remark) for each in graph.of(Btrfs)} == {
        "pool": (3, "1 of 3 devices missing"),
        "alone": (1, ""),
    }
    assert not problems(sweep(guest))
    # Neither a copy of the superblock is left, nor does the kernel remember any device.
    mirror = guest.run(["btrfs", "inspect-internal", "dump-super", "-s", "1", guest.node("a")], check=False)
    assert "bad magic" in mirror.stderr
    forgotten = guest.run(["btrfs", "device", "scan", "--forget", guest.node("a")], check=False)
    assert forgotten.status != 0
