"""A plugin made elsewhere, in full: bcache is found, removed, made and changed over an array, and nothing beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pre_nixos_bcache.kinds import Backing, Cache
from pre_nixos_bcache.superblock import CacheMode

from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.mdraid import Array
from pre_nixos.flow.apply import apply
from pre_nixos.flow.probe import probe
from pre_nixos.flow.schedule import schedule
from pre_nixos.flow.verify import verify
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.lab.residue import Recipe
from pre_nixos.model.action import Verb
from pre_nixos.model.draft import Draft
from pre_nixos.model.layer import Health, State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pre_nixos.flow.outcome import Report
    from pre_nixos.lab.guest import Guest
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.machine import Machine
    from tests.integration.conftest import BootGuest

MIB = 1 << 20

CACHED_ARRAY = Recipe(
    name="cached-array",
    story="Somebody put bcache over a RAID1, and a filesystem in it; all of it runs.",
    disks=2,
    script="""
mdadm --create /dev/md/old --quiet --run --level=1 --raid-devices=2 --assume-clean "$1" "$2"
udevadm settle
make-bcache --bdev /dev/md/old
udevadm settle
mkfs.ext4 -q -L precious /dev/bcache0
udevadm settle
""",
)
SOMEBODY_ELSES = Recipe(
    name="somebody-elses-bcache",
    story="Another bcache on another disk, running: nobody's business.",
    disks=1,
    script="""
make-bcache --bdev "$1"
udevadm settle
device=/dev/$(basename "$(readlink /sys/block/"$(basename "$1")"/bcache/dev)")
mkfs.ext4 -q -L bystander "$device"
mkdir -p /mnt/bystander
mount "$device" /mnt/bystander
seq 1 100000 > /mnt/bystander/numbers
umount /mnt/bystander
sync
""",
)
CACHED = Recipe(
    name="cache-and-two-backing-devices",
    story="One cache for two backing devices, one of which holds writes that the other disk has not seen.",
    disks=3,
    script="""
# A bucket is asked for in one piece of memory, of which a small guest has few large ones.
make-bcache --bucket 64k --cache "$1"
udevadm settle
set=$(basename "$(readlink /sys/block/"$(basename "$1")"/bcache/set)")
for backing in "$2" "$3"; do
    make-bcache --bdev --writeback --cset-uuid "$set" "$backing"
    udevadm settle
done
for attribute in writeback_percent writeback_running; do
    echo 0 > /sys/block/"$(basename "$2")"/bcache/$attribute
