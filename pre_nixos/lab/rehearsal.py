"""Rehearsals: the whole job on a twin of a machine, with real tools and a real kernel, before it is done for real."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from pre_nixos.flow.apply import apply
from pre_nixos.flow.outcome import Failed, Noted, Refused
from pre_nixos.flow.probe import probe
from pre_nixos.flow.propose import propose
from pre_nixos.flow.schedule import schedule
from pre_nixos.flow.secrets import made_up
from pre_nixos.flow.verify import verify
from pre_nixos.hooks.registry import installed
from pre_nixos.lab.description import LabError
from pre_nixos.lab.twin import Twin
from pre_nixos.lab.uml import boot
from pre_nixos.layouts.wanted import disks_of_layout, read_layout
from pre_nixos.model.data import Data
from pre_nixos.model.difference import Shortcoming
from pre_nixos.model.draft import InvalidLayout
from pre_nixos.model.layer import Disk
from pre_nixos.model.machine import Machine
from pre_nixos.model.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pre_nixos.flow.outcome import Event
    from pre_nixos.hooks.registry import Registry
    from pre_nixos.lab.guest import Guest
    from pre_nixos.model.draft import Wanted

ARTEFACTS = "artefacts/rehearsal"
KEEP_SPARSE = "echo 0 > /proc/sys/dev/raid/speed_limit_min; echo 1000 > /proc/sys/dev/raid/speed_limit_max"
"""A new array is synced over its whole length, which would fill the sparse images of the twin."""


class Rehearsal(Data):
    """What a rehearsal showed."""

    before: Machine
    """The twin before it all."""
    left_out: tuple[str, ...]
    """What stands on the machine and could not be made on its twin."""
    plan: Plan
    after: Machine
    shortcomings: tuple[Shortcoming, ...]
    again: Plan
    """What a second run would do: nothing, if all is well."""
    seconds: float
    processes: int

    @property
    def convinced(self) -> bool:
        """Whether everything went as it should."""
        return not self.shortcomings and not self.again.actions


class LayoutFile(Data):
    """A layout, and which disk each name in it means."""

    path: str
    disks: dict[str, tuple[str, ...]] = {}
    allow_hooks: bool = False
    """Whether the scripts in it are wanted too. They run on the twin, and nowhere else."""

    def disks_on(self, machine: Machine, registry: Registry) -> Mapping[str, Sequence[Disk]]:
        """Find the disks of a machine it means."""
        return disks_of_layout(machine, self.path, disks=self.disks, allow_hooks=self.allow_hooks, registry=registry)


def rehearse(
    machine: Machine,
    policy: str,
    options: Mapping[str, object] = {},
    observer: Callable[[Event], None] = lambda _: None,
    *,
    layout: LayoutFile | None = None,
    shown: Callable[[Machine, Plan], None] = lambda _machine, _plan: None,
    registry: Registry | None = None,
    artefacts: str = ARTEFACTS,
) -> Rehearsal:
    """Do on a twin of this machine what the policy wants. `shown` is called with the twin and the plan before it runs.

    With a `layout`, that is asked instead of a policy.
    Raises what propose, read_layout and apply raise, and LabError if the lab itself has trouble. What speaks against it
    on the machine itself is refused before there is a twin, which has not all that could be in the way.
    """
    registry = registry or installed()

    def wanted_on(there: Machine, disks: Mapping[str, Sequence[str]], options: Mapping[str, object]) -> Wanted:
        if layout is None:
            return propose(there, policy, options, registry=registry)
        return read_layout(there, layout.path, disks=disks, allow_hooks=layout.allow_hooks, registry=registry)

    asked = wanted_on(machine, layout.disks if layout else {}, options)
    if objections := schedule(machine, asked, registry=registry).objections:
        raise Refused(str(each) for each in objections)
    meant = layout.disks_on(machine, registry) if layout else dict[str, Sequence[Disk]]()
    taken = [each for several in meant.values() for each in several if not machine.may_take(each)]
    twin = Twin(machine, [*machine.disks, *_named(machine, options), *taken])
    observer(Noted(text="Booting the twin."))
    with boot(twin.lab(), artefacts=os.path.abspath(artefacts)) as guest:
        guest.script(KEEP_SPARSE)
        observer(Noted(text="Making on the twin what stands on the machine."))
        left_out = make_as_before(guest, twin, registry)
        before = _posing(probe(guest.host, registry=registry), machine)
        twins = {name: [twin.serials[each.id] for each in several] for name, several in meant.items()}
        wanted = wanted_on(before, twins, twin_options(twin, options))
        plan = schedule(before, wanted, registry=registry)
        shown(before, plan)
        report = apply(
            plan,
            consent=plan.digest,
            host=guest.host,
            observer=observer,
            secrets=made_up(plan),
            registry=registry,
        )
        after = _posing(probe(guest.host, registry=registry), machine)
        return Rehearsal(
            before=before,
            left_out=tuple(left_out),
            plan=plan,
            after=after,
            shortcomings=tuple(verify(wanted, guest.host, registry=registry)),
            again=schedule(after, wanted, registry=registry),
            seconds=report.seconds,
            processes=report.processes,
        )


def make_as_before(guest: Guest, twin: Twin, registry: Registry) -> Sequence[str]:
    """Make what stands on the machine on its twin; say what could not be made."""
    blank = probe(guest.host, registry=registry)
    try:
        wanted, left_out = twin.as_before(blank, registry)
        plan = schedule(blank, wanted, registry=registry)
        apply(plan, consent=plan.digest, host=guest.host, secrets=made_up(plan), registry=registry)
    except (InvalidLayout, Refused, Failed) as error:
        # This is about the twin, not about what is to be rehearsed on it.
        raise LabError(f"what stands on the machine could not be made on its twin: {error}") from error
    return left_out


def twin_options(twin: Twin, options: Mapping[str, object]) -> Mapping[str, object]:
    """Translate the names of disks among a policy's options into those of their twins."""
    names = options.get("disks")
    if not isinstance(names, list | tuple):
        return options
    by_name = {name: twin.serials[disk.id] for disk in twin.disks for name in names_of(disk)}
    return {**options, "disks": [by_name.get(str(name), str(name)) for name in names]}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - a list of anything


def names_of(disk: Disk) -> Sequence[str]:
    """Give everything a person may call a disk."""
    device = disk.device
    return [each for each in (disk.id, disk.serial, disk.wwn, *(device.links if device else ())) if each]


def _named(machine: Machine, options: Mapping[str, object]) -> Sequence[Disk]:
    names = options.get("disks")
    if not isinstance(names, list | tuple):
        return []
    asked = {str(each) for each in names}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - a list of anything
    return [each for each in machine.all_disks if not machine.may_take(each) and asked.intersection(names_of(each))]


def _posing(twin: Machine, machine: Machine) -> Machine:
    """Give the twin the memory and firmware of the machine it stands for."""
    return msgspec.structs.replace(
        twin, memory=machine.memory, firmware=machine.firmware, architecture=machine.architecture
    )
