"""A layout that is carried out in a guest, and found to be so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pre_nixos as pn

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
