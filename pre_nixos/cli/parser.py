"""Reads the words behind a command: as argparse does, but it raises instead of leaving, and guesses what was meant."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn

from pre_nixos.cli.complaint import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Parser(argparse.ArgumentParser):
    """Reads the words behind one command."""

    def __init__(self, command: str, summary: str) -> None:
        # An abbreviation that is unique today may be ambiguous once a policy has another option.
        super().__init__(prog=f"pre-nixos {command}", description=summary, add_help=False, allow_abbrev=False)
        self.add_argument("-h", "--help", action="store_true", help="show this")
        self.add_argument("--json", action="store_true", help="give the result as JSON")

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would have printed."""
        raise Usage(f"{message[:1].upper()}{message[1:]}.")

    def flags(self) -> Sequence[str]:
        """Every option it knows."""
        return sorted(self._option_string_actions)


def add_machine(parser: Parser, *, instead: str = "this machine") -> None:
    """Add the option to work on a machine that was written down."""
    parser.add_argument(
        "--machine",
        metavar="FILE",
        help=f"work on the machine in this file instead of {instead}: one written by `show --json`, "
        "or a recording; - is standard input",
    )


def seconds(said: str) -> float:
    """Read a time to wait."""
    try:
        found = float(said)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise argparse.ArgumentTypeError(f"{said!r} is no number of seconds")
    return found


def guess(word: str, there: Iterable[str]) -> str:
    """End a sentence about an unknown word with the one that was meant, if that can be told."""
    from difflib import get_close_matches

    close = get_close_matches(word, list(there), n=1)
    return f"; did you mean {close[0]}?" if close else "."
