"""`pre-nixos plugins`: what is installed, which technologies it knows, and which programs it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session
    from pre_nixos.hooks.registry import Registry
    from pre_nixos.render.text import Line

NEEDS_POLICY = False


def declare(parser: Parser) -> None:
    """Nothing more may stand behind `plugins`."""
    del parser


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """List plugins."""
    registry = session.registry
    listed = [_about(name, registry) for name in registry.names]
    if arguments.json:
        session.put_json(listed)
        return 0
    for each in listed:
        session.out.show(_lines(each, session.out.width))
    return 0


def _about(name: str, registry: Registry) -> Mapping[str, str | Sequence[str]]:
    return {
        "name": name,
        "distribution": registry.distributions.get(name, ""),
        "kinds": sorted(kind for kind, owner in registry.owners.items() if owner == name),
        "hooks": registry.implementations(name),
        "tools": registry.tools.get(name, ()),
    }


def _lines(about: Mapping[str, str | Sequence[str]], width: int) -> Iterator[Line]:
    from pre_nixos.render.text import Span, Style, wrapped

    origin = f", of {about['distribution']}" if about["distribution"] else ""
    yield (Span(str(about["name"]), Style.HEADING), Span(origin, Style.FAINT))
    for heading in ("kinds", "hooks", "tools"):
        if about[heading]:
            said = ", ".join(about[heading])
            yield from wrapped((Span(f"  {heading}  ", Style.FAINT), Span(said)), width, margin=" " * 9)
