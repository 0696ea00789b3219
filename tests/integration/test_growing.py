"""What grows on a real kernel: volumes and partitions, with whatever is on them, in use or not; nothing is lost."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.backends import btrfs, dmcrypt, filesystems, gpt, lvm, mdraid, mounts, swap
from pre_nixos.flow.outcome import ActionBegan
from pre_nixos.lab.description import Lab, LabDisk
from tests.integration import carrying

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

MIB = 1 << 20
SECRETS = {"prompt:Passphrase": "correct horse battery"}
carry_out = partial(carrying.carry_out, secrets=SECRETS)
stopped = partial(carrying.stopped, secrets=SECRETS)


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    sizes = {"a": 2048, "b": 512, "bare": 700, "crypt": 800, "left": 900, "right": 910}
    disks = tuple(LabDisk(name=name, size=size * MIB) for name, size in sizes.items())
    return boot_shared(Lab(disks=disks, modules=("dm_crypt", "btrfs", "xfs")))


BEFORE = {
    "ext": "100MiB",
    "xfs": "320MiB",
    "pool": "300MiB",
    "crypt": "100MiB",
    "away": "100MiB",
    "old": "64MiB",
    "swap": "32MiB",
    "idle": "32MiB",
}
AFTER = {
    "ext": "152MiB",
    "xfs": "400MiB",
    "pool": "400MiB",
    "crypt": "160MiB",
    "away": "160MiB",
    "new": "48MiB",
    "old": "108MiB",
    "swap": "64MiB",
    "idle": "64MiB",
}
LATER = AFTER | {"ext": "240MiB", "xfs": "440MiB", "crypt": "240MiB", "new": "80MiB", "old": "160MiB", "swap": "128MiB"}
TYPES = {"xfs": "xfs", "old": "ext3"}


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
        if name in {"swap", "idle"}:
            area = draft.add(swap.Area(label=name), on=[on])
            if name == "swap":
                draft.add(swap.Use(priority=9), on=[area])
            continue
        if name == "pool":
            content = draft.add(btrfs.Btrfs(label=name), on=[on])
        else:
            content = draft.add(filesystems.Filesystem(type=TYPES.get(name, "ext4"), label=name), on=[on])
        if name != "away":
            draft.add(mounts.Mount(at=f"/{name}"), on=[content])
    return draft.wanted()


def sizes(guest: Guest, *places: str) -> list[int]:
    """How many MiB the filesystems have."""
    told = guest.run(["stat", "--file-system", "--format", "%b %S", *places]).stdout
    return [int(blocks) * int(size) // MIB for blocks, size in (line.split() for line in told.splitlines())]


PLACES = ("/mnt/ext", "/mnt/xfs", "/mnt/pool", "/mnt/crypt", "/mnt/old")


def swapped(guest: Guest) -> dict[str, tuple[int, int]]:
    """How many MiB of what is in use as swap there are, and its priority, by its label."""
    told = guest.run(["swapon", "--raw", "--bytes", "--noheadings", "--show=LABEL,SIZE,PRIO"]).stdout
    found = (line.split() for line in told.splitlines())
    return {label: (round(int(size) / MIB), int(priority)) for label, size, priority in found}


def test_volumes_grow_in_use_with_what_is_on_them(guest: Guest) -> None:
    carry_out(guest, volumes(pn.probe(guest.host), BEFORE))
    guest.script("for each in /mnt/*; do echo kept > $each/file; done; sync")
    before = sizes(guest, *PLACES)
    # Nobody asked for it, and it is used as it was.
    guest.script("swapon --priority 3 /dev/main/idle")
    assert swapped(guest) == {"swap": (32, 9), "idle": (32, 3)}
    wanted = volumes(pn.probe(guest.host), AFTER)
    plan = pn.schedule(pn.probe(guest.host), wanted)
    assert not any(lost for lost in plan.losses().values())
    report = carry_out(guest, wanted)
    assert len(report.rounds) == 1
    after = sizes(guest, *PLACES)
    assert [new - old >= 40 for old, new in zip(before, after, strict=True)] == [True] * 5
    assert guest.run(["cat", *(f"{place}/file" for place in PLACES)]).stdout == "kept\n" * 5
    guest.run(["e2fsck", "-f", "-n", "/dev/mapper/main-away"])
    assert swapped(guest) == {"swap": (64, 9), "idle": (64, 3)}
    guest.script("swapoff /dev/main/idle")


def test_what_a_run_that_was_stopped_did_not_grow_is_grown_by_the_next(guest: Guest) -> None:
    more = AFTER | {"ext": "200MiB", "xfs": "440MiB", "crypt": "200MiB", "old": "148MiB", "swap": "96MiB"}
    before = sizes(guest, *PLACES)
    guest.script(
        "lvextend -q --config 'devices { use_devicesfile=0 }' -L 200M main/ext; "
        "lvextend -q --config 'devices { use_devicesfile=0 }' -L 440M main/xfs; "
        "lvextend -q --config 'devices { use_devicesfile=0 }' -L 200M main/crypt; "
        "lvextend -q --config 'devices { use_devicesfile=0 }' -L 148M main/old; "
        "lvextend -q --config 'devices { use_devicesfile=0 }' -L 96M main/swap"
    )
    wanted = volumes(pn.probe(guest.host), more)
    guest.script("mount -o remount,ro /mnt/xfs")
    said = pn.schedule(pn.probe(guest.host), wanted).objections
    assert ["is mounted read-only, at /mnt/xfs" in str(each) for each in said] == [True]
    guest.script("mount -o remount,rw /mnt/xfs")
    assert {each.verb for each in pn.schedule(pn.probe(guest.host), wanted).actions} == {pn.Verb.MODIFY}
    carry_out(guest, wanted)
    after = sizes(guest, *PLACES)
    assert after[0] - before[0] >= 40
    assert after[1] - before[1] >= 36
    assert after[3] - before[3] >= 30
    assert after[4] - before[4] >= 36
    assert swapped(guest) == {"swap": (96, 9)}


def test_a_growth_that_was_stopped_half_way_goes_on_and_loses_nothing(guest: Guest) -> None:
    wanted = volumes(pn.probe(guest.host), LATER)
    plan = pn.schedule(pn.probe(guest.host), wanted)
    stopped(guest, plan, "Run", 2)
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


def once(guest: Guest, script: str) -> Callable[[pn.Event], None]:
    """Have somebody do something just before the first change."""
    done: list[str] = []

    def observe(event: pn.Event) -> None:
        if isinstance(event, ActionBegan) and event.verb is pn.Verb.MODIFY and not done:
            done.append(guest.script(script).stdout)

    return observe


def test_what_somebody_puts_into_a_volume_that_is_to_go_is_not_taken_out_with_it(guest: Guest) -> None:
    wanted = volumes(pn.probe(guest.host), LATER)
    guest.script("lvcreate -qq -y -L 48M -n spare main; udevadm settle")
    plan = pn.schedule(pn.probe(guest.host), wanted)
    assert [each.verb for each in plan.actions] == [pn.Verb.MODIFY]
    put = once(guest, "mkfs.ext4 -q /dev/main/spare")
    with pytest.raises(pn.Refused, match=r"spare/filesystem .*nobody was asked about"):
        pn.apply(plan, consent=plan.digest, host=guest.host, secrets=SECRETS, observer=put)
    assert guest.script("blkid -o value -s TYPE /dev/main/spare").stdout == "ext4\n"
    guest.script("lvremove -qq -y main/spare")


def test_what_somebody_grew_meanwhile_is_not_cleared_at_its_end(guest: Guest) -> None:
    wanted = volumes(pn.probe(guest.host), LATER | {"ext": "288MiB"})
    plan = pn.schedule(pn.probe(guest.host), wanted)
    filled = "head -c 400M /dev/urandom > /mnt/ext/full 2> /dev/null || true; sync; md5sum /mnt/ext/full > /run/sum"
    grow = once(guest, f"lvextend -qq -L 280M main/ext; resize2fs /dev/main/ext; {filled}")
    report = pn.apply(plan, consent=plan.digest, host=guest.host, secrets=SECRETS, observer=grow)
    assert "bytes, and had" in report.rounds[0].problem
    assert len(report.rounds) == 2
    assert sizes(guest, "/mnt/ext")[0] > 250
    guest.script("echo 3 > /proc/sys/vm/drop_caches; md5sum --check --quiet /run/sum; rm /mnt/ext/full")
    assert not pn.verify(wanted, guest.host)


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


def group(machine: pn.Machine, size: str, name: str) -> pn.Wanted:
    """A group on a partition of this size, encrypted or not, with a volume that is to have the rest of it."""
    span = {"bare": ("650MiB", "750MiB"), "crypt": ("750MiB", "850MiB")}[name]
    disks = machine.disks.where(at_least=span[0], at_most=span[1]).exactly(1)
    draft = pn.Draft(machine, take=disks)
    on = draft.add(gpt.Partition(number=1, size=size), on=[draft.add(gpt.Table(), on=list(disks))])
    if name == "crypt":
        keys = ("prompt:Passphrase",)
        on = draft.add(dmcrypt.Luks(mapper="below", pbkdf="pbkdf2", pbkdf_iterations=1000, keys=keys), on=[on])
    on = draft.add(lvm.Group(name=name), on=[on])
    draft.add(lvm.Volume(name="fixed", size="40MiB"), on=[on])
    volume = draft.add(lvm.Volume(name="rest", size=pn.Rest()), on=[on])
    draft.add(mounts.Mount(at=f"/on-{name}"), on=[draft.add(filesystems.Filesystem(type="ext4"), on=[volume])])
    return draft.wanted()


@pytest.mark.parametrize("name", ["bare", "crypt"])
def test_what_stands_on_a_partition_that_grows_takes_the_room_up_to_the_files(guest: Guest, name: str) -> None:
    place = f"/mnt/on-{name}"
    carry_out(guest, group(pn.probe(guest.host), "200MiB", name))
    guest.script(f"echo kept > {place}/file; sync")
    before = sizes(guest, place)[0]
    report = carry_out(guest, group(pn.probe(guest.host), "300MiB", name))
    assert len(report.rounds) == 1
    middle = sizes(guest, place)[0]
    assert middle - before >= 80

    # Stopped as soon as the table says so, and before anybody above is told.
    wanted = group(pn.probe(guest.host), "400MiB", name)
    plan = pn.schedule(pn.probe(guest.host), wanted)
    stopped(guest, plan, "WriteTable", 1)
    again = pn.schedule(pn.probe(guest.host), wanted)
    assert {each.verb for each in again.actions} == {pn.Verb.MODIFY}
    assert not any(again.losses().values())
    assert len(carry_out(guest, wanted).rounds) == 1
    assert sizes(guest, place)[0] - middle >= 80

    # Nothing of it is in use, and its volumes are not active.
    released = pn.schedule(pn.probe(guest.host), pn.released(wanted), only={pn.Verb.DEACTIVATE})
    pn.apply(released, consent=released.digest, host=guest.host, secrets=SECRETS)
    carry_out(guest, group(pn.probe(guest.host), "500MiB", name))
    assert sizes(guest, place)[0] - middle >= 160
    assert guest.run(["cat", f"{place}/file"]).stdout == "kept\n"


def mirror(machine: pn.Machine, size: str) -> pn.Wanted:
    """A group on a mirror of two partitions of this size."""
    disks = machine.disks.where(at_least="850MiB", at_most="950MiB").exactly(2)
    draft = pn.Draft(machine, take=disks)
    parts = [draft.add(gpt.Partition(number=1, size=size), on=[draft.add(gpt.Table(), on=[each])]) for each in disks]
    on = draft.add(lvm.Group(name="twice"), on=[draft.add(mdraid.Array(name="twice", level=1), on=parts)])
    volume = draft.add(lvm.Volume(name="all", size=pn.Rest()), on=[on])
    draft.add(mounts.Mount(at="/twice"), on=[draft.add(filesystems.Filesystem(type="ext4"), on=[volume])])
    return draft.wanted()


def synchronised(guest: Guest) -> None:
    """Wait until md has nothing more to do: it lets no array grow before."""
    guest.script("for i in $(seq 120); do grep -Eq 'resync|recovery' /proc/mdstat || exit 0; sleep 0.5; done; exit 1")


def test_a_mirror_grows_with_both_of_its_members(guest: Guest) -> None:
    carry_out(guest, mirror(pn.probe(guest.host), "100MiB"))
    guest.script("echo kept > /mnt/twice/file; sync")
    before = sizes(guest, "/mnt/twice")[0]
    synchronised(guest)
    assert len(carry_out(guest, mirror(pn.probe(guest.host), "200MiB")).rounds) == 1
    middle = sizes(guest, "/mnt/twice")[0]
    assert middle - before >= 80

    # Stopped when both tables say so, and the array does not know.
    synchronised(guest)
    wanted = mirror(pn.probe(guest.host), "300MiB")
    plan = pn.schedule(pn.probe(guest.host), wanted)
    stopped(guest, plan, "WriteTable", 2)
    again = pn.schedule(pn.probe(guest.host), wanted)
    assert {each.verb for each in again.actions} == {pn.Verb.MODIFY}
    assert not any(again.losses().values())
    assert len(carry_out(guest, wanted).rounds) == 1
    assert sizes(guest, "/mnt/twice")[0] - middle >= 80
    assert guest.run(["cat", "/mnt/twice/file"]).stdout == "kept\n"
