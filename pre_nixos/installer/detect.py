"""Is there storage with anything on it? Blank is proven, and what cannot be read is never called blank."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pre_nixos.host.questions import Verdict
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from pre_nixos.hooks.registry import Registry
    from pre_nixos.host.api import Reader
    from pre_nixos.host.survey import Survey
    from pre_nixos.model.layer import Disk
    from pre_nixos.model.machine import Machine

FULL = frozenset({Verdict.KNOWN, Verdict.DATA, Verdict.AMBIGUOUS})
"""Verdicts that say that something is on a device."""


class Found(StrEnum):
    """What is on a disk, or on all of them together."""

    BLANK = "blank"
    """Every disk was read, and nothing is on any."""
    OCCUPIED = "occupied"
    """Something is on one of them at least."""
    UNDETERMINED = "undetermined"
    """Nothing was found, and not everything could be read."""
    NONE = "none"
    """There is no disk at all; a driver may be missing."""

    @property
    def exit_status(self) -> int:
        """What `pre-nixos-detect-storage` exits with; 0 is blank, proven, and nothing else is."""
        return {Found.BLANK: 0, Found.OCCUPIED: 3, Found.UNDETERMINED: 4, Found.NONE: 5}[self]


class OneDisk(Data):
    """What is on one disk."""

    disk: str
    """Its id."""
    name: str
    """What the kernel calls it now."""
    found: Found
    what: str = ""


class Storage(Data):
    """What is on a machine's disks, but for the one it runs from."""

    found: Found
    disks: tuple[OneDisk, ...] = ()
    remarks: tuple[str, ...] = ()

    def in_words(self) -> str:
        """Say it in a sentence."""
        told = [f"{each.name}: {each.what}" for each in self.disks if each.found is self.found and each.what]
        begin = {
            Found.BLANK: f"{len(self.disks)} disks, and nothing on any of them"
            if len(self.disks) != 1
            else "one disk, and nothing on it",
            Found.OCCUPIED: "there is something on disks",
            Found.UNDETERMINED: "it cannot be told whether anything is on the disks",
            Found.NONE: "there is no disk",
        }[self.found]
        return f"{begin}{': ' if told else ''}{'; '.join(told)}"


def detect_storage(reader: Reader, *, registry: Registry | None = None) -> Storage:
    """Look at a machine; whatever goes wrong while looking leaves it undetermined."""
    from pre_nixos.flow.probe import probe
    from pre_nixos.hooks.registry import PluginError
    from pre_nixos.host.questions import LookAround
    from pre_nixos.host.survey import Memo, survey

    if not reader.ask(LookAround()).root:
        return Storage(found=Found.UNDETERMINED, remarks=("Only root can read what is on disks.",))
    memo = Memo(reader)
    try:
        machine = probe(memo, registry=registry)
        return judged(machine, survey(memo))
    except (PluginError, ValueError, OSError) as error:
        return Storage(found=Found.UNDETERMINED, remarks=(f"Looking at this machine failed: {error}",))


def judged(machine: Machine, seen: Survey) -> Storage:
    """Say what is on the disks of a machine that was looked at; of all of them but the boot medium."""
    from pre_nixos.model.layer import Disk

    medium = machine.boot_medium
    told = tuple(_one(each, machine, seen) for each in machine.graph.of(Disk) if each.id not in medium.disks)
    remarks = list(machine.remarks)
    found = _altogether({each.found for each in told})
    if not medium.determined:
        remarks.append(f"It could not be determined what this system runs from: {medium.how}.")
        found = Found.UNDETERMINED if found is Found.BLANK else found
    return Storage(found=found, disks=told, remarks=tuple(remarks))


def _altogether(found: set[Found]) -> Found:
    for each in (Found.OCCUPIED, Found.UNDETERMINED, Found.BLANK):
        if each in found:
            return each
    return Found.NONE


def _one(disk: Disk, machine: Machine, seen: Survey) -> OneDisk:
    from pre_nixos.model.layer import Unrecognised

    graph = machine.graph
    name = disk.device.name if disk.device else disk.title
    standing = [graph[each] for each in graph.above(disk.id)]
    contents = {each.device.number: seen.contents.get(each.device.number) for each in (disk, *standing) if each.device}
    verdicts = {each.verdict if each is not None else None for each in contents.values()}
    # What a probe says of content nobody could tell is a layer too, and is no evidence of anything being there.
    real = [each for each in standing if not (isinstance(each, Unrecognised) and each.immovable and not each.device)]
    if real or verdicts & FULL:
        what = ", ".join(dict.fromkeys(each.title for each in real[:4])) or "bytes that nobody claims"
        return OneDisk(disk=disk.id, name=name, found=Found.OCCUPIED, what=what)
    if verdicts == {Verdict.BLANK} and not standing:
        return OneDisk(disk=disk.id, name=name, found=Found.BLANK)
    reasons = [each.error or each.verdict for each in contents.values() if each and each.verdict not in FULL]
    what = ", ".join(dict.fromkeys([*(each.what for each in standing if isinstance(each, Unrecognised)), *reasons]))
    return OneDisk(disk=disk.id, name=name, found=Found.UNDETERMINED, what=what or "it was not read")
