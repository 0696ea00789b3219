"""Somebody else's group of the name of ours, and disks in files, on a real kernel: ours stays, and so do they."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.backends import filesystems, gpt, lvm, mounts
from pre_nixos.lab.description import Lab, LabDisk

if TYPE_CHECKING:
    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

MIB = 1 << 20
OURS, OTHER = 300 * MIB, 200 * MIB
NAMESAKE = """
vgcreate -qq main "$1"
lvcreate -qq -y -an -Zn -l 5 -n one main
udevadm settle
dd if="$1" of=/run/head bs=1M count=4 status=none
wipefs -qa "$1"
udevadm settle
"""
APPEARS = """
dd if=/run/head of="$1" bs=1M conv=fsync,notrunc status=none
udevadm settle
"""
IN_A_FILE = """
truncate -s 64M /mnt/one/guest
loop=$(losetup -f --show /mnt/one/guest)
mkfs.ext4 -q "$loop"
mkdir -p /srv/guest
mount "$loop" /srv/guest
echo theirs > /srv/guest/file
sync
udevadm settle
"""


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    return boot_shared(Lab(disks=(LabDisk(name="ours", size=OURS), LabDisk(name="other", size=OTHER))))


def layout(machine: pn.Machine, *, both: bool = False) -> pn.Wanted:
    (ours,) = machine.disks.where(at_least=OURS).exactly(1)
    (other,) = machine.disks.where(at_most=OTHER).exactly(1)
    draft = pn.Draft(machine, take=[ours, other] if both else [ours])
    volume = draft.add(lvm.Volume(name="one", size="200MiB"), on=[draft.add(lvm.Group(name="main"), on=[ours])])
    draft.add(mounts.Mount(at="/one"), on=[draft.add(filesystems.Filesystem(type="ext4"), on=[volume])])
    if both:
        draft.add(gpt.Table(), on=[other])
    return draft.wanted()


def test_ours_stays_whoever_has_its_name(guest: Guest) -> None:
    guest.script(NAMESAKE, guest.node("other"))
    plan = pn.schedule(pn.probe(guest.host), layout(pn.probe(guest.host)))
    pn.apply(plan, consent=plan.digest, host=guest.host)
    guest.script("echo precious > /mnt/one/file; sync")
    guest.script(APPEARS, guest.node("other"))
    before = guest.hash_disk("other")
    machine = pn.probe(guest.host)
    wanted = layout(machine)
    assert "lvm.group:main" not in machine.graph
    assert not pn.schedule(machine, wanted).actions
    assert not pn.verify(wanted, guest.host)
    assert guest.hash_disk("other") == before

    both = layout(machine, both=True)
    plan = pn.schedule(machine, both)
    assert not plan.objections
    pn.apply(plan, consent=plan.digest, host=guest.host)
    assert not pn.verify(both, guest.host)
    assert guest.run(["cat", "/mnt/one/file"]).stdout == "precious\n"
    assert guest.script("vgs --noheadings -o pv_name main").stdout.strip() == guest.node("ours")


def test_what_is_in_a_file_of_ours_stays(guest: Guest) -> None:
    guest.script(IN_A_FILE)
    wanted = layout(pn.probe(guest.host))
    assert not pn.schedule(pn.probe(guest.host), wanted).actions
    assert not pn.verify(wanted, guest.host)
    assert guest.run(["cat", "/srv/guest/file"]).stdout == "theirs\n"
