"""How an apply ended, in a short paragraph: what happened, to what, what was done, what was not, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.model.action import Verb
from pre_nixos.model.layer import Disk
from pre_nixos.render.members import shortened
from pre_nixos.render.plan import as_wanted, counted
from pre_nixos.render.text import printable
from pre_nixos.render.words import full_name, known_as

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from pre_nixos.flow.outcome import Report, Round
    from pre_nixos.model.action import Action

MOST_LISTED = 5


def success(report: Report, only: Collection[Verb] = tuple(Verb)) -> str:
    """Say that all is as wanted, and what that took; `only` are the verbs it was to make do with."""
    said = as_wanted(report.rounds[0].plan.only if report.rounds else only)
    if not report.actions:
        return f"{said}: there was nothing to do."
    rounds = f" in {len(report.rounds)} rounds" if len(report.rounds) > 1 else ""
    return f"{said}, after {counted(report.actions, 'action')}{rounds} and {report.seconds:.0f} s."


def failure(report: Report, names: Mapping[str, str]) -> Iterator[str]:
    """Say what went wrong and where things stand, a paragraph each."""
    last = report.rounds[-1] if report.rounds else None
    action = _failed(last) if last is not None else None
    shorten = shortened(report.before.of(Disk))
    yield printable_lines(shorten(report.problem))
    if action is not None and report.problem.startswith(action.summary):
        yield from _where(action, report, names)
    left = _left(last)
    if last is not None:
        yield _progress(report, last, left, shorten)
    short = report.shortcomings
    if short and last is not None and not left:
        graphs = (last.plan.wanted.graph, report.after)
        listed = [f"{known_as(each.layer, *graphs)} {printable(each.text)}" for each in short[:MOST_LISTED]]
        more = f" And {len(short) - MOST_LISTED} more." if len(short) > MOST_LISTED else ""
        yield "Not as wanted: " + "; ".join(listed) + "." + more
    if report.diagnostics:
        yield (
            f"The report, and what this machine answered before and after, are in {report.diagnostics}; "
            "`pre-nixos show --machine FILE` shows such an answer anywhere."
        )
    yield from (printable(each) for each in report.remarks)
    yield report.advice


def printable_lines(text: str) -> str:
    """Keep the lines of a text, and nothing a terminal could take for a command."""
    return "\n".join(printable(each) for each in text.splitlines())


def _failed(last: Round) -> Action | None:
    return next((each for each in last.plan.actions if each.id == last.failed), None)


def _where(action: Action, report: Report, names: Mapping[str, str]) -> Iterator[str]:
    disks = [full_name(report.before[each], names) for each in action.touches if each in report.before]
    if disks:
        yield f"It was at work on {', '.join(disks)}."


def _left(last: Round | None) -> Sequence[Action]:
    if last is None:
        return ()
    done = {each.action for each in last.done}
    return [each for each in last.plan.actions if each.id not in done]


def _progress(report: Report, last: Round, left: Sequence[Action], shorten: Callable[[str], str]) -> str:
    text = f"Done: {counted(report.actions, 'action')}"
    text += f", the last of them: {printable(shorten(last.done[-1].summary))}." if last.done else "."
    if left:
        text += f" Not done: {counted(len(left), 'action')}, beginning with: {printable(shorten(left[0].summary))}."
    return text
