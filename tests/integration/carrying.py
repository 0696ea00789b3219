"""A layout that is carried out in a guest, and found to be so; or that is cut short."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.flow.outcome import StepEnded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.lab.guest import Guest


def carry_out(guest: Guest, wanted: pn.Wanted, secrets: Mapping[str, str] | None = None) -> pn.Report:
    """Do what nothing is objected to; then all of it is there, and a second plan is empty."""
    plan = pn.schedule(pn.probe(guest.host), wanted)
    assert not plan.objections
    report = pn.apply(plan, consent=plan.digest, host=guest.host, secrets=secrets or {})
    assert not pn.verify(wanted, guest.host)
    assert not pn.schedule(pn.probe(guest.host), wanted).actions
    return report


class Killed(BaseException):
    """What nothing catches."""


def stopped(guest: Guest, plan: pn.Plan, after: str, times: int, secrets: Mapping[str, str] = {}) -> None:
    """Carry out a plan, and be killed after so many steps of a kind."""
    steps = 0

    def die(event: pn.Event) -> None:
        nonlocal steps
        steps += isinstance(event, StepEnded) and event.step == after
        if steps == times:
            raise Killed

    with pytest.raises(Killed):
        pn.apply(plan, consent=plan.digest, host=guest.host, secrets=secrets, observer=die)
