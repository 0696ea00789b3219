"""A snapshot that ran full: the kernel answers for it with errors, for good, so there is nothing on it to lose."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import pytest

import pre_nixos as pn
from pre_nixos.backends import filesystems, lvm
from pre_nixos.flow.looking import look
from pre_nixos.host.questions import BlockNode, Command, Content, Question, Ran, Signature, Verdict
from pre_nixos.model.difference import shortcomings
from pre_nixos.model.layer import Disk, Unrecognised
from tests.unit.backends.canned import Canned, disk

A = TypeVar("A")
MIB = 1 << 20
ORIGIN, SNAPSHOT = "254:0", "254:1"
ROWS = {
    # As LVM 2.03.16 reported them.
    "data": {"lv_role": "public,origin,thickorigin", "lv_snapshot_invalid": "unknown", "origin": ""},
    "snap": {"lv_role": "public,snapshot,thicksnapshot", "lv_snapshot_invalid": "snapshot invalid", "origin": "data"},
}


def report(invalid: str) -> str:
    physical = {"pv_uuid": "p", "pv_major": "8", "pv_minor": "0", "pv_missing": ""}
    sizes = {"dev_size": 400, "pv_size": 396, "pe_start": 1, "pv_mda_count": 1, "pv_mda_size": 1}
    physical |= {field: str(count * MIB) for field, count in sizes.items()}
    volumes = [
        {"lv_uuid": name, "lv_name": name, "lv_size": str(80 * MIB)}
        | {"lv_health_status": "", "pool_lv": "", "sync_percent": ""}
        | row
        for name, row in ROWS.items()
    ]
    volumes[1]["lv_snapshot_invalid"] = invalid
    segments = [{"lv_uuid": name, "segtype": "linear", "stripes": "1", "data_stripes": "1"} for name in ROWS]
    group = {"vg_name": "main", "vg_uuid": "g", "vg_extent_size": str(4 * MIB), "vg_exported": ""}
    return json.dumps({"report": [{"vg": [group], "pv": [physical], "lv": volumes, "seg": segments}]})


class Machine(Canned):
    """A disk with a group of a volume and a snapshot of it, which cannot be read."""

    def __init__(self, invalid: str) -> None:
        self.report = report(invalid)
        names = {"dm-0": (ORIGIN, "data"), "dm-1": (SNAPSHOT, "snap")}
        mapped = [
            BlockNode(
                name=name,
                number=number,
                attributes={"size": "163840", "dm/name": f"main-{volume}", "dm/uuid": f"LVM-g{volume}"},
                path=f"/sys/devices/virtual/block/{name}",
                slaves=("sda",),
            )
            for name, (number, volume) in names.items()
        ]
        super().__init__(
            [disk("sda", "8:0", 400 * MIB), *mapped],
            signatures={"8:0": [Signature(type="LVM2_member", uuid="p")]},
        )

    def ask(self, question: Question[A]) -> A:
        asked: Any = question
        if isinstance(asked, Command) and asked.argv[0] == "lvm":
            return Ran(status=0, stdout=self.report)  # type: ignore[return-value]  # as the question declares
        return super().ask(question)

    def _content(self, number: str) -> Content:
        if number == SNAPSHOT:
            return Content(number=number, verdict=Verdict.UNREADABLE, error="Input/output error")
        return super()._content(number)


def wanted(machine: pn.Machine, *names: str, content: bool = False) -> pn.Wanted:
    draft = pn.Draft(machine, take=machine.all_disks)
    group = draft.add(lvm.Group(name="main"), on=list(machine.all_disks))
    for name in names:
        origin = "data" if name == "snap" else None
        on = draft.add(lvm.Volume(name=name, size="80MiB", origin=origin), on=[group])
        if content and origin:
            draft.add(filesystems.Filesystem(type="ext4"), on=[on])
    return draft.wanted()


def test_it_is_taken_out_like_any_other() -> None:
    machine = look(Machine("snapshot invalid"))
    assert not machine.graph.of(Unrecognised)
    plan = pn.schedule(machine, wanted(machine, "data"))
    assert not plan.objections
    assert [each.summary for each in plan.actions] == ["remove snap in volume group main"]
    assert "lvm.group:main/snap" in {each.id for lost in plan.losses().values() for each in lost}


def test_its_disk_can_be_wiped() -> None:
    machine = look(Machine("snapshot invalid"))
    plan = pn.schedule(machine, pn.blank(machine, machine.graph.of(Disk)))
    assert not plan.objections


@pytest.mark.parametrize("said", ["", "unknown"])
def test_what_cannot_be_read_for_another_reason_stays(said: str) -> None:
    machine = look(Machine(said))
    plan = pn.schedule(machine, wanted(machine, "data"))
    assert any("its content cannot be told" in str(each) for each in plan.objections)


def test_nothing_is_made_on_it() -> None:
    machine = look(Machine("snapshot invalid"))
    asked = wanted(machine, "data", "snap", content=True)
    (objection,) = pn.schedule(machine, asked).objections
    assert objection.text == "Volume main/snap is a snapshot that ran full: nothing can be made on it."


def test_one_that_is_wanted_is_not_as_wanted() -> None:
    machine = look(Machine("snapshot invalid"))
    (short,) = shortcomings(machine.graph, wanted(machine, "data", "snap"))
    assert "it ran full" in str(short)
