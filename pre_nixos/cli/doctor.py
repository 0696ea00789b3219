"""`pre-nixos doctor`: what could keep this from working here, a line each, with what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.cli.checkup import Finding, findings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.screen import Screen
    from pre_nixos.cli.session import Session

NEEDS_POLICY = False


def declare(parser: Parser) -> None:
    """Nothing more may stand behind `doctor`."""
    del parser


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Check everything; 1 if something is in the way."""
    found = list(findings(session))
    bad = any(each.verdict == "problem" for each in found)
    if arguments.json:
        session.put_json({"format": "pre-nixos checkup", "version": 1, "well": not bad, "findings": found})
    else:
        _show(found, session.out)
    return 1 if bad else 0


def _show(found: Iterable[Finding], screen: Screen) -> None:
    from pre_nixos.render.text import Span, Style, printable, wrapped

    styles = {"ok": Style.GOOD, "note": Style.CAUTION, "problem": Style.BAD}
    for each in found:
        text = printable(" ".join(filter(None, (each.text, each.remedy))))
        spans = (Span(f"{each.verdict:<9}", styles[each.verdict]), Span(f"{each.about:<13}", Style.NAME), Span(text))
        screen.show(wrapped(spans, screen.width, margin=" " * 22))
