"""Using what is there, and ending that, from the command line: nobody is asked, because nothing can be lost.

Unless there are scripts in it: these are shown and agreed to as they are everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.cli.complaint import Complaint
from pre_nixos.cli.consented import add_consent, carry_out, check, consent_to, require_turn
from pre_nixos.cli.plan import put_plan, show_plan, status_of
from pre_nixos.cli.policy import add_choice, at_root, wanted_by
from pre_nixos.cli.source import look, read_plan, require_root

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session
    from pre_nixos.model.difference import Verdict
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan


def declare_use(parser: Parser) -> None:
    """Say what may stand behind `mount` and `unmount`."""
    add_choice(parser)
    parser.add_argument("--plan", metavar="FILE", help="take what should be there from this saved plan")
    parser.add_argument("--check", action="store_true", help="only show what would be done; exit with 3 if anything")
    add_consent(parser)


def use(arguments: argparse.Namespace, session: Session, *, end: bool = False) -> int:
    """Bring into use what is wanted, or end that, and change nothing else."""
    from pre_nixos.model.difference import Fate
    from pre_nixos.render.words import kernel_names

    check(arguments)
    wanted = at_root(arguments, read_plan(arguments.plan, session).wanted) if arguments.plan else None
    require_root(session, "mount and unmount")
    require_turn(session)
    machine = look(session)
    plan = _plan(machine, wanted or wanted_by(arguments, machine, session), session, end=end)
    names = kernel_names(machine.graph)
    if arguments.check:
        left = [each for each in plan.reasons.values() if each.fate is Fate.LEFT]
        if arguments.json:
            put_plan(plan, session)
            return 1 if left else status_of(plan, check=True)
        if plan.actions or not left:  # with something left, it is not as wanted, even if there is nothing to do
            show_plan(plan, session.out, names, steps=True)
        _show_left(left, plan, machine, session)
        return 1 if left else status_of(plan, check=True)
    if plan.objections:
        raise Complaint(*(str(each) for each in plan.objections), advice="Nothing was done.")
    consent = consent_to(plan, arguments, session, names) if plan.wanted.scripts else plan.digest
    return carry_out(plan, consent, arguments, session, machine)


def _show_left(left: Sequence[Verdict], plan: Plan, machine: Machine, session: Session) -> None:
    """Say what is not there, or not what is wanted, and what would not be brought into use therefore."""
    from pre_nixos.cli.verify import show_shortcomings
    from pre_nixos.model.difference import Shortcoming

    if left:
        session.out.say("Left as it is, for `apply`:")
    found = [Shortcoming(layer=each.layer, text=f"because {each.why}") for each in left]
    show_shortcomings(found, session.out, plan.wanted.graph, machine.graph)


def _plan(machine: Machine, wanted: Wanted, session: Session, *, end: bool) -> Plan:
    from pre_nixos.flow.restraint import released
    from pre_nixos.flow.schedule import schedule
    from pre_nixos.model.action import Verb

    if end:
        wanted = released(wanted, registry=session.registry)
    return schedule(machine, wanted, only={Verb.DEACTIVATE if end else Verb.ACTIVATE}, registry=session.registry)
