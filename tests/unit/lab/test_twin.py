"""Twins of machines: which disk is which, and what is not even begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from pre_nixos.flow.outcome import Refused
from pre_nixos.lab import rehearsal
from pre_nixos.lab.scsi import world_wide_name
from pre_nixos.lab.twin import Twin
from pre_nixos.model.identity import Found
from pre_nixos.model.layer import Disk, State
from tests.unit.flow.test_schedule import TOYS, old_stack
from tests.unit.toys import Pool, Stuff, disk, machine

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.mark.parametrize(
    "serials",
    [
        ["S5H2NS0N123234G", "S5H2NS0N123234H"],
        ["SAME", "SAME", "SAME"],
        ["", "", ""],
        ["A REALLY LONG SERIAL NUMBER 1", "A REALLY LONG SERIAL NUMBER 2"],
        ["TWIN0001", "", "TWIN0001", "0001"],
    ],
)
def test_twins_of_disks_can_be_told_apart(serials: Sequence[str]) -> None:
    there = machine(*(Found(disk(letter, serial=each)) for letter, each in zip("abcd", serials, strict=False)))
    twin = Twin(there, there.graph.of(Disk))
    assert len(twin.serials) == len(serials)
    assert len({world_wide_name(each) for each in twin.serials.values()}) == len(serials)
    assert all(0 < len(each) <= 16 for each in twin.serials.values())


def test_a_twin_has_the_serial_of_its_disk_where_it_can() -> None:
    there = machine(Found(disk("a")), Found(disk("b")))
    assert list(Twin(there, there.graph.of(Disk)).serials.values()) == ["SERIALA", "SERIALB"]


def test_what_is_refused_on_the_machine_is_not_rehearsed(monkeypatch: pytest.MonkeyPatch) -> None:
    def boot(*_: object, **__: object) -> NoReturn:
        raise AssertionError("nothing is to be booted")

    monkeypatch.setattr(rehearsal, "boot", boot)
    there = machine(Found(disk("a")), *old_stack())
    with pytest.raises(Refused, match="cursed"):
        rehearsal.rehearse(there, "pool", {"name": "cursed"}, registry=TOYS)


def test_of_two_contents_on_one_device_one_is_made() -> None:
    found = [
        Found(disk("a")),
        Found(Pool(name="p", uuid="u", state=State.INACTIVE), on=["8:0"]),
        Found(Stuff(state=State.INACTIVE), on=["8:0"]),
    ]
    there = machine(*found)
    twin = Twin(there, there.disks)
    made, left_out = twin.as_before(machine(Found(disk("z", serial=next(iter(twin.serials.values()))))), TOYS)
    assert (len(made.graph.of(Pool)), len(made.graph.of(Stuff)), len(left_out)) in {(1, 0, 1), (0, 1, 1)}
