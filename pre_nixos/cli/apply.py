"""`pre-nixos apply`: asks, does it, and says how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.cli.complaint import Complaint, Usage
from pre_nixos.cli.consented import add_consent, add_jobs, check, with_consent
from pre_nixos.cli.engine import NATIVE, add_engine, with_engine
from pre_nixos.cli.policy import add_choice, add_replace, replacing, wanted_by
from pre_nixos.cli.source import PLANNED, read_plan
from pre_nixos.cli.standing import Standing, add_status_directory

if TYPE_CHECKING:
    import argparse

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan

NEEDS_POLICY = True


def declare(parser: Parser) -> None:
    """Say what may stand behind `apply`."""
    add_choice(parser)
    add_replace(parser)
    add_engine(parser)
    parser.add_argument("--plan", metavar="FILE", help="carry out this saved plan, if it is still the right one")
    add_consent(parser)
    add_jobs(parser)
    add_status_directory(parser, "keep the status in this directory; where there is one already, it is kept anyway")


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Carry out a plan."""
    if arguments.yes and arguments.plan:
        raise Usage("--yes agrees to a plan made now, not to one from a file; give --consent and its digest.")
    if arguments.plan and (arguments.layout or arguments.root or arguments.replace or arguments.engine != NATIVE):
        raise Usage(
            "A saved plan says itself what is wanted and who makes it; "
            "leave --layout, --root, --replace and --engine out."
        )
    check(arguments)
    saved = read_plan(arguments.plan, session) if arguments.plan else None
    standing = Standing(session, arguments.status_dir)
    return with_consent(
        arguments,
        session,
        lambda machine: _plan(machine, saved, arguments, session),
        instead=PLANNED,
        standing=standing,
    )


def _plan(machine: Machine, saved: Plan | None, arguments: argparse.Namespace, session: Session) -> Plan:
    from pre_nixos.flow.schedule import schedule

    if saved is None:
        wanted = with_engine(arguments, wanted_by(arguments, machine, session), machine, session)
        wanted = replacing(arguments, wanted, machine)
        return schedule(machine, wanted, registry=session.registry)
    try:
        fresh = schedule(machine, saved.wanted, registry=session.registry)
    except Exception as error:
        raise Complaint(
            f"{arguments.plan}: this plan does not hang together ({error}). Was it edited? Nothing was changed.",
            advice="Write it again, with `pre-nixos plan --output json`.",
        ) from error
    if (fresh.actions, fresh.fingerprint, fresh.digest) == (saved.actions, saved.fingerprint, saved.digest):
        return fresh
    if fresh.fingerprint != saved.fingerprint:
        what = "was made for another state of this machine: what stands on its disks has changed since"
    else:
        what = "is not the plan that leads from its machine to its wishes: it was edited, or another version made it"
    raise Complaint(
        f"{arguments.plan}: this plan {what}. Nothing was changed.",
        advice="Make it again, with `pre-nixos plan --output json`, and look at it again.",
    )
