"""`pre-nixos show`: what is on a machine's disks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.cli.layout import absolute
from pre_nixos.cli.parser import add_machine
from pre_nixos.cli.source import read_machine

if TYPE_CHECKING:
    import argparse

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session

NEEDS_POLICY = False


def declare(parser: Parser) -> None:
    """Say what may stand behind `show`."""
    add_machine(parser)
    parser.add_argument(
        "--output",
        choices=("tree", "json", "mermaid", "disko"),
        default="tree",
        help="how (default: tree); disko is a layout for Disko: in Nix, or with --json in JSON",
    )
    parser.add_argument(
        "--root",
        metavar="PATH",
        type=absolute,
        default="/",
        help="with --output disko, where the root of the described system is: /mnt on an installer (default: /)",
    )


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Show a machine."""
    machine = read_machine(arguments.machine, session)
    if arguments.output == "disko":
        from pre_nixos.cli.layout import put_layout

        put_layout(machine.graph, machine, session, as_json=arguments.json, found_at=arguments.root)
    elif arguments.json or arguments.output == "json":
        from pre_nixos.flow.documents import dump_machine

        session.out.write(dump_machine(machine, registry=session.registry).decode() + "\n")
    elif arguments.output == "mermaid":
        from pre_nixos.render.mermaid import graph_chart

        session.out.write(graph_chart(machine.graph))
    else:
        from pre_nixos.render.machine import machine_text

        session.out.show(machine_text(machine, width=session.out.width, guides=session.out.guides))
    return 0
