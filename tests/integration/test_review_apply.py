"""Plans that must not run, and that ran once: what stood to be lost is still there afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.backends import filesystems, gpt, lvm, mdraid, mounts
from pre_nixos.lab.description import Lab, LabDisk

if TYPE_CHECKING:
    from pre_nixos.lab.guest import Guest
    from pre_nixos.plugin import Layer
    from tests.integration.conftest import BootGuest

GIB = 1 << 30
ONE = LabDisk(name="one", size=GIB, serial="0001")
TWO = LabDisk(name="two", size=GIB, serial="0002")


def mounted(machine: pn.Machine, *, type_: str = "ext4", at: str = "/") -> pn.Wanted:
    """One partition on the first disk, with a filesystem, mounted."""
    disk = machine.all_disks.where(serial="0001").exactly(1)[0]
    draft = pn.Draft(machine, take=[disk], named=[disk])
    table = draft.add(gpt.Table(), on=[disk])
    part = draft.add(gpt.Partition(number=1, size=pn.Rest()), on=[table])
    draft.add(mounts.Mount(at=at), on=[draft.add(filesystems.Filesystem(type=type_, label="new"), on=[part])])
    return draft.wanted()


def over_both(machine: pn.Machine, layer: Layer) -> pn.Wanted:
    """One partition on each disk, and a layer on both."""
    disks = machine.all_disks.exactly(2)
    draft = pn.Draft(machine, take=disks, named=disks)
    parts: list[pn.Handle] = []
    for disk in disks:
        table = draft.add(gpt.Table(), on=[disk])
        parts.append(draft.add(gpt.Partition(number=1, size=pn.Rest(), type="raid"), on=[table]))
    draft.add(layer, on=parts)
    return draft.wanted()


def refused(guest: Guest, plan: pn.Plan, consent: object = None) -> str:
    given = plan.digest if consent is None else consent
    with pytest.raises(pn.Refused) as caught:
        pn.apply(plan, consent=given, host=guest.host)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - a digest or a function
    return str(caught.value)


SWAP_DISKS = """
for name in sda sdb; do echo 1 > /sys/block/$name/device/delete; done
ports=$(echo /sys/kernel/config/target/loopback/*/tpgt_1/lun)
rm $ports/lun_0/one $ports/lun_1/two
ln -s /sys/kernel/config/target/core/fileio_1/two $ports/lun_0/two
for try in 1 2 3; do echo "- - -" > /sys/class/scsi_host/host0/scan || true; sleep 0.2; done
udevadm settle
cat /sys/block/sda/dev
"""


def test_a_disk_that_took_the_place_of_another_while_somebody_was_asked_is_left_alone(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(Lab(disks=(ONE, TWO)))
    guest.script("mkfs.ext4 -q -F /dev/sda; mkfs.ext4 -q -F -L other /dev/sdb; udevadm settle")
    machine = pn.probe(guest.host)

    def swap_disks(plan: pn.Plan) -> bool:
        assert guest.script(SWAP_DISKS).stdout.strip() == "8:0"
        return bool(plan.actions)

    refused(guest, pn.schedule(machine, mounted(machine)), swap_disks)
    assert 'LABEL="other"' in guest.script("blkid /dev/sda").stdout


@pytest.mark.parametrize(
    ("tool", "make", "bring_back"),
    [
        (
            "lvm",
            "vgcreate -q data /dev/sda /dev/sdb; lvcreate -qyn d -i2 -L400M data; udevadm settle; vgchange -qan data",
            "lvm vgchange -ay data; test -e /dev/data/d",
        ),
        (
            "mdadm",
            "mdadm -C /dev/md/data -q --run -l 0 -n 2 /dev/sda /dev/sdb; udevadm settle; mdadm -S /dev/md/data",
            "mdadm -A /dev/md/data /dev/sda /dev/sdb",
        ),
    ],
)
def test_half_of_what_no_tool_can_tell_of_is_left_alone(
    boot_fresh: BootGuest, tool: str, make: str, bring_back: str
) -> None:
    guest = boot_fresh(Lab(disks=(ONE, TWO)))
    guest.script(f"{make}; udevadm settle; mv $(command -v {tool}) /tmp/gone")
    machine = pn.probe(guest.host)
    assert f"{tool} cannot tell which" in refused(guest, pn.schedule(machine, mounted(machine)))
    guest.script(f"cp /tmp/gone /usr/sbin/{tool}; {bring_back}")


def test_what_was_stored_on_a_blank_disk_after_consent_is_still_there(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(Lab(disks=(ONE,)))
    machine = pn.probe(guest.host)
    plan = pn.schedule(machine, mounted(machine))

    def store(event: object) -> None:
        if type(event).__name__ == "Planned":
            guest.script("mkfs.ext4 -q -F -L precious /dev/sda; udevadm settle")

    with pytest.raises(pn.Refused, match="nobody was asked about"):
        pn.apply(plan, consent=plan.digest, host=guest.host, observer=store)
    assert 'LABEL="precious"' in guest.script("blkid /dev/sda").stdout


def test_a_mirror_that_lost_a_member_is_not_made_anew(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(Lab(disks=(ONE, TWO)))
    machine = pn.probe(guest.host)
    wanted = over_both(machine, mdraid.Array(name="main", level=1))
    plan = pn.schedule(machine, wanted)
    pn.apply(plan, consent=plan.digest, host=guest.host)
    guest.script("mdadm --wait /dev/md/main || true; mdadm /dev/md/main --fail /dev/sdb1")
    again = pn.schedule(pn.probe(guest.host), wanted)
    assert again.actions == ()
    assert "degraded" in refused(guest, again)
    guest.script("mdadm /dev/md/main --remove /dev/sdb1")
    again = pn.schedule(pn.probe(guest.host), wanted)
    assert "would lose what is on it" in refused(guest, again)
    guest.script("mdadm --stop /dev/md/main; udevadm settle")
    again = pn.schedule(pn.probe(guest.host), wanted)
    assert "would lose what is on it" in refused(guest, again)


def test_a_mirror_of_which_one_member_came_late_is_started_with_both(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(Lab(disks=(ONE, TWO)))
    machine = pn.probe(guest.host)
    wanted = over_both(machine, mdraid.Array(name="main", level=1))
    plan = pn.schedule(machine, wanted)
    pn.apply(plan, consent=plan.digest, host=guest.host)
    guest.script("mdadm --wait /dev/md/main || true; mdadm --stop /dev/md/main; udevadm settle; mdadm -I /dev/sdb1")
    uuid = guest.script("mdadm --examine --export /dev/sda1 | grep MD_UUID").stdout
    again = pn.schedule(pn.probe(guest.host), wanted)
    assert not any(again.losses().values())
    pn.apply(again, consent=again.digest, host=guest.host)
    assert not pn.verify(wanted, guest.host)
    assert guest.script("mdadm --examine --export /dev/sda1 | grep MD_UUID").stdout == uuid


def test_a_group_half_on_a_disk_that_was_not_taken_is_no_success(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(Lab(disks=(ONE, TWO)))
    guest.script("vgcreate -qq main /dev/sda /dev/sdb; udevadm settle")
    machine = pn.probe(guest.host)
    disk = machine.all_disks.where(serial="0001").exactly(1)
    draft = pn.Draft(machine, take=disk, named=disk)
    draft.add(lvm.Group(name="main"), on=list(disk))
    assert "stands partly on" in refused(guest, pn.schedule(machine, draft.wanted()))


LOOPED = """
mkfs.ext4 -q -F /dev/sda; mkdir -p /srv/a /srv/l; mount /dev/sda /srv/a
truncate -s 100M /srv/a/image; losetup /dev/loop5 /srv/a/image; mkfs.ext4 -q /dev/loop5; mount /dev/loop5 /srv/l
dd if=/dev/zero of=/srv/a/swap bs=1M count=20 status=none; chmod 600 /srv/a/swap
mkswap -q /srv/a/swap; swapon /srv/a/swap; udevadm settle
"""


def test_files_in_use_as_devices_are_let_go_before_the_filesystem_they_are_on(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(Lab(disks=(ONE,)))
    guest.script(LOOPED)
    machine = pn.probe(guest.host)
    wanted = mounted(machine, at="/my dir/é#\"'x")
    plan = pn.schedule(machine, wanted)
    report = pn.apply(plan, consent=plan.digest, host=guest.host)
    assert len(report.rounds) == 1
    assert pn.schedule(pn.probe(guest.host), wanted).actions == ()


def test_a_udevd_that_died_is_not_waited_for(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(Lab(disks=(ONE,)))
    machine = pn.probe(guest.host)
    disk = machine.all_disks.exactly(1)
    draft = pn.Draft(machine, take=disk, named=disk)
    group = draft.add(lvm.Group(name="main"), on=list(disk))
    draft.add(lvm.Volume(name="slash", size="100MiB"), on=[group])
    plan = pn.schedule(machine, draft.wanted())
    guest.script("kill -KILL $(pgrep -o udevd)")
    report = pn.apply(plan, consent=plan.digest, host=guest.host)
    assert report.seconds < 60
