"""Carrying out a plan from the command line: show it, get consent, do it, and say how it ended."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import TYPE_CHECKING

from pre_nixos.cli.asking import secrets_for
from pre_nixos.cli.complaint import Complaint, Outcome, Usage
from pre_nixos.cli.source import look, require_root
from pre_nixos.flow.diagnostics import PLACE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.runlog import RunLog
    from pre_nixos.cli.screen import Screen
    from pre_nixos.cli.session import Session
    from pre_nixos.cli.standing import Standing
    from pre_nixos.flow.outcome import Event, Report
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan

YES = "yes"


def add_consent(parser: Parser) -> None:
    """Add the options by which one agrees, and those that say where the outcome is kept."""
    parser.add_argument("--consent", metavar="DIGEST", help="agree to the plan with this digest, as it was shown")
    parser.add_argument("--yes", action="store_true", help="agree to whatever the plan made now will be")
    add_keeping(parser)


def add_jobs(parser: Parser) -> None:
    """Add the option that says how many disks are worked on at a time."""
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=_at_least_one,
        default=1,
        help="erase, or give tables to, so many disks at the most at a time (default: 1); programs run one at a time",
    )


def _at_least_one(said: str) -> int:
    if not said.isdecimal() or int(said) < 1:
        raise argparse.ArgumentTypeError(f"{said!r} is no number from 1 on")
    return int(said)


def add_keeping(parser: Parser) -> None:
    """Add the options that say where the outcome is kept."""
    parser.add_argument("--report", metavar="FILE", help="write down in JSON what was done")
    parser.add_argument("--log", metavar="FILE", help="append every event to this file, too, a JSON line each")
    parser.add_argument(
        "--log-dir",
        metavar="DIR",
        help=f"where events, plan and report are kept in any case (default: {PLACE}, of the machine this runs on)",
    )


def check(arguments: argparse.Namespace) -> None:
    """Refuse what cannot be meant, and files that could not be written, before anything is looked at."""
    if arguments.yes and arguments.consent:
        raise Usage("Either --yes or --consent, not both.")
    check_keeping(arguments)


def check_keeping(arguments: argparse.Namespace) -> None:
    """Refuse files that could not be written."""
    from pre_nixos.cli.files import check_writable

    for path in filter(None, (arguments.report, arguments.log)):
        check_writable(path)


def with_consent(
    arguments: argparse.Namespace,
    session: Session,
    plan_for: Callable[[Machine], Plan],
    *,
    whole: str = "pre-nixos plan",
    instead: str = "",
    standing: Standing | None = None,
) -> int:
    """Look at the machine, show the plan for it, and carry it out once somebody agreed.

    `whole` is the command that shows all of a plan that cannot be carried out, `instead` what can be done by who is not
    root.
    """
    from pre_nixos.render.words import kernel_names

    require_root(session, "change disks", instead=instead)
    require_turn(session)
    machine = look(session)
    plan = plan_for(machine)
    names = kernel_names(machine.graph)
    if plan.objections:
        raise Complaint(
            *(str(each) for each in plan.objections),
            advice=f"Nothing was changed. `{whole}` shows the whole plan that this speaks against.",
        )
    consent = consent_to(plan, arguments, session, names)
    return carry_out(plan, consent, arguments, session, machine, standing=standing)


def consent_to(plan: Plan, arguments: argparse.Namespace, session: Session, names: Mapping[str, str]) -> str:
    """Show a plan, if there is anything to do, and give the digest once somebody agreed to it."""
    from pre_nixos.cli.plan import show_plan
    from pre_nixos.render.plan import is_done

    if is_done(plan):
        return plan.digest
    if not arguments.consent:
        show_plan(plan, session.err, names)
    return _consent(plan, arguments, session, names)


def require_turn(session: Session) -> None:
    """Refuse at once if another apply runs, instead of after the questions."""
    from pre_nixos.flow.apply import LOCK
    from pre_nixos.host.api import DropLock, TakeLock

    taken = session.host.do(TakeLock(path=LOCK, holder="apply"), {}, {})
    if not taken.ok:
        raise Complaint(f"{taken.detail}.", advice="Wait until it is over, and look at the machine again.")
    session.host.do(DropLock(), {}, {})


def _consent(plan: Plan, arguments: argparse.Namespace, session: Session, names: Mapping[str, str]) -> str:
    """Get the consent: from the command line, or from the person who is there."""
    if arguments.consent:
        return str(arguments.consent)
    if arguments.yes:
        return plan.digest
    if not session.can_ask:
        raise Complaint(
            "Nobody is here to be asked, and nobody agreed beforehand. Nothing was changed.",
            advice=f"Look at the plan above. To agree to it: --consent {plan.digest}; "
            "to agree to whatever the plan will be: --yes.",
        )
    _ask(plan, session, names)
    return plan.digest


def _ask(plan: Plan, session: Session, names: Mapping[str, str]) -> None:
    from pre_nixos.render.plan import loses_content
    from pre_nixos.render.text import Style
    from pre_nixos.render.words import full_name

    losers = loses_content(plan)
    session.err.show([()])
    if losers:
        session.err.say("What is listed under `What is lost` will be gone for good from:", Style.BAD)
        for disk in losers:
            session.err.say(f"  {full_name(disk, names)}", Style.BAD)
    elif plan.wanted.scripts:
        session.err.say("Nothing is lost by this, unless by what its scripts do.", Style.CAUTION)
    else:
        session.err.say("Nothing is lost by this.")
    session.err.write(f"Type {YES} to go on: ")
    if session.answer() != YES:
        raise Complaint("That was not a yes. Nothing was changed.")


def carry_out(
    plan: Plan,
    consent: str,
    arguments: argparse.Namespace,
    session: Session,
    machine: Machine,
    *,
    standing: Standing | None = None,
    last: bool = True,
) -> int:
    """Carry out a plan that was agreed to, on a machine just looked at; say how it ended, and keep what is kept.

    A good end is told only of the `last` one, if several are carried out in a row.
    """
    from pre_nixos.cli.runlog import RunLog
    from pre_nixos.flow.apply import as_it_is
    from pre_nixos.render.words import kernel_names

    names = kernel_names(machine.graph)
    places = (arguments.log_dir, arguments.log)
    with RunLog(plan, session, arguments.command, *places, names=names, standing=standing) as log:
        report = as_it_is(plan, machine, session.host) or _done(plan, consent, arguments, session, names, log)
        log.ended("done", report=report)
    if not last:
        return 0
    _keep(report, arguments, session)
    if not arguments.json:
        _tell(report, plan, session)
    return 0


def _done(
    plan: Plan,
    consent: str,
    arguments: argparse.Namespace,
    session: Session,
    names: Mapping[str, str],
    log: RunLog,
) -> Report:
    from pre_nixos.flow.outcome import Failed, Refused
    from pre_nixos.hooks.registry import PluginError

    # Before the progress is shown, which would be drawn over the question.
    try:
        secrets = secrets_for(plan, session)
    except Complaint as refused:
        log.ended("refused", refused.problems)
        raise
    try:
        return _apply(plan, consent, secrets, log, session, jobs=getattr(arguments, "jobs", 1))
    except Refused as refused:
        log.ended("refused", refused.reasons)
        raise
    except Failed as failed:
        log.ended("failed", [failed.report.problem], failed.report)
        _keep(failed.report, arguments, session)
        raise _failed(failed.report, arguments, names) from failed
    except PluginError as error:
        log.ended("failed", [str(error)])
        raise Complaint(
            f"{error}. Something may have been changed.",
            advice="Run the same command again: it looks at the machine as it is now.",
            outcome=Outcome.FAILED,
        ) from error


def _apply(plan: Plan, consent: str, secrets: Mapping[str, str], log: RunLog, session: Session, *, jobs: int) -> Report:
    """Carry it out, where it can be watched and stopped."""
    from pre_nixos.cli.interrupts import Interrupts
    from pre_nixos.cli.progress import display_on
    from pre_nixos.flow.apply import apply
    from pre_nixos.model.layer import Disk

    heard = session.err.descriptor() if session.err.is_terminal else None
    with ExitStack() as stack:
        stop = stack.enter_context(Interrupts(heard))
        display = stack.enter_context(display_on(session.err, plan.before.of(Disk)))

        def observe(event: Event) -> None:
            display(event)
            log(event)

        return apply(
            plan,
            consent=consent,
            host=session.host,
            observer=observe,
            cancel=stop,
            secrets=secrets,
            logs=log.directory or PLACE,
            jobs=jobs,
            registry=session.registry,
        )


def _keep(report: Report, arguments: argparse.Namespace, session: Session) -> None:
    """Write the report down, wherever it was asked for."""
    from pre_nixos.cli.files import write_file
    from pre_nixos.flow.documents import REPORT
    from pre_nixos.model.codec import encode

    if arguments.json:
        session.put_document(report, REPORT)
    if arguments.report:
        text = encode(report, format=REPORT, owners=session.registry.writers)
        try:
            write_file(arguments.report, text + b"\n")
        except Complaint as complaint:
            session.err.say(f"The report was not written: {complaint}")


def _tell(report: Report, plan: Plan, session: Session) -> None:
    from pre_nixos.cli.aftermath import success
    from pre_nixos.render.text import Style

    if report.rounds:
        show_after(report, session.out)
    session.out.say(success(report, plan.only), Style.GOOD)


def show_after(report: Report, screen: Screen) -> None:
    """Draw what there was after a run, as far as it was about that."""
    from pre_nixos.render.tree import tree
    from pre_nixos.render.words import kernel_names

    graph = report.after.only(_of_the_plan(report))
    screen.show(tree(graph, width=screen.width, guides=screen.guides, names=kernel_names(report.after)))


def _of_the_plan(report: Report) -> set[str]:
    takes = set(report.rounds[0].plan.wanted.takes)
    standing = {each for each in report.after if report.after.disks(each) & takes}
    return standing | {below for each in standing for below in report.after.below(each)}


def _failed(report: Report, arguments: argparse.Namespace, names: Mapping[str, str]) -> Complaint:
    from pre_nixos.cli.aftermath import failure

    *problems, advice = failure(report, names)
    return Complaint(*problems, advice=advice, outcome=Outcome.FAILED, has_result=arguments.json)
