"""`pre-nixos verify`: everything in which a machine is not as wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.cli.parser import add_machine
from pre_nixos.cli.policy import add_choice, at_root, wanted_by
from pre_nixos.cli.source import read_machine, read_plan

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.screen import Screen
    from pre_nixos.cli.session import Session
    from pre_nixos.model.difference import Shortcoming
    from pre_nixos.model.graph import DeviceGraph

NEEDS_POLICY = True


def declare(parser: Parser) -> None:
    """Say what may stand behind `verify`."""
    add_machine(parser)
    add_choice(parser)
    parser.add_argument("--plan", metavar="FILE", help="compare with what this saved plan wants, and ask no policy")


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Compare a machine with what is wanted; 1 if there is any difference."""
    from pre_nixos.model.difference import shortcomings

    saved = read_plan(arguments.plan, session) if arguments.plan else None
    machine = read_machine(arguments.machine, session)
    wanted = at_root(arguments, saved.wanted) if saved else wanted_by(arguments, machine, session)
    found = shortcomings(machine.graph, wanted)
    if arguments.json:
        session.put_json(
            {"format": "pre-nixos verification", "version": 1, "as_wanted": not found, "shortcomings": found}
        )
    elif found:
        show_shortcomings(found, session.out, wanted.graph, machine.graph)
    else:
        session.out.say("Everything is as wanted.")
    return 1 if found else 0


def show_shortcomings(found: Sequence[Shortcoming], screen: Screen, *graphs: DeviceGraph) -> None:
    """List differences, one to a line; the graphs know the layers they are about."""
    from pre_nixos.render.text import Span, Style, printable, wrapped
    from pre_nixos.render.words import known_as

    for each in found:
        spans = (Span(known_as(each.layer, *graphs), Style.NAME), Span(f" {printable(each.text)}"))
        screen.show(wrapped(spans, screen.width, margin="  "))
