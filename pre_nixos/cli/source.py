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
        return look(session, instead="A machine that was written down needs no root: --machine FILE.")
    from pre_nixos.flow.documents import load_machine

    try:
        return load_machine(source(path), registry=session.registry)
    except ValueError as error:  # also text that is no text: everything that is wrong with a file
        raise _complaint(path, error, "`pre-nixos show --json` or `pre-nixos record FILE`") from error


def read_plan(path: str, session: Session) -> Plan:
    """Read a plan from a file."""
    from pre_nixos.flow.documents import load_plan

    try:
        return load_plan(source(path), registry=session.registry)
    except ValueError as error:
        raise _complaint(path, error, "`pre-nixos plan --output json`") from error


def look(session: Session, *, instead: str = "") -> Machine:
    """Look at this machine; `instead` says what else can be done by who may not."""
    require_root(session, "read what is on the disks", instead=instead)
    from pre_nixos.flow.probe import probe

    return probe(session.host, registry=session.registry)


def require_root(session: Session, purpose: str, *, instead: str = "") -> None:
    """Refuse what only root can do; `instead` says what else can be done by who is not."""
    from pre_nixos.host.questions import LookAround

    if not session.host.ask(LookAround()).root:
        raise Complaint(
            f"Only root can {purpose}, and this is not run as root. Nothing was done.",
            advice=f"Run it with sudo. {instead}".rstrip(),
        )


PLANNED = "What it would do to a machine that was written down needs no root: `pre-nixos plan --machine FILE`."
"""For who may not do what a plan says."""


def source(path: str) -> str | int:
    """Give what to open: a dash is standard input, which may be what no path leads to."""
    return 0 if path == "-" else path


def _complaint(path: str, error: ValueError, writers: str) -> Complaint:
    text = str(error)
    said = text if path == "-" or text.startswith(path) else f"{path}: {text}"
    # A file that cannot even be read need not be wrong.
    is_there = not isinstance(error.__cause__, OSError)
    return Complaint(said, advice=f"Write it again, with {writers}." if is_there else "")
