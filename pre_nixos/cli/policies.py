"""`pre-nixos policies`: who can be asked what should be on a machine, and with which options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.cli.parser import add_machine
from pre_nixos.cli.policy import default_in_words, options_of
from pre_nixos.cli.source import read_machine

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session
    from pre_nixos.hooks.specs import Policy
    from pre_nixos.model.machine import Machine
    from pre_nixos.render.text import Line

NEEDS_POLICY = False


def declare(parser: Parser) -> None:
    """Say what may stand behind `policies`."""
    add_machine(parser, instead="none")
    parser.add_argument(
        "--schema",
        action="store_true",
        help="give every option as JSON Schema, which is what the NixOS module makes its options of",
    )


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """List policies; with a machine, also what each would say to it."""
    from pre_nixos.hooks.calls import Calls

    there = sorted(Calls(session.registry).policies(), key=lambda each: each.name)
    if arguments.schema:
        from pre_nixos.render.options import options_schema

        session.put_json(options_schema(there))
        return 0
    machine = read_machine(arguments.machine, session) if arguments.machine else None
    answers = {each.name: _answer(each, machine, session) for each in there} if machine else {}
    if arguments.json:
        session.put_json(
            [
                {
                    "name": each.name,
                    "summary": each.summary,
                    "options": options_of(each),
                    **({"answer": answers[each.name]} if each.name in answers else {}),
                }
                for each in there
            ]
        )
        return 0
    for each in there:
        session.out.show(_lines(each, answers.get(each.name, ""), session.out.width))
    if not there:
        session.out.say("No plugin here offers a policy.")
    return 0


def _answer(policy: Policy, machine: Machine, session: Session) -> str:
    from pre_nixos.flow.propose import propose
    from pre_nixos.model.draft import InvalidLayout
    from pre_nixos.model.layer import Disk
    from pre_nixos.render.members import shortened
    from pre_nixos.render.plan import counted

    try:
        wanted = propose(machine, policy.name, registry=session.registry)
    except InvalidLayout as error:
        return str(error)
    disks = [each for each in machine.graph.of(Disk) if each.id in wanted.takes]
    named = shortened(disks)(", ".join(each.title for each in disks))
    return f"takes {counted(len(disks), 'disk')}: {named.removeprefix('disks ')}"


def _lines(policy: Policy, answer: str, width: int) -> Iterator[Line]:
    from pre_nixos.render.text import Span, Style, paragraph, printable, wrapped

    yield from wrapped((Span(policy.name, Style.HEADING), Span(f": {printable(policy.summary)}")), width, margin="  ")
    if answer:
        yield from paragraph(f"Of this machine it {answer}" if answer.startswith("takes") else answer, width, indent=2)
    options = options_of(policy)
    flags = [f"{option.flag} {option.takes}".rstrip() for option in options]
    column = min(max((len(each) for each in flags), default=0), 28) + 4
    for option, flag in zip(options, flags, strict=True):
        default = default_in_words(option)
        said = option.help + (f" (default: {default})" if default else "")
        head = f"  {flag:<{column - 2}}"
        if len(flag) + 4 > column:
            yield (Span(f"  {flag}", Style.NAME),)
            head = " " * column
        spans = (Span(head, Style.NAME), Span(printable(said)))
        yield from wrapped(spans, width, margin=" " * column)
    yield ()
