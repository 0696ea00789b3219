"""`pre-nixos rehearse`: the whole job on a virtual twin of the machine, with real tools and a real kernel."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from pre_nixos.cli.complaint import Complaint, Outcome
from pre_nixos.cli.parser import add_machine
from pre_nixos.cli.policy import add_choice, chosen, given
from pre_nixos.cli.source import read_machine

if TYPE_CHECKING:
    import argparse

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.progress import Display
    from pre_nixos.cli.session import Session
    from pre_nixos.flow.outcome import Event
    from pre_nixos.lab.rehearsal import Rehearsal
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan

NEEDS_POLICY = True
REHEARSAL = "pre-nixos rehearsal"


def declare(parser: Parser) -> None:
    """Say what may stand behind `rehearse`."""
    add_machine(parser)
    add_choice(parser)
    parser.add_argument(
        "--artefacts",
        metavar="FOLDER",
        default="artefacts/rehearsal",
        help="where the console and the reports of a rehearsal that fails are kept (default: artefacts/rehearsal)",
    )


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Rehearse; 0 if everything went as it should."""
    machine = read_machine(arguments.machine, session)
    result = _rehearse(machine, arguments, session)
    if arguments.json:
        session.put_document(result, REHEARSAL)
    else:
        _tell(result, session)
    return 0 if result.convinced else 1


def _rehearse(machine: Machine, arguments: argparse.Namespace, session: Session) -> Rehearsal:
    from pre_nixos.cli.layout import complaint, disks_named, path_of
    from pre_nixos.cli.plan import show_plan
    from pre_nixos.cli.progress import display_on
    from pre_nixos.flow.outcome import Failed
    from pre_nixos.lab.description import LabError
    from pre_nixos.lab.rehearsal import LayoutFile, rehearse
    from pre_nixos.model.draft import InvalidLayout
    from pre_nixos.model.layer import Disk
    from pre_nixos.render.words import kernel_names

    named = {name: tuple(several) for name, several in disks_named(arguments).items()}
    layout = (
        LayoutFile(path=path_of(arguments.layout), disks=named, allow_hooks=arguments.allow_hooks)
        if arguments.layout
        else None
    )
    displays: list[Display] = []
    session.err.say("Making a twin of this machine; this machine itself is not touched.")
    try:
        with ExitStack() as stack:

            def shown(twin: Machine, plan: Plan) -> None:
                show_plan(plan, session.err, kernel_names(twin.graph))
                displays.append(stack.enter_context(display_on(session.err, plan.before.of(Disk))))

            def observe(event: Event) -> None:
                for display in displays:
                    display(event)

            return rehearse(
                machine,
                chosen(arguments),
                given(arguments),
                observe,
                layout=layout,
                shown=shown,
                registry=session.registry,
                artefacts=arguments.artefacts,
            )
    except InvalidLayout as error:
        if arguments.layout:
            raise complaint(arguments.layout, error) from error
        raise
    except LabError as error:
        raise Complaint(str(error), advice="The machine itself was not touched.") from error
    except Failed as failed:
        from pre_nixos.cli.aftermath import failure

        *problems, _ = failure(failed.report, kernel_names(failed.report.before))
        raise Complaint(
            "The rehearsal failed; the machine itself was not touched.",
            *problems,
            advice=f"What the twin said is in {arguments.artefacts}.",
            outcome=Outcome.FAILED,
        ) from failed


def _tell(result: Rehearsal, session: Session) -> None:
    from pre_nixos.cli.verify import show_shortcomings
    from pre_nixos.render.machine import machine_text
    from pre_nixos.render.plan import counted
    from pre_nixos.render.text import Style, line

    out = session.out
    out.show(machine_text(result.after, width=out.width, guides=out.guides))
    if result.left_out:
        out.say("The twin did not have, because it could not be made there: " + ", ".join(result.left_out) + ".")
    if result.convinced:
        done = counted(len(result.plan.actions), "action")
        out.say(
            f"The rehearsal went well: everything is as wanted on the twin after {done} and {result.seconds:.0f} s, "
            "and a second run would do nothing.",
            Style.GOOD,
        )
        return
    out.show([line("The rehearsal did not go well.", Style.BAD)])
    show_shortcomings(result.shortcomings, out, result.plan.wanted.graph, result.after.graph)
    if result.again.actions:
        out.say(f"A second run would do {counted(len(result.again.actions), 'more action')}.")
