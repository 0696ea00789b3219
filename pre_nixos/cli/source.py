"""Where a command's machine comes from: this host, or a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.cli.complaint import Complaint

if TYPE_CHECKING:
    from pre_nixos.cli.session import Session
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan


def read_machine(path: str | None, session: Session) -> Machine:
    """Read the machine in a file, or look at this one if there is no file."""
    if path is None:
        return look(session)
    from pre_nixos.flow.documents import load_machine

    try:
        return load_machine(_path(path), registry=session.registry)
    except ValueError as error:  # also text that is no text: everything that is wrong with a file
        raise Complaint(
            _said(path, error), advice="Write it again, with `pre-nixos show --json` or `pre-nixos record FILE`."
        ) from error


def read_plan(path: str, session: Session) -> Plan:
    """Read a plan from a file."""
    from pre_nixos.flow.documents import load_plan

    try:
        return load_plan(_path(path), registry=session.registry)
    except ValueError as error:
        raise Complaint(_said(path, error), advice="Write it again, with `pre-nixos plan --output json`.") from error


def look(session: Session) -> Machine:
    """Look at this machine."""
    require_root(session, "read what is on the disks")
    from pre_nixos.flow.probe import probe

    return probe(session.host, registry=session.registry)


def require_root(session: Session, purpose: str) -> None:
    """Refuse what only root can do."""
    from pre_nixos.host.questions import LookAround

    if not session.host.ask(LookAround()).root:
        raise Complaint(
            f"Only root can {purpose}, and this is not run as root. Nothing was done.",
            advice="Run it with sudo. A machine that was written down needs no root: --machine FILE.",
        )


def _path(path: str) -> str:
    return "/dev/stdin" if path == "-" else path


def _said(path: str, error: ValueError) -> str:
    text = str(error)
    return text if path == "-" or text.startswith(path) else f"{path}: {text}"