done
dd if=/dev/urandom of=/dev/bcache0 bs=64k count=20 oflag=direct status=none
""",
)


def disks(*names: str) -> Lab:
    return Lab(disks=tuple(LabDisk(name=name, size=512 * MIB) for name in names), modules=("bcache",))


def wanted(guest: Guest, machine: Machine, backing: Backing | None, *names: str) -> Wanted:
    """A mirror on these disks, with a backing device and a filesystem on it if one is asked for."""
    serials = {guest.disk(name).serial_shown for name in names}
    taken = machine.disks.where(matching=lambda disk: disk.serial in serials).exactly(len(names))
    draft = Draft(machine, take=taken)
    if backing is not None:
        array = draft.add(Array(name="new", level=1), on=list(taken))
        draft.add(Filesystem(type="ext4", label="data"), on=[draft.add(backing, on=[array])])
    return draft.wanted()


def carry_out(guest: Guest, make: Callable[[Machine], Wanted]) -> Report:
    """Look, plan, apply; then nothing must be left to do."""
    machine = probe(guest.host)
    plan = schedule(machine, make(machine))
    assert not plan.objections
    report = apply(plan, consent=plan.digest, host=guest.host)
    assert len(report.rounds) == 1, [each.problem for each in report.rounds]
    assert not verify(plan.wanted, guest.host)
    again = schedule(probe(guest.host), plan.wanted)
    assert not again.actions
    return report


def verbs(report: Report) -> Sequence[tuple[Verb, str]]:
    return [(action.verb, action.target) for each in report.rounds for action in each.plan.actions]


def test_it_is_found_removed_and_made_anew_over_an_array(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(disks("a", "b", "bystander"))
    guest.dirty(CACHED_ARRAY, "a", "b")
    guest.dirty(SOMEBODY_ELSES, "bystander")
    before = guest.hash_disk("bystander")

    machine = probe(guest.host)
    (old,) = (each for each in machine.graph.of(Backing) if "mdraid.array:old" in machine.graph.on(each.id))
    assert (old.state, old.mode, old.health) == (State.ACTIVE, CacheMode.WRITETHROUGH, Health.OK)
    assert [machine.graph[each].describe() for each in machine.graph.standing_on(old.id)] == ["ext4 'precious'"]

    new = Backing(mode=CacheMode.WRITEBACK, label="data")
    report = carry_out(guest, lambda machine: wanted(guest, machine, new, "a", "b"))
    assert (Verb.DEACTIVATE, old.id) in verbs(report)
    assert (Verb.FORMAT, "mdraid.array:new/bcache.backing") in verbs(report)
    (made,) = (each for each in probe(guest.host).graph.of(Backing) if each.label)
    assert (made.mode, made.label, made.health) == (CacheMode.WRITEBACK, "data", Health.OK)
    assert made.uuid != old.uuid
    assert guest.hash_disk("bystander") == before

    # What is in it survives a change of its mode, and being stopped and started.
    guest.script("mkdir -p /mnt/data; mount LABEL=data /mnt/data; seq 1 1000 > /mnt/data/numbers; umount /mnt/data")
    other = Backing(mode=CacheMode.WRITEAROUND, label="data")
    changed = carry_out(guest, lambda machine: wanted(guest, machine, other, "a", "b"))
    assert verbs(changed) == [(Verb.MODIFY, "mdraid.array:new/bcache.backing")]
    guest.script(f"echo 1 > /sys/block/{made.device.name if made.device else ''}/bcache/stop; sleep 1")
    started = carry_out(guest, lambda machine: wanted(guest, machine, other, "a", "b"))
    assert (Verb.ACTIVATE, "mdraid.array:new/bcache.backing") in verbs(started)
    assert guest.script("mount LABEL=data /mnt/data; cat /mnt/data/numbers").stdout.split()[-1] == "1000"
    guest.script("umount /mnt/data")

    # And away with it; the array below goes as well.
    carry_out(guest, lambda machine: wanted(guest, machine, None, "a", "b"))
    left = probe(guest.host).graph
    assert [guest.kernel_name("bystander")] == [left[left.on(each.id)[0]].device.name for each in left.of(Backing)]  # type: ignore[union-attr]  # it is a disk that is there
    assert guest.hash_disk("bystander") == before


def test_a_cache_is_not_taken_from_under_what_it_caches(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(disks("cache", "dirty", "other"))
    guest.dirty(CACHED, "cache", "dirty", "other")
    machine = probe(guest.host)
    assert [each.health for each in machine.graph.of(Backing)] == [Health.OK, Health.OK]

    for alone in ("cache", "dirty"):
        plan = schedule(machine, wanted(guest, machine, None, alone))
        assert any("stands partly on" in str(each) for each in plan.objections)

    report = carry_out(guest, lambda machine: wanted(guest, machine, None, "cache", "dirty", "other"))
    assert [verb for verb, _ in verbs(report)] == [Verb.DEACTIVATE] * 3 + [Verb.TEARDOWN] * 3
    graph = probe(guest.host).graph
    assert not graph.of(Backing)
    assert not graph.of(Cache)


@pytest.mark.parametrize("wiped", [False, True], ids=["waiting-for-its-cache", "superblock-overwritten"])
def test_one_that_is_not_well_can_still_be_removed(boot_fresh: BootGuest, wiped: bool) -> None:  # noqa: FBT001 - a column
    guest = boot_fresh(disks("cache", "dirty", "other"))
    guest.dirty(CACHED, "cache", "dirty", "other")
    if wiped:
        guest.script(f"dd if=/dev/zero of={guest.node('dirty')} bs=1M count=1 status=none; udevadm settle")
    else:
        script = "for disk in {dirty} {other}; do echo 1 > /sys/block/$disk/bcache/stop; done; sleep 1\n"
        script += "echo 1 > /sys/block/{cache}/bcache/set/stop; sleep 1; wipefs -qa /dev/{cache}; udevadm settle\n"
        script += "for disk in {dirty} {other}; do echo change > /sys/block/$disk/uevent; done; udevadm settle"
        guest.script(script.format(**{name: guest.kernel_name(name) for name in ("cache", "dirty", "other")}))
    found = probe(guest.host).graph.of(Backing)
    assert Health.FAILED in {each.health for each in found}
    carry_out(guest, lambda machine: wanted(guest, machine, None, "cache", "dirty", "other"))
    assert not probe(guest.host).graph.of(Backing)
