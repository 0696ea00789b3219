"""`pre-nixos report`: the last run that did anything, or tried to: what there is now, what was done, what failed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pre_nixos.cli.complaint import Complaint
from pre_nixos.cli.runlog import PLAN, REPORT
from pre_nixos.flow.diagnostics import PLACE
from pre_nixos.installer.files import below

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pre_nixos.cli.lastrun import LastRun
    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session
    from pre_nixos.flow.outcome import Report
    from pre_nixos.render.text import Line

NEEDS_POLICY = False


def declare(parser: Parser) -> None:
    """Say what may stand behind `report`."""
    parser.add_argument("--log-dir", metavar="DIR", help=f"where it was written down (default: {PLACE})")


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Show it. With --json this is the report itself, or, of a run that has none, what its log says."""
    from pre_nixos.cli.lastrun import last_run

    directory = arguments.log_dir or below(session.own_root, PLACE)
    run = last_run(directory)
    # What is refused leaves the report of an earlier run where it is.
    reported = run is None or run.outcome in {"done", "failed"}
    report = _report(f"{directory}/{REPORT}", session) if reported else None
    if report is None and run is None:
        raise Complaint(
            f"No run is written down in {directory}.",
            advice="`apply`, `wipe`, `mount` and `auto` write down there what they do. Is this run as root?",
        )
    if arguments.json:
        _put(report, run, session)
    elif report is not None:
        _show(report, run, session)
    elif run is not None:
        _show_unreported(run, f"{directory}/{PLAN}", session)
    return 0


def _report(path: str, session: Session) -> Report | None:
    from pre_nixos.flow.documents import load_report

    return load_report(path, registry=session.registry) if os.path.exists(path) else None


def _put(report: Report | None, run: LastRun | None, session: Session) -> None:
    import msgspec

    from pre_nixos.flow.documents import REPORT as FORMAT

    if report is not None:
        session.put_document(report, FORMAT)
        return
    content: dict[str, object] = msgspec.to_builtins(run)
    session.put_json({"format": "pre-nixos last run", "version": 1, **content})


def _show(report: Report, run: LastRun | None, session: Session) -> None:
    from pre_nixos.cli.aftermath import failure, success
    from pre_nixos.cli.consented import show_after
    from pre_nixos.render.text import Style
    from pre_nixos.render.words import kernel_names

    screen = session.out
    if run is not None:
        screen.say(_heading(run))
    if report.rounds:
        show_after(report, screen)
        screen.show([(), *_done(report)])
    if not report.problem:
        screen.say(success(report), Style.GOOD)
        return
    problem, *more = failure(report, kernel_names(report.before))
    screen.say(problem, Style.BAD)
    for each in more:
        screen.say(each)


def _done(report: Report) -> Iterator[Line]:
    """List what was done, each with how long it took, and what failed."""
    from pre_nixos.model.layer import Disk
    from pre_nixos.render.members import shortened
    from pre_nixos.render.text import Span, Style, line, printable

    shorten = shortened(report.before.of(Disk))
    for number, each in enumerate(report.rounds, 1):
        if len(report.rounds) > 1:
            yield line(f"Round {number}", Style.HEADING)
        for done in each.done:
            yield (
                Span("done  ", Style.GOOD),
                Span(f" {done.seconds:7.1f} s  "),
                Span(printable(shorten(done.summary))),
            )
        if each.failed:
            failed = next((one.summary for one in each.plan.actions if one.id == each.failed), each.failed)
            yield (Span("FAILED", Style.BAD), Span(" " * 12), Span(printable(shorten(failed))))


def _show_unreported(run: LastRun, path: str, session: Session) -> None:
    """Show a run that left no report: one that was refused, that only planned, that was killed, or that still runs."""
    from pre_nixos.cli.plan import show_plan
    from pre_nixos.flow.documents import load_plan
    from pre_nixos.model.codec import Unreadable
    from pre_nixos.render.text import Style
    from pre_nixos.render.words import kernel_names

    screen = session.out
    screen.say(_heading(run))
    for each in run.problems:
        screen.say(each, Style.BAD)
    if run.outcome == "refused":
        return
    if not run.outcome:
        where = f" It had begun: {run.begun}." if run.begun else ""
        screen.say(f"{len(run.done)} of {run.planned} actions ran to their end.{where}", Style.CAUTION)
        if not run.is_running:
            screen.say("Run the same command again: it looks at the machine as it is now and goes on from there.")
    try:
        plan = load_plan(path, registry=session.registry)
    except Unreadable:
        return
    if plan.digest == run.digest:
        screen.show([()])
        # A plan that was written down does not keep what the kernel called its disks.
        show_plan(plan, screen, kernel_names(plan.before))


def _heading(run: LastRun) -> str:
    how = {"": "is at work still" if run.is_running else "did not come to its end", "done": "ended well"}
    said = how.get(run.outcome, f"ended: {run.outcome}")
    return f"pre-nixos {run.command} of {run.began} (run {run.run}) {said}{f', at {run.ended}' if run.ended else ''}."
