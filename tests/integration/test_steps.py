"""The other steps and the deeds on a real kernel, with udevd watching."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pre_nixos.host.api import CheckHeld, Hold, HoldOffAssembly, LetGo
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.model.step import (
    MIB,
    WINDOW,
    Attach,
    Await,
    Detach,
    MakeDirectory,
    Node,
    Range,
    RequireBlank,
    RequireClear,
    RequireFree,
    Run,
    Secret,
    SetAttribute,
    SwapOff,
    SwapOn,
    Zero,
)
from tests.integration.one_disk import DISK, PART, Machine, table, wish

if TYPE_CHECKING:
    from collections.abc import Generator

    from pre_nixos.host.api import Outcome
    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

RAID = "a19d880f-05fc-4d3b-a006-743f0f84911e"


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Generator[Guest]:
    disks = (
        LabDisk(name="ordinary", size=512 * MIB),
        LabDisk(name="other", size=512 * MIB),
        LabDisk(name="pulled", size=64 * MIB),
        LabDisk(name="bystander", size=64 * MIB),
    )
    running = boot_shared(Lab(disks=disks))
    running.script(f"noise 67108864 > {running.node('bystander')}")
    before = running.hash_disk("bystander")
    yield running
    assert running.hash_disk("bystander") == before


@pytest.fixture
def ordinary(guest: Guest) -> Generator[Machine]:
    machine = Machine(guest, "ordinary")
    yield machine
    machine.done(table())


def test_zeros_are_written_read_back_and_stay_out_of_partitions(ordinary: Machine) -> None:
    guest = ordinary.guest
    ordinary.done(table(wish(1, 1, 64), wish(2, 65, 20)))
    guest.script(f"head -c 64M /dev/urandom > {ordinary.node}1; sync")
    ordinary.refused(RequireBlank(target=PART), "holds data that nothing claims")
    clear = RequireClear(target=PART, ranges=(Range(start=-WINDOW, length=WINDOW),))
    ordinary.refused(clear, "is not zero")
    ordinary.done(Zero(target=PART, ranges=(Range(start=0, length=WINDOW), Range(start=-WINDOW, length=WINDOW))))
    ordinary.done(clear)
    ordinary.done(RequireBlank(target=PART))
    middle = RequireClear(target=PART, ranges=(Range(start=WINDOW, length=1),))
    assert not ordinary.do(middle).ok
    ordinary.refused(Zero(target=DISK, ranges=(Range(start=70 * MIB, length=MIB),)), "still has")
    ordinary.done(table(wish(2, 65, 20)))
    ordinary.done(Zero(target=DISK, ranges=(Range(start=MIB, length=64 * MIB),)))
    ordinary.done(table(wish(1, 1, 64), wish(2, 65, 20)))
    ordinary.done(middle)


def test_a_disk_that_cannot_be_written_is_told_with_the_place(guest: Guest) -> None:
    machine = Machine(guest, "other")
    table_text = f"0 16384 linear {machine.node} 0\n16384 16384 error"
    guest.run(["dmsetup", "create", "broken"], stdin=table_text)
    broken = guest.script("udevadm settle; basename $(readlink -f /dev/mapper/broken)").stdout.strip()
    layer = Node(layer="broken")
    outcome = machine.do(Zero(target=layer, ranges=(Range(start=0, length=WINDOW),)), broken=broken)
    assert (outcome.ok, outcome.refused, outcome.wrote) == (False, False, True), outcome
    assert "Input/output error" in outcome.detail
    outcome = machine.do(RequireClear(target=layer, ranges=(Range(start=-MIB, length=MIB),)), broken=broken)
    assert (outcome.ok, outcome.wrote) == (False, False)
    assert "Input/output error" in outcome.detail
    outcome = machine.do(table(), disk=broken)
    assert (outcome.ok, outcome.wrote) == (False, False), outcome
    machine.refused(RequireBlank(target=layer), "cannot be read", broken=broken)
    guest.script("dmsetup remove broken; udevadm settle")


def test_what_ends_a_device_has_done_its_work_when_that_is_gone(guest: Guest) -> None:
    machine = Machine(guest, "other")
    ended = Node(layer="ended")

    def outcome(script: str) -> Outcome:
        guest.run(["dmsetup", "create", "ended"], stdin=f"0 16384 linear {machine.node} 0")
        name = guest.script("udevadm settle; basename $(readlink -f /dev/mapper/ended)").stdout.strip()
        return machine.do(Run(argv=("sh", "-c", script, "sh", ended), ends=ended), ended=name)

    removed = outcome("dmsetup remove ended; echo busy >&2; exit 1")
    assert (removed.ok, removed.wrote) == (True, True), removed
    stays = outcome("echo busy >&2; exit 1")
    assert (stays.ok, stays.wrote) == (False, True), stays
    assert stays.detail.endswith("status 1; it may have written: busy")
    guest.script("dmsetup remove ended; udevadm settle")


def test_mounts_and_swap(ordinary: Machine) -> None:
    guest = ordinary.guest
    ordinary.done(table(wish(1, 1, 64), wish(2, 65, 64)))
    ordinary.done(Await(target=PART))
    ordinary.done(Run(argv=("mkfs.ext4", "-q", PART)))
    attach = Attach(target=PART, at="/mnt/new/root", type="ext4", options=("noatime", "x-initrd.mount"))
    assert "No such file" in ordinary.do(attach).detail
    ordinary.done(MakeDirectory(path="/mnt/new/root", mode=0o700))
    assert ordinary.done(attach).wrote
    assert not ordinary.done(attach).wrote
    assert "noatime" in guest.run(["findmnt", "-no", "OPTIONS", "/mnt/new/root"]).stdout
    second = Node(layer="second")
    ordinary.refused(
        Attach(target=second, at="/mnt/new/root", type="ext4"), "is mounted there already", second=ordinary.part(2)
    )
    ordinary.refused(Detach(target=second, at="/mnt/new/root"), "left alone", second=ordinary.part(2))
    ordinary.refused(RequireFree(target=PART), "mount /mnt/new/root")
    ordinary.refused(Zero(target=PART, ranges=(Range(start=0, length=MIB),)), "cannot be opened")
    holder = guest.start(["sh", "-c", "cd /mnt/new/root; exec sleep 600"], log="/dev/null")
    guest.script(f"while [ $(readlink /proc/{holder}/cwd) != /mnt/new/root ]; do sleep 0.1; done")
    ordinary.refused(Detach(target=PART, at="/mnt/new/root"), "in use")
    guest.run(["kill", "-KILL", str(holder)])
    ordinary.done(Detach(target=PART, at="/mnt/new/root"))
    assert not ordinary.done(Detach(target=PART, at="/mnt/new/root")).wrote
    ordinary.done(RequireFree(target=PART))

    ordinary.done(Run(argv=("mkswap", "-q", PART)))
    ordinary.done(SwapOn(target=PART, priority=7, discard=True))
    assert guest.run(["sh", "-c", "tail -1 /proc/swaps"]).stdout.split()[::4] == [f"{ordinary.node}1", "7"]
    ordinary.refused(RequireFree(target=PART), "swap")
    assert not ordinary.done(SwapOn(target=PART)).wrote
    ordinary.done(SwapOff(target=PART))
    ordinary.done(SwapOff(target=PART))
    assert not ordinary.do(SwapOn(target=second), second=ordinary.part(2)).ok


def test_every_device_of_a_btrfs_is_the_one_mounted(ordinary: Machine) -> None:
    guest = ordinary.guest
    ordinary.done(table(wish(1, 1, 128), wish(2, 129, 128)))
    second = Node(layer="second")
    name = ordinary.part(2)
    ordinary.done(Run(argv=("mkfs.btrfs", "-q", "-f", PART, second)), second=name)
    guest.script(
        f"mkdir -p /mnt/b; mount {ordinary.node}1 /mnt/b; btrfs -q subvolume create /mnt/b/@ || "
        "btrfs subvolume create /mnt/b/@; umount /mnt/b"
    )
    ordinary.done(Attach(target=PART, at="/mnt/b", type="btrfs", options=("subvol=@", "compress=zstd")))
    assert not ordinary.done(Attach(target=second, at="/mnt/b", type="btrfs", options=("subvol=@",)), second=name).wrote
    ordinary.refused(Attach(target=PART, at="/mnt/b", type="btrfs"), "mounted there already")
    ordinary.done(Detach(target=second, at="/mnt/b"), second=name)


def test_a_secret_reaches_the_tool_and_nothing_else(ordinary: Machine) -> None:
    guest = ordinary.guest
    ordinary.done(table(wish(1, 1, 64)))
    key, secrets = Secret(reference="prompt:root"), {"prompt:root": "correct horse battery"}
    cheap = ("--type=luks2", "--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000", "--batch-mode", "--key-file=-")
    made = ordinary.done(Run(argv=("cryptsetup", "luksFormat", *cheap, PART), stdin=key), secrets)
    assert "horse" not in made.detail
    opened = Run(argv=("cryptsetup", "open", "--key-file=-", PART, "vault"), stdin=key)
    wrong = ordinary.do(opened, {"prompt:root": "wrong"})
    assert not wrong.ok
    assert "status 2" in wrong.detail
    ordinary.done(opened, secrets)
    guest.script("cryptsetup close vault; udevadm settle")


def test_an_attribute_of_an_array(guest: Guest) -> None:
    machine = Machine(guest, "other")
    machine.done(table(wish(1, 1, 64, RAID), wish(2, 65, 64, RAID)))
    machine.done(Await(target=PART))
    guest.script(
        f"yes | mdadm --create /dev/md5 --quiet --run --level=1 --raid-devices=2 {machine.node}1 {machine.node}2;"
        "udevadm settle"
    )
    machine.done(SetAttribute(target=Node(layer="md"), attribute="md/sync_max", value="0"), md="md5")
    assert guest.run(["cat", "/sys/block/md5/md/sync_max"]).stdout.strip() == "0"
    outcome = machine.do(SetAttribute(target=Node(layer="md"), attribute="md/sync_max", value="nonsense"), md="md5")
    assert "Invalid argument" in outcome.detail
    number = machine.number("md5")
    machine.refused(table(wish(1, 1, 64)), "holder md5")
    # Stopping writes to the members, and what was written to is looked at again: hold off before. Whoever has begun
    # to look by then must have ended, or would find a member of nothing.
    slow = f'KERNEL=="{machine.part(1)}", PROGRAM="/bin/sleep 3"'
    guest.script(f"mkdir -p /run/udev/rules.d; echo '{slow}' > /run/udev/rules.d/00-slow.rules")
    guest.script(f"udevadm control --reload; echo add > /sys/class/block/{machine.part(1)}/uevent; sleep 1")
    guest.script("rm /run/udev/rules.d/00-slow.rules")
    machine.done(HoldOffAssembly(on=True))
    guest.run(["mdadm", "--stop", "/dev/md5"])
    gone = guest.host.do(Await(target=Node(layer="md"), present=False, timeout=10), {"md": number}, {})
    assert gone.ok, gone
    guest.script("udevadm settle")
    assert "md5" not in guest.run(["cat", "/proc/mdstat"]).stdout

    # The superblocks are still there: udev assembles the array as soon as it sees the partitions again.
    appear = "echo add > /sys/class/block/{}/uevent; udevadm settle"
    both = "; ".join(appear.format(machine.part(n)) for n in (1, 2))
    guest.script(f"udevadm control --reload; {both}")
    assert "raid1" not in guest.run(["cat", "/proc/mdstat"]).stdout.partition("\n")[2]
    machine.done(HoldOffAssembly(on=False))
    guest.script(both)
    assert "raid1" in guest.run(["cat", "/proc/mdstat"]).stdout.partition("\n")[2]
    guest.script(f"mdadm --stop --scan; mdadm --zero-superblock {machine.node}1 {machine.node}2; udevadm settle")
    machine.done(table())


def test_a_held_disk_that_is_pulled_is_noticed(guest: Guest) -> None:
    pulled, other = Machine(guest, "pulled"), Machine(guest, "other")
    numbers = (pulled.number(pulled.name), other.number(other.name))
    other.done(Hold(numbers=numbers))
    other.done(CheckHeld())
    guest.script(f"echo 1 > /sys/block/{pulled.name}/device/delete; udevadm settle")
    other.refused(CheckHeld(), f"{pulled.node} ({numbers[0]}) is no longer the disk it was")
    other.done(LetGo())
    other.done(CheckHeld())


def test_without_udevd_nobody_is_waited_for(ordinary: Machine) -> None:
    guest = ordinary.guest
    guest.run(["udevadm", "control", "--exit"])
    try:
        ordinary.done(table(wish(1, 1, 64)))
        assert "no udevd runs" in ordinary.done(Await(target=PART)).detail
        assert "no udevd runs" in ordinary.done(HoldOffAssembly(on=True)).detail
    finally:
        guest.run(["/lib/systemd/systemd-udevd", "--daemon", "--resolve-names=never"])
    assert "udevd is done" in ordinary.done(Await(target=PART)).detail
