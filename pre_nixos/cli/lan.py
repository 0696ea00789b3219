"""`pre-nixos lan`: chooses the network port of a machine that is being installed, and calls it `lan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.cli.complaint import Complaint
from pre_nixos.cli.parser import seconds
from pre_nixos.installer.lan import NAME, WAIT

if TYPE_CHECKING:
    import argparse

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session

NEEDS_POLICY = False


def declare(parser: Parser) -> None:
    """Say what may stand behind `lan`."""
    parser.add_argument(
        "--mac", metavar="MAC", help="the port with this address, whatever else there is (also pre.lan.mac= at boot)"
    )
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=seconds,
        default=WAIT,
        help=f"how long a carrier, or the port, is waited for (default: {WAIT:.0f})",
    )


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Do it, or say that there is no port and leave everything alone."""
    import os

    from pre_nixos.installer.files import NotDone
    from pre_nixos.installer.kernelline import kernel_line_of
    from pre_nixos.installer.lan import set_up_lan

    root = session.own_root
    said = kernel_line_of(root)
    if root == "/" and os.geteuid() != 0:
        raise Complaint("Only root can name network ports, and this is not run as root. Nothing was changed.")
    try:
        done = set_up_lan(root, mac=said.lan_mac or arguments.mac, wait=arguments.wait, tell=session.err.say)
    except NotDone as error:
        raise Complaint(str(error)) from error
    if arguments.json:
        import msgspec

        content: dict[str, object] = msgspec.to_builtins(done)
        session.put_json({"format": "pre-nixos lan", "version": 1, **content})
        return 0
    for each in done.remarks:
        session.err.say(each)
    called = f"It is called {NAME}." if done.renamed else f"It will be called {NAME}."
    session.out.say(f"{done.port} is the one. {called}{'' if done.changed else ' Nothing had to be written.'}")
    return 0
