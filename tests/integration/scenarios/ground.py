"""Where scenarios are played: one guest for as many as it takes, and what is asserted after each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.backends import gpt
from pre_nixos.host.questions import ReadBlockNodes, SafeProbe, Verdict
from pre_nixos.lab import residue
from pre_nixos.lab.description import Lab
from pre_nixos.model.layer import Disk
from tests.integration.scenarios.scenario import BYSTANDER, TARGETS, WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pre_nixos.lab.description import LabDisk
    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest
    from tests.integration.scenarios.scenario import Scenario

MODULES = ("dm_crypt", "btrfs")

STATE = r"""
udevadm settle
for each in /sys/class/block/* /sys/fs/btrfs/*; do
    case $each in
        */loop*) [ ! -e "$each/loop/backing_file" ] || echo "$each $(cat "$each/loop/backing_file")" ;;
        */dm-*) read -r what < "$each/dm/name"; read -r still < "$each/dm/suspended"; echo "$each $what $still" ;;
        *) echo "$each" ;;
    esac
done
while read -r line; do case $line in Personalities*|unused*|'') ;; *) echo "$line" ;; esac; done < /proc/mdstat
while read -r swap rest; do echo "swap $swap"; done < /proc/swaps
while read -r line; do echo "$line"; done < /proc/self/mountinfo
"""
"""What there is beyond disks."""

COME_BACK = r"""
for disk; do
    table=/run/table-${disk#/dev/}
    [ ! -s "$table" ] || sfdisk -q --force --wipe never --wipe-partitions never "$disk" < "$table"
done > /dev/null
rm -f /run/lvm/*_online/*
udevadm trigger --action=add --subsystem-match=block
udevadm settle
mdadm --assemble --scan > /dev/null 2>&1 || true
{ pvscan --cache -aay; vgchange --activate ay; btrfs device scan; } > /dev/null 2>&1 || true
udevadm settle
"""
"""The old partitions again, and everything that could be tempted by what is in them."""

TAKE_OFF = r"""
for disk; do
    [ -s "/run/table-${disk#/dev/}" ] || continue
    dd if=/dev/zero of="$disk" bs=1M count=1 conv=notrunc status=none
    dd if=/dev/zero of="$disk" bs=1M seek=$(($(blockdev --getsize64 "$disk") / 1048576 - 1)) conv=notrunc \
        status=none 2> /dev/null || true
    flock "$disk" blockdev --rereadpt "$disk"
done
rm -f /run/table-*
udevadm settle
"""


class Ground:
    """A guest with target disks and a bystander, booted anew after a scenario that spoiled it."""

    def __init__(self, boot: BootGuest, more: Sequence[LabDisk]) -> None:
        self._boot = boot
        self._lab = Lab(disks=(*TARGETS, *more, BYSTANDER), modules=MODULES)
        self._guest: Guest | None = None
        self._bystander = ""
        self._clean = False

    def play(self, scenario: Scenario, note: Callable[[dict[str, object]], None]) -> None:
        """Play one scenario to its end; `note` is told what it took."""
        guest = self.ready()
        self._clean = False
        if scenario.aside:
            self._run(scenario.aside, [BYSTANDER.name])
        before = guest.script(STATE).stdout
        self._leave(scenario)
        if scenario.refuses:
            self._refused(scenario)
            if scenario.remedy:
                self._run(scenario.remedy, scenario.on)
        machine = pn.probe(guest.host)
        wanted = pn.blank(machine, self._disks(machine, scenario.on))
        report = self._carry_out(wanted)
        note(
            {
                "actions": report.actions,
                "processes": report.processes,
                "seconds": report.seconds,
                "rounds": len(report.rounds),
            }
        )
        assert [each.problem for each in report.rounds] == [""] * scenario.rounds
        assert guest.script(STATE).stdout == before
        self._gone(scenario.on)
        self._nothing_to_do(wanted)
        self._nothing_comes_back(scenario, before)
        assert guest.hash_disk(BYSTANDER.name) == self._bystander
        if scenario.afterwards:
            self._run(scenario.afterwards, [BYSTANDER.name])
        self._clean = True

    def ready(self) -> Guest:
        """Give a guest that nothing is left in."""
        if self._guest is not None and not self._clean:
            self._guest.power_cut()
            self._guest = None
        if self._guest is None:
            self._guest = self._boot(self._lab)
            self._guest.dirty(residue.BYSTANDER, BYSTANDER.name)
            self._bystander = self._guest.hash_disk(BYSTANDER.name)
            self._clean = True
        return self._guest

    @property
    def guest(self) -> Guest:
        """The guest of the scenario that is being played."""
        assert self._guest is not None
        return self._guest

    def _run(self, script: str, disks: Sequence[str], timeout: float = 120.0) -> str:
        nodes = [self.guest.node(disk) for disk in disks]
        return self.guest.script(WORDS + script, *nodes, timeout=timeout).stdout

    def _leave(self, scenario: Scenario) -> None:
        self._run(scenario.script, scenario.on)
        keep = 'for disk; do [ -e "/run/table-${disk#/dev/}" ] || keep_table "$disk" 2> /dev/null || true; done'
        self._run(keep + "; udevadm settle", scenario.on)

    def _disks(self, machine: pn.Machine, names: Collection[str]) -> Sequence[Disk]:
        serials = {self.guest.disk(name).serial_shown for name in names}
        return list(machine.all_disks.where(matching=lambda disk: disk.serial in serials).exactly(len(names)))

    def _carry_out(self, wanted: pn.Wanted) -> pn.Report:
        machine = pn.probe(self.guest.host)
        plan = pn.schedule(machine, wanted)
        return pn.apply(plan, consent=plan.digest, host=self.guest.host)

    def _refused(self, scenario: Scenario) -> None:
        hashes = {name: self.guest.hash_disk(name) for name in scenario.on}
        state = self.guest.script(STATE).stdout
        machine = pn.probe(self.guest.host)
        wanted = pn.blank(machine, self._disks(machine, scenario.takes or scenario.on))
        with pytest.raises(pn.Refused) as caught:
            self._carry_out(wanted)
        said = str(caught.value)
        holder = self.guest.script("cat /run/holder 2> /dev/null || true").stdout.strip()
        names = {name: self.guest.kernel_name(name) for name in scenario.on}
        for words in scenario.refuses:
            assert words.format(holder=holder, **names) in said
        assert self.guest.script(STATE).stdout == state
        assert {name: self.guest.hash_disk(name) for name in scenario.on} == hashes

    def _gone(self, names: Sequence[str]) -> None:
        """Nothing is on these disks, as far as anybody can tell."""
        machine = pn.probe(self.guest.host)
        disks = self._disks(machine, names)
        there = {machine.graph[each].title for disk in disks for each in machine.graph.above(disk.id)}
        assert not there
        numbers = tuple(disk.device.number for disk in disks if disk.device)
        assert {each.verdict for each in self.guest.host.ask(SafeProbe(numbers=numbers)).devices} == {Verdict.BLANK}

    def _nothing_to_do(self, wanted: pn.Wanted) -> None:
        plan = pn.schedule(pn.probe(self.guest.host), wanted)
        assert (plan.actions, plan.objections) == ((), ())
        again = pn.apply(plan, consent=plan.digest, host=self.guest.host)
        assert (again.actions, again.processes) == (0, 0)

    def _nothing_comes_back(self, scenario: Scenario, before: str) -> None:
        if scenario.rewrite == "by us":
            self._make_partitions(scenario.on)
        self._run(COME_BACK, scenario.on)
        names = {self.guest.kernel_name(name) for name in scenario.on}
        nodes = self.guest.host.ask(ReadBlockNodes()).nodes
        parts = {node.number: node.name for node in nodes if node.parent in names}
        contents = self.guest.host.ask(SafeProbe(numbers=tuple(parts))).devices
        # Of an extended partition the kernel shows two sectors: the list that was just written into it.
        full = {parts[each.number]: each for each in contents if each.size > 1024 and each.verdict is not Verdict.BLANK}
        assert full == {}
        now = set(self.guest.script(STATE).stdout.splitlines()) - {
            f"/sys/class/block/{name}" for name in parts.values()
        }
        assert now - set(before.splitlines()) == set()
        self._run(TAKE_OFF, scenario.on)
        assert self.guest.script(STATE).stdout == before

    def _make_partitions(self, names: Sequence[str]) -> None:
        """Have the old partitions made by the product itself."""
        dumps = {name: self._run('cat "/run/table-${1#/dev/}"', [name]) for name in names}
        machine = pn.probe(self.guest.host)
        disks = self._disks(machine, names)
        draft = pn.Draft(machine, take=disks, named=disks)
        for disk in disks:
            (name,) = (each for each in names if self.guest.disk(each).serial_shown == disk.serial)
            table = draft.add(gpt.Table(), on=[disk])
            for number, start, size in places(dumps[name]):
                draft.add(gpt.Partition(number=number, start=start, size=size), on=[table])
        self._carry_out(draft.wanted())
        self._run('for disk; do keep_table "$disk"; done', names)


def places(dump: str) -> Sequence[tuple[int, int, pn.Exact]]:
    """Read what `sfdisk --dump` says of partitions: number, start and size."""
    found: list[tuple[int, int, pn.Exact]] = []
    for line in dump.splitlines():
        if " : start=" in line:
            words = line.replace(",", " ").replace("=", " ").split()
            start, size = (512 * int(words[words.index(each) + 1]) for each in ("start", "size"))
            found.append((len(found) + 1, start, pn.Exact(bytes=size)))
    return found
