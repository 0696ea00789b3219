"""What a look at a machine says of disks that it cannot reach."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

import pre_nixos as pn
from pre_nixos.flow.looking import look
from pre_nixos.host.questions import BlockNode, LookAround, Question, ReadFile, Surroundings, Text
from pre_nixos.model.layer import Unrecognised
from tests.unit.backends.canned import Canned

A = TypeVar("A")


class Machine(Canned):
    """One disk, and the little that a look asks besides."""

    def __init__(self, state: str) -> None:
        attributes = {"size": "2097152", "device/state": state, "device/transport": "tcp", "wwid": "uuid.1"}
        self.asked: list[str] = []
        super().__init__([BlockNode(name="nvme1n1", number="259:2", attributes=attributes, path="/x/nvme/nvme1n1")])

    def ask(self, question: Question[A]) -> A:
        asked: Any = question
        answer: Any
        match asked:
            case LookAround():
                answer = Surroundings(memory=1 << 30, architecture="x86_64", firmware="uefi", root=True)
            case ReadFile():
                answer = Text(error="missing")
            case _:
                self.asked += getattr(asked, "numbers", ())
                answer = super().ask(asked)
        return answer  # type: ignore[no-any-return]  # as each question declares


@pytest.mark.parametrize("state", ["connecting", "offline", "transport-offline", "without a path"])
def test_a_disk_out_of_reach_is_not_opened_and_nobody_says_that_it_is_blank(state: str) -> None:
    there = Machine(state)
    machine = look(there)
    assert there.asked == []
    (unknown,) = machine.graph.of(Unrecognised)
    assert unknown.immovable
    assert state in unknown.what
    plan = pn.schedule(machine, pn.blank(machine, list(machine.all_disks)))
    assert any(state in each.text for each in plan.objections)


@pytest.mark.parametrize("state", ["live", "running", ""])
def test_a_disk_in_reach_is(state: str) -> None:
    there = Machine(state)
    machine = look(there)
    assert there.asked == ["259:2"]
    assert machine.all_disks[0].device
    assert not machine.graph.of(Unrecognised)
