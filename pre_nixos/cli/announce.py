"""`pre-nixos announce`: says on every console where this machine can be reached, and waits for none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.cli.parser import seconds
from pre_nixos.cli.standing import add_status_directory, standing_in
from pre_nixos.installer.announce import DEADLINE, WAIT

if TYPE_CHECKING:
    import argparse

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session

NEEDS_POLICY = False


def declare(parser: Parser) -> None:
    """Say what may stand behind `announce`."""
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=seconds,
        default=WAIT,
        help=f"how long an address is waited for (default: {WAIT:.0f})",
    )
    add_status_directory(parser, "where the status is read that is told with it")
    parser.add_argument(
        "--console",
        metavar="PATH",
        action="append",
        default=[],
        help="write to this terminal instead of all that the kernel writes to; may be given again",
    )


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Say it; a console that takes nothing is named, and is no failure."""
    from pre_nixos.installer.announce import announce, consoles, text, wait_for_addresses
    from pre_nixos.installer.files import NotDone

    root = session.own_root
    found = wait_for_addresses(arguments.wait)
    try:
        status = standing_in(arguments.status_dir, session)
    except NotDone as error:
        stands = str(error)
    else:
        stands = f"{status.state}: {status.detail}" if status is not None else ""
    message = text(found, root, status=stands)
    paths = arguments.console or consoles(root)
    problems = announce(message, paths, deadline=DEADLINE)
    if arguments.json:
        told = [each for each in paths if each not in problems]
        session.put_json(
            {
                "format": "pre-nixos announcement",
                "version": 1,
                "text": message.splitlines()[1:],
                "told": told,
                "problems": problems,
            }
        )
    else:
        session.out.write(message.lstrip("\n"))
    for path, why in problems.items():
        session.err.say(f"{path}: {why}.")
    return 0
