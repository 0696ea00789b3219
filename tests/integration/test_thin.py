"""LVM in all the forms that are made, on a real kernel: pools and thin volumes, copies and parity, shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.backends import filesystems, lvm, mounts
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.plugin import Rest
from tests.integration.carrying import carry_out

if TYPE_CHECKING:
    from collections.abc import Collection

    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

MIB = 1 << 20


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    disks = tuple(LabDisk(name=name, size=400 * MIB) for name in "abcd")
    return boot_shared(Lab(disks=disks, modules=("dm_thin_pool", "dm_raid", "raid1", "raid456", "raid10")))


def layout(machine: pn.Machine, thin: str = "64MiB", *, without: Collection[str] = ()) -> pn.Wanted:
    disks = machine.disks.exactly(4)
    draft = pn.Draft(machine, take=disks)
    group = draft.add(lvm.Group(name="main"), on=list(disks))
    for volume in (
        lvm.Volume(name="pool", size="25%", type="thin-pool"),
        lvm.Volume(name="thin", size=thin, type="thin", pool="pool"),
        # More than there is in the pool: it takes only what is written.
        lvm.Volume(name="huge", size="1GiB", type="thin", pool="pool"),
        lvm.Volume(name="one", size="32MiB", type="raid1"),
        lvm.Volume(name="five", size="64MiB", type="raid5", stripes=2),
        lvm.Volume(name="wide", size="48MiB", type="striped", stripes=3),
        lvm.Volume(name="ten", size="32MiB", type="raid10"),
        lvm.Volume(name="rest", size=Rest(keep=8 * MIB)),
    ):
        if volume.name in without:
            continue
        on = draft.add(volume, on=[group])
        if not volume.is_pool:
            content = draft.add(filesystems.Filesystem(type="ext4", label=volume.name), on=[on])
            draft.add(mounts.Mount(at=f"/{volume.name}"), on=[content])
    return draft.wanted()


def test_every_form_is_made_once(guest: Guest) -> None:
    report = carry_out(guest, layout(pn.probe(guest.host)))
    assert len(report.rounds) == 1
    guest.script("for each in /mnt/*; do echo kept > $each/file; done; sync")


def test_after_a_reboot_all_of_them_come_back(guest: Guest) -> None:
    guest.script("umount /mnt/*; vgchange -q --config 'devices { use_devicesfile=0 }' -an main; udevadm settle")
    report = carry_out(guest, layout(pn.probe(guest.host)))
    assert {each.action.split()[0] for round_ in report.rounds for each in round_.done} == {"activate"}
    assert guest.script("cat /mnt/*/file").stdout == "kept\n" * 7


def test_a_thin_volume_grows(guest: Guest) -> None:
    carry_out(guest, layout(pn.probe(guest.host), "128MiB"))
    assert guest.script("cat /mnt/*/file").stdout == "kept\n" * 7


def test_a_thin_volume_goes_without_a_byte_being_written_to_it(guest: Guest) -> None:
    wanted = layout(pn.probe(guest.host), "128MiB", without=("huge",))
    (only,) = carry_out(guest, wanted).rounds
    assert [each.summary for each in only.done] == ["unmount /mnt/huge", "remove huge in volume group main"]
    assert guest.script("cat /mnt/*/file").stdout == "kept\n" * 6


def test_a_snapshot_that_ran_full_goes(guest: Guest) -> None:
    guest.script(
        "lvcreate -qq --config 'activation { monitoring=0 } devices { use_devicesfile=0 }' -s -L 4M -n snap main/rest;"
        "dd if=/dev/urandom of=/mnt/rest/much bs=1M count=16 conv=fsync status=none; rm /mnt/rest/much"
    )
    (snapshot,) = (each for each in pn.probe(guest.host).graph.of(lvm.Volume) if each.name == "snap")
    assert snapshot.overflowed
    carry_out(guest, layout(pn.probe(guest.host), "128MiB", without=("huge",)))
    assert guest.script("cat /mnt/*/file").stdout == "kept\n" * 6
