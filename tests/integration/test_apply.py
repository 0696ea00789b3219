"""Whole jobs on a real kernel: from what is on the disks to what was asked for, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.backends import filesystems, gpt, mdraid, mounts
from pre_nixos.lab import residue
from pre_nixos.lab.description import Lab, LabDisk

if TYPE_CHECKING:
    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

GIB = 1 << 30
DISKS = (
    LabDisk(name="one", size=2 * GIB),
    LabDisk(name="two", size=2 * GIB),
    LabDisk(name="bystander", size=GIB),
)


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    guest = boot_shared(Lab(disks=DISKS))
    guest.dirty(residue.BYSTANDER, "bystander")
    guest.dirty(residue.OLD_SWAP_ARRAY, "one", "two")
    return guest


def mirrored(machine: pn.Machine, *, label: str = "slash") -> pn.Wanted:
    """An ESP on each disk, and a mirror of the rest with a filesystem, mounted."""
    disks = machine.disks.where(at_least="2GiB").exactly(2)
    draft = pn.Draft(machine, take=disks)
    members: list[pn.Handle] = []
    for disk in disks:
        table = draft.add(gpt.Table(), on=[disk])
        esp = draft.add(gpt.Partition(number=1, size="64MiB", type="esp"), on=[table])
        draft.add(filesystems.Filesystem(type="vfat", label="ESP"), on=[esp])
        members.append(draft.add(gpt.Partition(number=2, size=pn.Rest(), type="raid"), on=[table]))
    array = draft.add(mdraid.Array(name="main", level=1), on=members)
    root = draft.add(filesystems.Filesystem(type="ext4", label=label), on=[array])
    draft.add(mounts.Mount(at="/"), on=[root])
    return draft.wanted()


def test_probing_leaves_every_disk_as_it_was(guest: Guest) -> None:
    # A mirror that is being synced changes by itself.
    guest.script("for each in /sys/block/md*/md/sync_action; do echo frozen > $each; done")
    before = [guest.hash_disk(disk.name) for disk in DISKS]
    for _ in range(3):
        pn.probe(guest.host)
    assert [guest.hash_disk(disk.name) for disk in DISKS] == before


def test_a_filesystem_somebody_works_in_refuses_before_anything_is_unmounted(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(Lab(disks=DISKS))
    guest.dirty(residue.OLD_SWAP_ARRAY, "one", "two")
    guest.dirty(residue.MOUNTED_FILESYSTEM, "bystander")
    machine = pn.probe(guest.host)
    plan = pn.schedule(machine, pn.Draft(machine, take=machine.disks).wanted())
    assert not plan.objections
    guest.script("for each in /sys/block/md*/md/sync_action; do echo frozen > $each; done")
    before = [guest.hash_disk(disk.name) for disk in DISKS]
    with pytest.raises(pn.Refused, match=r"process \d+ \(sleep\) has a file open on it"):
        pn.apply(plan, consent=plan.digest, host=guest.host)
    assert [guest.hash_disk(disk.name) for disk in DISKS] == before
    assert pn.schedule(pn.probe(guest.host), plan.wanted).actions == plan.actions


def test_an_old_swap_array_becomes_a_mirror_and_a_second_run_does_nothing(guest: Guest) -> None:
    bystander = guest.hash_disk("bystander")
    machine = pn.probe(guest.host)
    wanted = mirrored(machine)
    plan = pn.schedule(machine, wanted)
    assert not plan.objections
    report = pn.apply(plan, consent=plan.digest, host=guest.host)
    made = {each.label_for_uuid() for each in report.after.of(filesystems.Filesystem)}
    assert made <= {*guest.run(["ls", "/dev/disk/by-uuid"]).stdout.split()}, "links are there at once"
    assert len(report.rounds) == 1
    assert not pn.verify(wanted, guest.host)
    again = pn.schedule(pn.probe(guest.host), wanted)
    assert again.actions == ()
    assert guest.hash_disk("bystander") == bystander


def test_another_label_changes_the_label_and_keeps_what_is_in_it(guest: Guest) -> None:
    guest.script("echo kept > /mnt/file; sync")
    machine = pn.probe(guest.host)
    wanted = mirrored(machine, label="root")
    plan = pn.schedule(machine, wanted)
    assert [each.id for each in plan.actions] == ["modify mdraid.array:main/filesystem"]
    pn.apply(plan, consent=plan.digest, host=guest.host)
    assert not pn.verify(wanted, guest.host)
    assert guest.run(["cat", "/mnt/file"]).stdout == "kept\n"
