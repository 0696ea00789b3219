"""How things can end: `Refused`, `Failed`, or a `Report`; and the events on the way there."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from pre_nixos.model.action import Verb
from pre_nixos.model.data import Data
from pre_nixos.model.difference import Shortcoming
from pre_nixos.model.graph import DeviceGraph
from pre_nixos.model.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterable


class Refused(Exception):
    """Nothing was written; `reasons` says why, and what to do."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("\n".join(self.reasons))


class Failed(Exception):
    """Something may have been written; `report` says what, in which state things are now, and what to do."""

    def __init__(self, report: Report) -> None:
        self.report = report
        super().__init__(report.problem)


class Done(Data):
    """An action that ran to its end."""

    action: str
    summary: str
    seconds: float
    processes: int


class Round(Data):
    """One plan that was carried out, as far as it went."""

    plan: Plan
    done: tuple[Done, ...] = ()
    failed: str = ""
    """The id of the action that failed; empty if none did."""
    problem: str = ""
    """What it said."""


class Report(Data):
    """What was done to a machine. The first round is what was consented to; others are what looking again led to."""

    digest: str
    rounds: tuple[Round, ...] = ()
    before: DeviceGraph
    after: DeviceGraph
    shortcomings: tuple[Shortcoming, ...] = ()
    problem: str = ""
    """Empty if all is as wanted."""
    advice: str = ""
    remarks: tuple[str, ...] = ()
    diagnostics: str = ""
    """The directory, on that machine, with what it answered before and after a failure; empty if there is none."""
    seconds: float = 0.0
    processes: int = 0

    @property
    def actions(self) -> int:
        """How many actions ran to their end."""
        return sum(len(each.done) for each in self.rounds)


class Looking(Data, tag="looking", tag_field="event"):
    """The machine is being looked at, again from the second round on."""

    round: int


class Planned(Data, tag="planned", tag_field="event"):
    """There is a plan for this round."""

    round: int
    actions: int


class ActionBegan(Data, tag="action-began", tag_field="event"):
    """An action begins."""

    action: str
    verb: Verb
    summary: str
    position: int
    of: int
    touches: tuple[str, ...] = ()
    """Ids of the disks it may write to."""


class StepEnded(Data, tag="step-ended", tag_field="event"):
    """A step of it is over."""

    action: str
    step: str
    ok: bool
    detail: str = ""
    seconds: float = 0.0
    processes: int = 0


class Said(Data, tag="said", tag_field="event"):
    """A line of what a loud program says while it runs."""

    action: str
    text: str


class ActionEnded(Data, tag="action-ended", tag_field="event"):
    """An action is over."""

    action: str
    ok: bool
    seconds: float
    problem: str = ""


class Noted(Data, tag="noted", tag_field="event"):
    """Something worth knowing that stops nothing."""

    text: str


Event: TypeAlias = Looking | Planned | ActionBegan | Said | StepEnded | ActionEnded | Noted
