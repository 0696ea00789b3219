"""Tables on a real kernel, with udevd watching: what is written, what is kept, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pre_nixos.lab.description import Attachment, Lab, LabDisk
from pre_nixos.model.step import MIB, Await, Node, Range, Zero
from tests.integration.one_disk import DISK, PART, Machine, spans, table, wish

if TYPE_CHECKING:
    from collections.abc import Generator

    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

ROOT = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
ASKED = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Generator[Guest]:
    disks = (
        LabDisk(name="ordinary", size=512 * MIB),
        LabDisk(name="native", size=512 * MIB, block_size=4096),
        LabDisk(name="plain", size=512 * MIB, attachment=Attachment.PLAIN),
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


@pytest.mark.parametrize("kind", ["ordinary", "native", "plain"])
def test_a_table_says_exactly_this_and_the_kernel_agrees(guest: Guest, kind: str) -> None:
    machine = Machine(guest, kind)
    entries = (wish(1, 1, 64, ESP, name="esp ü", attributes=1 << 2), wish(3, 65, 100, name="root", uuid=ASKED))
    outcome = machine.done(table(*entries))
    assert outcome.wrote
    assert outcome.processes == 0
    listed = machine.table()
    assert {number: str(part["type"]).lower() for number, part in listed.items()} == {1: ESP, 3: ROOT}
    assert (listed[1]["name"], listed[1]["attrs"]) == ("esp ü", "LegacyBIOSBootable")
    assert str(listed[3]["uuid"]).lower() == ASKED
    assert machine.in_kernel() == spans(*entries)
    assert "udevd is done" in machine.done(Await(target=PART)).detail
    links = guest.run(["udevadm", "info", "--query=symlink", f"{machine.node}1"]).stdout
    assert str(listed[1]["uuid"]).lower() in links

    again = machine.done(table(*entries))
    assert not again.wrote

    machine.done(table())
    assert machine.table() == {}
    assert machine.in_kernel() == {}
    assert machine.do(Await(target=PART, present=False, timeout=5)).ok


def test_a_kept_partition_stays_in_use_while_its_neighbours_change(ordinary: Machine) -> None:
    guest = ordinary.guest
    kept = wish(2, 101, 100, name="kept", attributes=1)
    ordinary.done(table(wish(1, 1, 100), kept, wish(3, 201, 50)))
    before = ordinary.table()[2]
    ordinary.done(Await(target=Node(layer="kept")), kept=ordinary.part(2))
    guest.script(f"mkfs.ext4 -q {ordinary.node}2; mkdir -p /mnt/kept; mount {ordinary.node}2 /mnt/kept")
    after = (wish(1, 1, 50), wish(2, 101, 140), wish(4, 60, 40))
    ordinary.done(table(*after))
    assert ordinary.in_kernel() == spans(*after)
    listed = ordinary.table()[2]
    assert (listed["uuid"], listed["name"], listed["attrs"]) == (before["uuid"], "kept", before["attrs"])
    guest.script(f"resize2fs {ordinary.node}2; echo still > /mnt/kept/here; sync")
    ordinary.refused(table(wish(1, 1, 50)), "mount /mnt/kept")
    guest.run(["umount", "/mnt/kept"])
    guest.run(["e2fsck", "-fn", f"{ordinary.node}2"])


def test_one_busy_partition_and_nothing_is_written(ordinary: Machine) -> None:
    guest = ordinary.guest
    entries = (wish(1, 1, 50), wish(2, 51, 50), wish(3, 101, 50))
    ordinary.done(table(*entries))
    holder = guest.start(["sh", "-c", f"exec sleep 600 < {ordinary.node}2"], log="/dev/null")
    hashed = guest.hash_disk("ordinary")
    ordinary.refused(table(), f"(process {holder})")
    ordinary.refused(table(wish(1, 1, 50), wish(2, 52, 10)), f"(process {holder})")
    assert ordinary.in_kernel() == spans(*entries)
    assert guest.hash_disk("ordinary") == hashed
    guest.run(["kill", "-KILL", str(holder)])
    ordinary.done(table(wish(1, 1, 50)))
    assert ordinary.in_kernel() == spans(wish(1, 1, 50))


def test_a_disk_something_stands_on_whole_is_refused(ordinary: Machine) -> None:
    guest = ordinary.guest
    guest.script(f"echo 0 100000 linear {ordinary.node} 0 | dmsetup create whole; udevadm settle")
    ordinary.refused(table(wish(1, 1, 10)), "dm-0")
    ordinary.refused(Zero(target=DISK, ranges=(Range(start=0, length=MIB),)), "cannot be opened")
    guest.script("dmsetup remove whole; udevadm settle")


def test_an_impossible_table_changes_nothing(ordinary: Machine) -> None:
    entries = (wish(1, 1, 50), wish(2, 51, 50))
    ordinary.done(table(*entries))
    outcome = ordinary.do(table(wish(1, 1, 60), wish(2, 51, 1000)))
    assert not outcome.ok
    assert not outcome.wrote
    assert "overlap" in outcome.detail
    assert "does not lie between" in outcome.detail
    assert ordinary.in_kernel() == spans(*entries)


@pytest.mark.parametrize(
    "damage",
    [
        "dd if=/dev/zero of=$1 bs=512 seek=1 count=1 conv=fsync",
        "dd if=/dev/urandom of=$1 bs=512 seek=2 count=1 conv=fsync",
        "dd if=/dev/zero of=$1 bs=512 seek=$(($(blockdev --getsz $1) - 1)) count=1 conv=fsync",
        "dd if=/dev/zero of=$1 bs=512 count=1 conv=fsync",
    ],
    ids=["no primary header", "damaged entries", "no backup", "no protective MBR"],
)
def test_a_damaged_table_is_healed_and_what_is_kept_keeps_its_uuid(ordinary: Machine, damage: str) -> None:
    kept = wish(1, 1, 50)
    ordinary.done(table(kept, wish(2, 51, 50)))
    uuid = ordinary.table()[1]["uuid"]
    ordinary.guest.run(["sh", "-euc", damage, "sh", ordinary.node])
    ordinary.done(table(kept, wish(5, 200, 50)))
    listed = ordinary.table()
    assert set(listed) == {1, 5}
    assert listed[1]["uuid"] == uuid
    assert ordinary.in_kernel() == spans(kept, wish(5, 200, 50))


def test_a_boot_loader_behind_a_short_list_of_partitions_is_not_overwritten(ordinary: Machine) -> None:
    guest, node = ordinary.guest, ordinary.node
    guest.script(
        "printf 'label: gpt\\ntable-length: 56\\nfirst-lba: 2048\\nsize=50MiB\\n' | "
        f"sfdisk -q --wipe=always {node}; udevadm settle; printf LOADER | dd of={node} bs=8192 seek=1 conv=fsync;"
        f"dd if=/dev/zero of={node} bs=512 seek=$(($(blockdev --getsz {node}) - 1)) count=1 conv=fsync"
    )
    ordinary.done(table(wish(1, 1, 50), wish(2, 51, 50)))
    assert set(ordinary.table()) == {1, 2}
    ordinary.refused(table(wish(1, 1, 50), wish(100, 51, 50)), "byte 8192 is in use by something")
    assert guest.script(f"dd if={node} bs=8192 skip=1 count=1 | head -c 6").stdout == "LOADER"


def test_what_is_left_of_a_gpt_below_another_table_is_not_this_disks(ordinary: Machine) -> None:
    ordinary.done(table(wish(1, 1, 50)))
    uuid = ordinary.table()[1]["uuid"]
    guest = ordinary.guest
    guest.script(
        f"dd if=/dev/zero of={ordinary.node} bs=1M count=1 conv=fsync; sleep 1;"
        f"printf 'label: dos\\n2048,102400,83\\n' | sfdisk -q --wipe=never {ordinary.node}; udevadm settle"
    )
    ordinary.done(table(wish(1, 1, 50)))
    assert ordinary.table()[1]["uuid"] != uuid
