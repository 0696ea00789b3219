"""`pre-nixos plan`: what would be done, what it would cost, and the digest to agree to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.cli.complaint import Complaint
from pre_nixos.cli.engine import add_engine, with_engine
from pre_nixos.cli.layout import add_check, check, put_layout
from pre_nixos.cli.parser import add_machine, guess
from pre_nixos.cli.policy import DEFAULT, add_choice, add_replace, replacing, wanted_by
from pre_nixos.cli.source import read_machine

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Mapping, Sequence

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.screen import Screen
    from pre_nixos.cli.session import Session
    from pre_nixos.model.plan import Plan

NEEDS_POLICY = True
SOMETHING_TO_DO = 3


def declare(parser: Parser) -> None:
    """Say what may stand behind `plan`."""
    add_machine(parser)
    add_choice(parser)
    add_replace(parser)
    add_engine(parser)
    parser.add_argument(
        "--output",
        choices=("tree", "actions", "json", "mermaid", "disko"),
        default="tree",
        help="before, after and losses as trees (the default); every action with its steps; JSON, to be applied or "
        "kept; a Mermaid chart; or what is wanted, as a layout for Disko: in Nix, or with --json in JSON",
    )
    add_check(parser)
    parser.add_argument("--explain", metavar="LAYER", help="only say what becomes of this layer, and why")
    parser.add_argument("--check", action="store_true", help="exit with 3 if there is something to do")


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Show a plan, or say whether a layout is right."""
    if arguments.check_layout is not None:
        return check(arguments, session)
    from pre_nixos.flow.schedule import schedule
    from pre_nixos.render.words import kernel_names

    machine = read_machine(arguments.machine, session)
    wanted = with_engine(arguments, wanted_by(arguments, machine, session), machine, session)
    wanted = replacing(arguments, wanted, machine)
    plan = schedule(machine, wanted, registry=session.registry)
    names = kernel_names(machine.graph)
    if arguments.explain:
        _explain(arguments, plan, session)
        return 0
    if arguments.output == "disko":
        put_layout(plan.wanted.graph, machine, session, plan.wanted.scripts, as_json=arguments.json)
    elif arguments.json or arguments.output == "json":
        put_plan(plan, session)
    elif arguments.output == "mermaid":
        from pre_nixos.render.mermaid import plan_chart

        session.out.write(plan_chart(plan, names))
    else:
        show_plan(plan, session.out, names, steps=arguments.output == "actions")
        if plan.actions and not plan.objections and not arguments.machine:
            _show_command(command_for(plan, arguments.words, without={"--output", "--explain"}), session.out)
    return status_of(plan, check=arguments.check)


def put_plan(plan: Plan, session: Session) -> None:
    """Write a plan down, as it is read again."""
    from pre_nixos.flow.documents import dump_plan

    session.out.write(dump_plan(plan, registry=session.registry).decode() + "\n")


def show_plan(plan: Plan, screen: Screen, names: Mapping[str, str], *, steps: bool = False) -> None:
    """Show a plan to a person: all of it, or every action with its steps."""
    from pre_nixos.render.plan import PlanText, as_wanted, counted, is_done, loses_content
    from pre_nixos.render.scripts import will_run
    from pre_nixos.render.text import Span, Style, line

    text = PlanText(plan, names=names, width=screen.width, guides=screen.guides)
    if not steps:
        screen.show(text.whole())
    else:
        if is_done(plan):
            screen.show([line(f"{as_wanted(plan.only)}: there is nothing to do.", Style.GOOD)])
        screen.show(text.actions(steps=True))
        screen.show(text.objections())
    if is_done(plan):
        return
    losers = len(loses_content(plan))
    cost = f"{counted(losers, 'disk')} {'loses' if losers == 1 else 'lose'} content" if losers else "nothing is lost"
    ran = len(list(will_run(plan)))
    cost += f"; it runs {counted(ran, 'script')}" if ran else ""
    screen.show([(), (Span("Digest: "), Span(plan.digest, Style.NAME), Span(f" ({_size(plan)}; {cost})"))])


def status_of(plan: Plan, *, check: bool) -> int:
    """Give the exit status: 1 for a plan that cannot be carried out, 3 for one that should be, if that was asked."""
    from pre_nixos.render.plan import is_done

    if plan.objections:
        return 1
    return SOMETHING_TO_DO if check and not is_done(plan) else 0


def _size(plan: Plan) -> str:
    from pre_nixos.render.plan import counted

    return f"{counted(len(plan.actions), 'action')} on {counted(len(plan.wanted.takes), 'disk')}"


def _explain(arguments: argparse.Namespace, plan: Plan, session: Session) -> None:
    asked = arguments.explain
    found = plan.meant(asked)
    if not found:
        raise Complaint(
            f"The plan does not speak of a layer {asked!r}{guess(asked, plan.reasons)}",
            advice=f"It speaks of: {', '.join(plan.reasons) or 'none at all'}.",
        )
    if arguments.json:
        session.put_json([plan.reasons[each] for each in found])
        return
    from pre_nixos.model.layer import Disk
    from pre_nixos.render.members import shortened

    shorten = shortened(plan.before.of(Disk))
    for each in found:
        session.out.say(shorten(plan.explain(each)))


def _show_command(words: Sequence[str], screen: Screen) -> None:
    from pre_nixos.cli.typed import typed
    from pre_nixos.render.text import line, printable

    heading = "To do this:"
    lines = typed(words, screen.width, prompt=f"{heading} ")
    if len(lines) > 1:
        lines = [heading, *typed(words, screen.width, prompt="  ")]
    screen.show(line(printable(each)) for each in lines)


def command_for(plan: Plan, words: Sequence[str], *, without: Collection[str]) -> Sequence[str]:
    """Give the command that carries out a plan: with what the policy was told, and the consent.

    `words` are those the plan was asked for with, and `without` says which options of those have a value and are not
    for `apply`.
    """
    waiting = list(words)
    kept: list[str] = []
    while waiting:
        word = waiting.pop(0)
        if word in without:
            waiting.pop(0)
        elif word not in {"--check", "--json", "--apply"} and word.partition("=")[0] not in without:
            kept.append(word)
    if kept == ["--policy", DEFAULT]:
        kept = []
    return ["pre-nixos", "apply", *kept, "--consent", plan.digest]
