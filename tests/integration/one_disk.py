"""One disk of a guest, spoken to by steps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pre_nixos.model.step import MIB, Node, TableEntry, WriteTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.host.api import Deed, Outcome
    from pre_nixos.lab.guest import Guest
    from pre_nixos.model.step import Step

ROOT = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
DISK, PART = Node(layer="disk"), Node(layer="disk/1")


class Machine:
    """One disk of the guest, spoken to by steps."""

    def __init__(self, guest: Guest, disk: str) -> None:
        self.guest = guest
        self.name = guest.kernel_name(disk)
        self.node = guest.node(disk)

    def number(self, name: str) -> str:
        return self.guest.run(["cat", f"/sys/class/block/{name}/dev"]).stdout.strip()

    def part(self, number: int) -> str:
        return f"{self.name}{number}"

    def do(self, work: Step | Deed, secrets: Mapping[str, str] | None = None, /, **named: str) -> Outcome:
        """Do something; the disk and the first partition are known, others come by name."""
        names = {"disk": self.name, "disk/1": self.part(1), **named}
        there = self.guest.run(["ls", "/sys/class/block"]).stdout.split()
        places = {layer: self.number(name) for layer, name in names.items() if name in there}
        return self.guest.host.do(work, places, secrets or {})

    def done(self, work: Step | Deed, secrets: Mapping[str, str] | None = None, /, **named: str) -> Outcome:
        outcome = self.do(work, secrets, **named)
        assert outcome.ok, outcome
        return outcome

    def refused(self, work: Step | Deed, because: str, **named: str) -> None:
        outcome = self.do(work, **named)
        assert (outcome.ok, outcome.refused, outcome.wrote) == (False, True, False), outcome
        assert because in outcome.detail, outcome

    def table(self) -> dict[int, dict[str, object]]:
        """What sfdisk reads, by number."""
        listed = json.loads(self.guest.run(["sfdisk", "--json", self.node]).stdout)["partitiontable"]
        assert listed["label"] == "gpt"
        assert "No errors detected" in self.guest.run(["sfdisk", "--verify", self.node]).stdout
        return {int(part["node"].removeprefix(self.node)): part for part in listed.get("partitions", [])}

    def in_kernel(self) -> dict[int, tuple[int, int]]:
        """What the kernel has, in bytes, by number."""
        each = "[ ! -d $p ] || cat $p/partition $p/start $p/size"
        script = f"cd /sys/class/block/{self.name}; for p in {self.name}*; do {each}; done"
        values = [int(value) for value in self.guest.script(script).stdout.split()]
        return {values[i]: (values[i + 1] * 512, values[i + 2] * 512) for i in range(0, len(values), 3)}


def wish(number: int, start: int, length: int, kind: str = ROOT, **more: object) -> TableEntry:
    return TableEntry(number=number, start=start * MIB, length=length * MIB, type=kind, **more)  # type: ignore[arg-type] # columns of a table


def table(*entries: TableEntry) -> WriteTable:
    return WriteTable(target=DISK, entries=entries)


def spans(*entries: TableEntry) -> dict[int, tuple[int, int]]:
    return {entry.number: (entry.start, entry.length) for entry in entries}
