"""What grows on a real kernel: volumes and partitions, with whatever is on them, in use or not; nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.backends import btrfs, dmcrypt, filesystems, gpt, lvm, mounts
from pre_nixos.flow.outcome import StepEnded
from pre_nixos.lab.description import Lab, LabDisk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

MIB = 1 << 20
SECRETS = {"prompt:Passphrase": "correct horse battery"}


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    disks = (LabDisk(name="a", size=2048 * MIB), LabDisk(name="b", size=512 * MIB))
    return boot_shared(Lab(disks=disks, modules=("dm_crypt", "btrfs", "xfs")))


BEFORE = {"ext": "100MiB", "xfs": "320MiB", "pool": "300MiB", "crypt": "100MiB", "away": "100MiB"}
AFTER = {"ext": "152MiB", "xfs": "400MiB", "pool": "400MiB", "crypt": "160MiB", "away": "160MiB", "new": "48MiB"}


def volumes(machine: pn.Machine, sizes: Mapping[str, str]) -> pn.Wanted:
    disks = machine.disks.where(at_least="1GiB").exactly(1)
    draft = pn.Draft(machine, take=disks)
    group = draft.add(lvm.Group(name="main"), on=list(disks))
    for name, size in sizes.items():
        on = draft.add(lvm.Volume(name=name, size=size), on=[group])
        if name == "crypt":
            keys = ("prompt:Passphrase",)
            volume = dmcrypt.Luks(mapper="inner", pbkdf="pbkdf2", pbkdf_iterations=1000, keys=keys)
            on = draft.add(volume, on=[on])
        if name == "pool":
            content = draft.add(btrfs.Btrfs(label=name), on=[on])
        else:
            content = draft.add(filesystems.Filesystem(type="xfs" if name == "xfs" else "ext4", label=name), on=[on])
        if name != "away":
            draft.add(mounts.Mount(at=f"/{name}"), on=[content])
    return draft.wanted()


def carry_out(guest: Guest, wanted: pn.Wanted) -> pn.Report:
    plan = pn.schedule(pn.probe(guest.host), wanted)
    assert not plan.objections
    report = pn.apply(plan, consent=plan.digest, host=guest.host, secrets=SECRETS)
    assert not pn.verify(wanted, guest.host)
    assert not pn.schedule(pn.probe(guest.host), wanted).actions
    return report


def sizes(guest: Guest, *places: str) -> list[int]:
    """How many MiB the filesystems have."""
    told = guest.run(["stat", "--file-system", "--format", "%b %S", *places]).stdout
    return [int(blocks) * int(size) // MIB for blocks, size in (line.split() for line in told.splitlines())]


PLACES = ("/mnt/ext", "/mnt/xfs", "/mnt/pool", "/mnt/crypt")


def test_volumes_grow_in_use_with_what_is_on_them(guest: Guest) -> None:
    carry_out(guest, volumes(pn.probe(guest.host), BEFORE))
    guest.script("for each in /mnt/*; do echo kept > $each/file; done; sync")
    before = sizes(guest, *PLACES)
    wanted = volumes(pn.probe(guest.host), AFTER)
    plan = pn.schedule(pn.probe(guest.host), wanted)
    assert not any(lost for lost in plan.losses().values())
    report = carry_out(guest, wanted)
    assert len(report.rounds) == 1
    after = sizes(guest, *PLACES)
    assert [new - old >= 40 for old, new in zip(before, after, strict=True)] == [True] * 4
    assert guest.run(["sh", "-c", "cat /mnt/ext/file /mnt/xfs/file /mnt/pool/file /mnt/crypt/file"]).stdout == (
        "kept\n" * 4
    )
    guest.run(["e2fsck", "-f", "-n", "/dev/mapper/main-away"])


def test_what_a_run_that_was_stopped_did_not_grow_is_grown_by_the_next(guest: Guest) -> None:
    more = AFTER | {"ext": "200MiB", "crypt": "200MiB"}
    before = sizes(guest, *PLACES)
    guest.script(
        "lvextend -q --config 'devices { use_devicesfile=0 }' -L 200M main/ext; "
        "lvextend -q --config 'devices { use_devicesfile=0 }' -L 200M main/crypt"
    )
    wanted = volumes(pn.probe(guest.host), more)
    assert {each.verb for each in pn.schedule(pn.probe(guest.host), wanted).actions} == {pn.Verb.MODIFY}
    carry_out(guest, wanted)
    after = sizes(guest, *PLACES)
    assert after[0] - before[0] >= 40
    assert after[3] - before[3] >= 30


class Killed(BaseException):
    """What nothing catches."""


def test_a_growth_that_was_stopped_half_way_goes_on_and_loses_nothing(guest: Guest) -> None:
    more = AFTER | {"ext": "240MiB", "crypt": "240MiB", "new": "80MiB"}
    wanted = volumes(pn.probe(guest.host), more)
    plan = pn.schedule(pn.probe(guest.host), wanted)
    steps = 0

    def die(event: pn.Event) -> None:
        nonlocal steps
        steps += isinstance(event, StepEnded) and event.step == "Run"
        if steps == 2:
            raise Killed

    with pytest.raises(Killed):
        pn.apply(plan, consent=plan.digest, host=guest.host, secrets=SECRETS, observer=die)
    machine = pn.probe(guest.host)
    again = pn.schedule(machine, wanted)
    assert {each.verb for each in again.actions} == {pn.Verb.MODIFY}
    assert not any(again.losses().values())
    report = pn.apply(again, consent=plan.digest, host=guest.host, secrets=SECRETS)
    assert not report.problem
    assert not pn.verify(wanted, guest.host)
    assert guest.run(["cat", "/mnt/ext/file"]).stdout == "kept\n"


def table(machine: pn.Machine, *parts: gpt.Partition) -> pn.Wanted:
    disks = machine.disks.where(at_most="512MiB").exactly(1)
    draft = pn.Draft(machine, take=disks)
    on = draft.add(gpt.Table(), on=list(disks))
    for part in parts:
        here = draft.add(part, on=[on])
        content = draft.add(filesystems.Filesystem(type="ext4", label=part.label), on=[here])
        draft.add(mounts.Mount(at=f"/{part.label}"), on=[content])
    return draft.wanted()


def test_partitions_come_grow_and_go_beside_one_that_is_in_use(guest: Guest) -> None:
    first = gpt.Partition(number=1, size="100MiB", label="first")
    second = gpt.Partition(number=2, size="64MiB", label="second")
    carry_out(guest, table(pn.probe(guest.host), first))
    guest.script("echo kept > /mnt/first/file; sync")
    uuid = guest.run(["blkid", "-p", "-o", "value", "-s", "PART_ENTRY_UUID", f"{guest.node('b')}1"]).stdout
    # An old filesystem where the next partition begins, which nobody is to meet in it.
    image = "truncate -s 32M /run/old; mkfs.ext4 -q /run/old"
    guest.script(f"{image}; dd if=/run/old of={guest.node('b')} bs=1M seek=101 conv=notrunc status=none")
    report = carry_out(guest, table(pn.probe(guest.host), first, second))
    assert len(report.rounds) == 1
    gone = pn.schedule(pn.probe(guest.host), table(pn.probe(guest.host), first))
    assert {each.kind for each in gone.losses()[gone.wanted.takes[0]]} == {"gpt.partition", "filesystem", "mount"}
    carry_out(guest, table(pn.probe(guest.host), first))
    before = sizes(guest, "/mnt/first")
    carry_out(guest, table(pn.probe(guest.host), gpt.Partition(number=1, size="300MiB", label="first")))
    assert sizes(guest, "/mnt/first")[0] - before[0] >= 150
    assert guest.run(["cat", "/mnt/first/file"]).stdout == "kept\n"
    again = guest.run(["blkid", "-p", "-o", "value", "-s", "PART_ENTRY_UUID", f"{guest.node('b')}1"]).stdout
    assert again == uuid
