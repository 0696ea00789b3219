"""What goes wrong in the middle: things that come back, disks that leave, writes that fail, tools that lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.flow.outcome import ActionBegan, Noted
from pre_nixos.host.questions import ReadFile
from pre_nixos.lab import residue
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.model.action import Verb
from pre_nixos.model.step import MIB
from tests.integration.server import boot_server, wanted_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

BYSTANDER = LabDisk(name="bystander", size=64 * MIB)
HASTE = pn.Patience(tries=3, pause=0.2)


def machine(boot: BootGuest, *names: str) -> Guest:
    """Boot a guest with small disks of these names and a bystander."""
    guest = boot(Lab(disks=(*(LabDisk(name=each, size=256 * MIB) for each in names), BYSTANDER)))
    guest.dirty(residue.BYSTANDER, "bystander")
    return guest


def blank(guest: Guest, *names: str) -> pn.Plan:
    found = pn.probe(guest.host)
    return pn.schedule(found, pn.blank(found, [guest.disk(each).serial_shown for each in names]))


def run(guest: Guest, plan: pn.Plan, observer: Callable[[pn.Event], None] = lambda _: None) -> pn.Report:
    return pn.apply(plan, consent=plan.digest, host=guest.host, observer=observer, patience=HASTE)


def at_first(verb: Verb, do: Callable[[], object]) -> Callable[[pn.Event], None]:
    """Do something when the first action of this kind begins."""
    done: list[object] = []

    def observe(event: pn.Event) -> None:
        if isinstance(event, ActionBegan) and event.verb is verb and not done:
            done.append(event)
            do()

    return observe


COMES_BACK = """
mdadm --assemble --quiet --run /dev/md126 "${1}1" "${2}1"
vgchange -qq --activate y swap
swapon /dev/swap/swap
udevadm settle
"""


def test_an_old_swap_group_that_comes_back_as_md126_in_the_middle_of_an_apply_goes_in_the_next_round(
    boot_fresh: BootGuest,
) -> None:
    guest = boot_server(boot_fresh)
    bystander = guest.hash_disk("pictures")
    found = pn.probe(guest.host)
    plan = pn.schedule(found, wanted_on(found))
    nodes = [guest.node(each) for each in ("hdd0", "hdd1")]

    def come_back() -> None:
        guest.script(COMES_BACK, *nodes)

    report = run(guest, plan, at_first(Verb.TEARDOWN, come_back))
    first, second, *_ = report.rounds
    assert "md126" in first.problem
    assert any(each.action.startswith("deactivate mdraid.array:swap") for each in second.done)
    assert not pn.verify(plan.wanted, guest.host)
    assert pn.schedule(pn.probe(guest.host), plan.wanted).actions == ()
    assert guest.hash_disk("pictures") == bystander


GROUP = """
vgcreate -qq data "$@"
lvcreate -qq --yes --name one --size 64m data
mkfs.ext4 -q /dev/data/one
mkdir -p /srv/one
mount /dev/data/one /srv/one
udevadm settle
"""


def leave(guest: Guest, script: str, *names: str) -> None:
    guest.script(script, *(guest.node(each) for each in names))


def test_a_disk_that_vanishes_in_the_middle_stops_everything(boot_fresh: BootGuest) -> None:
    guest = machine(boot_fresh, "a", "b")
    leave(guest, GROUP, "a", "b")
    before = {each: guest.hash_disk(each) for each in ("b", "bystander")}
    pull = f"echo 1 > /sys/block/{guest.kernel_name('b')}/device/delete; udevadm settle"
    plan = blank(guest, "a", "b")
    with pytest.raises(pn.Failed) as caught:
        run(guest, plan, at_first(Verb.TEARDOWN, lambda: guest.script(pull)))
    report = caught.value.report
    assert "no longer the disk it was" in report.rounds[0].problem
    assert [each.action.partition(" ")[0] for each in report.rounds[0].done] == ["deactivate"] * 2
    assert "is not on this machine" in report.problem
    assert guest.hash_disk("bystander") == before["bystander"]
    kept = guest.run(["ls", report.diagnostics]).stdout.split()
    assert kept == ["after.json", "before.json", "report.json"]


UNREADABLE = """
modprobe scsi_debug dev_size_mb=64 opts=2 medium_error_start={start} medium_error_count=8
udevadm settle
disk=/dev/$(ls /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block)
mkfs.ext4 -q -F "$disk" || true
udevadm settle
dd if="$disk" of=/run/before bs=4k conv=noerror,sync 2> /dev/null || true
echo "$disk"
"""


def unreadable(guest: Guest, start: int) -> tuple[str, pn.Plan]:
    """Make a disk of which some sectors cannot be read, and plan to have it blank."""
    node = guest.script(UNREADABLE.format(start=start)).stdout.split()[-1]
    found = pn.probe(guest.host)
    (disk,) = (each for each in found.all_disks if each.device and f"/dev/{each.device.name}" == node)
    return node, pn.schedule(found, pn.blank(found, [disk]))


def test_a_disk_whose_last_sectors_cannot_be_read_is_left_alone(boot_fresh: BootGuest) -> None:
    guest = machine(boot_fresh, "a")
    node, plan = unreadable(guest, 131064)
    with pytest.raises(pn.Refused, match="cannot be told"):
        run(guest, plan)
    guest.script(f"dd if={node} of=/run/after bs=4k conv=noerror,sync 2> /dev/null || true; cmp /run/before /run/after")


def test_what_cannot_be_read_back_is_not_called_blank(boot_fresh: BootGuest) -> None:
    guest = machine(boot_fresh, "a")
    bystander = guest.hash_disk("bystander")
    _, plan = unreadable(guest, 4000)
    with pytest.raises(pn.Failed, match="whether they are zero cannot be told"):
        run(guest, plan)
    assert guest.hash_disk("bystander") == bystander


FULL = """
mkdir /run/small
mount -t tmpfs -o size=24M tmpfs /run/small
truncate -s 256M /run/small/disk
core=/sys/kernel/config/target/core/fileio_90/full
mkdir -p $core
echo "fd_dev_name=/run/small/disk,fd_dev_size=268435456,fd_buffered_io=1" > $core/control
echo FULL0001 > $core/wwn/vpd_unit_serial
echo 1 > $core/enable
port=$(echo /sys/kernel/config/target/loopback/*/tpgt_1/lun)
mkdir $port/lun_90
ln -s $core $port/lun_90/full
for host in /sys/class/scsi_host/host*/scan; do echo "- - -" > $host; done
udevadm settle
disk=/dev/$(lsblk -dno NAME,SERIAL | sed -n 's/ *FULL0001//p')
echo 0 > /sys/class/scsi_disk/$(basename $(readlink /sys/block/${disk#/dev/}/device))/max_write_same_blocks
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0,nodiscard -J size=4 $disk
sync
dd if=/dev/zero of=/run/small/rest bs=64k 2> /dev/null || true
echo $disk
"""


def test_a_disk_that_does_not_take_writes_is_told_with_the_place(boot_fresh: BootGuest) -> None:
    guest = machine(boot_fresh, "a")
    bystander = guest.hash_disk("bystander")
    guest.script(FULL)
    found = pn.probe(guest.host)
    plan = pn.schedule(found, pn.blank(found, ["FULL0001"]))
    with pytest.raises(pn.Failed) as caught:
        run(guest, plan)
    assert "zeroing bytes" in caught.value.report.problem
    assert "rror" in caught.value.report.problem
    assert guest.hash_disk("bystander") == bystander


MIRROR = """
yes | mdadm --create /dev/md/old --quiet --run --level=1 --raid-devices=2 --metadata=1.2 --assume-clean "$@"
udevadm settle
"""
INSTEAD = """
mkdir -p /run/real
cp "$(command -v {tool})" /run/real/{tool}
printf '#!/bin/sh\\ncase "$*" in *{word}*) {instead};; esac\\nexec /run/real/{tool} "$@"\\n' > /run/real/liar
chmod +x /run/real/liar
mount --bind /run/real/liar "$(readlink -f "$(command -v {tool})")"
"""


@pytest.mark.parametrize(
    ("instead", "says"), [("exit 0", "is still there after"), ("exec sleep 1000", "without an end")]
)
def test_a_tool_that_says_it_stopped_an_array_and_did_not_is_not_believed(
    boot_fresh: BootGuest, instead: str, says: str
) -> None:
    guest = machine(boot_fresh, "a", "b")
    leave(guest, MIRROR, "a", "b")
    before = {each: guest.hash_disk(each) for each in ("a", "b", "bystander")}
    guest.script(INSTEAD.format(tool="mdadm", word="--stop", instead=instead))
    with pytest.raises((pn.Failed, pn.Refused), match=says):
        run(guest, blank(guest, "a", "b"))
    assert {each: guest.hash_disk(each) for each in before} == before


def test_a_tool_that_says_it_made_a_filesystem_and_did_not_is_not_believed(boot_fresh: BootGuest) -> None:
    guest = machine(boot_fresh, "a")
    guest.script(INSTEAD.format(tool="mkfs.ext4", word="-L", instead="exit 0"))
    found = pn.probe(guest.host)
    disks = found.all_disks.named([guest.disk("a").serial_shown])
    draft = pn.Draft(found, take=disks, named=disks)
    draft.add(Filesystem(type="ext4", label="new"), on=list(disks))
    with pytest.raises(pn.Failed, match=r"keep coming back|not everything is as wanted"):
        run(guest, pn.schedule(found, draft.wanted()))


def test_what_cannot_be_read_for_a_moment_is_waited_for(boot_fresh: BootGuest) -> None:
    guest = machine(boot_fresh, "a")
    leave(guest, "mkfs.ext4 -q $1; udevadm settle", "a")
    plan = blank(guest, "a")
    state = f"/sys/block/{guest.kernel_name('a')}/device/state"
    # The disk is out of reach, and comes back while it is being asked.
    away = f"echo offline > {state}; (sleep 0.5; echo running > {state}) > /dev/null 2>&1 < /dev/null &"
    events: list[pn.Event] = []
    interfere = at_first(Verb.TEARDOWN, lambda: guest.script(away))

    def observe(event: pn.Event) -> None:
        events.append(event)
        interfere(event)

    pn.apply(plan, consent=plan.digest, host=guest.host, observer=observe, patience=pn.Patience(tries=20, pause=0.3))
    assert any(isinstance(each, Noted) and "allowed after" in each.text for each in events)
    assert "audited" in (guest.host.ask(ReadFile(path="/run/pre-nixos/journal")).content or "")
    assert blank(guest, "a").actions == ()


def test_what_stays_out_of_reach_is_refused_and_nothing_is_written(boot_fresh: BootGuest) -> None:
    guest = machine(boot_fresh, "a")
    leave(guest, "mkfs.ext4 -q $1; udevadm settle; sync", "a")
    before = guest.hash_disk("a")
    plan = blank(guest, "a")
    state = f"/sys/block/{guest.kernel_name('a')}/device/state"
    with pytest.raises((pn.Refused, pn.Failed)):
        run(guest, plan, at_first(Verb.TEARDOWN, lambda: guest.script(f"echo offline > {state}")))
    guest.script(f"echo running > {state}")
    assert guest.hash_disk("a") == before
