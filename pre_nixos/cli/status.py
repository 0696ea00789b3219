"""`pre-nixos status`: how it stands with the disks of this machine, as the last command that changed that left it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.cli.complaint import Complaint
from pre_nixos.cli.standing import add_status_directory, standing_in
from pre_nixos.installer.status import NO_STATUS

if TYPE_CHECKING:
    import argparse

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session

NEEDS_POLICY = False


def declare(parser: Parser) -> None:
    """Say what may stand behind `status`."""
    add_status_directory(parser, "the directory it is in")
    parser.epilog = (
        "Exit status: 0 as wanted, 1 refused or failed, 3 planned or being applied, 4 occupied or undetermined, "
        "5 nobody looked, or disks were wiped since."
    )


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Show it; the exit status says it too."""
    from pre_nixos.installer.files import NotDone

    try:
        found = standing_in(arguments.status_dir, session)
    except NotDone as error:
        raise Complaint(str(error), advice="Remove it, or have it written anew by `pre-nixos auto`.") from error
    if arguments.json:
        state, detail = (found.state, found.detail) if found is not None else (None, "")
        session.put_json({"format": "pre-nixos status", "version": 1, "state": state, "detail": detail})
    elif found is None:
        session.err.say("Nobody wrote down how it stands here; `pre-nixos auto` does.")
    else:
        session.out.say(f"{found.state}: {found.detail}" if found.detail else found.state)
    return NO_STATUS if found is None else found.state.exit_status
