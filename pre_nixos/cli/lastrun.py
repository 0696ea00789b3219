"""What was written down of the last run: told from its log, whose last lines may be missing or torn."""

from __future__ import annotations

import os

import msgspec

from pre_nixos.cli.runlog import ACTIONS
from pre_nixos.model.data import Data

TAIL = 4 << 20
"""So many bytes of a log are looked through: more than a run writes."""


class LastRun(Data):
    """What the log has of one run."""

    run: str
    began: str
    """When."""
    command: str = ""
    digest: str = ""
    planned: int = 0
    done: tuple[str, ...] = ()
    """The actions that ran to their end."""
    begun: str = ""
    """The action that was begun last."""
    outcome: str = ""
    """How it ended: `done`, `refused`, `failed`, a state of the status; empty if it did not come to its end."""
    problems: tuple[str, ...] = ()
    ended: str = ""
    pid: int = 0

    @property
    def is_running(self) -> bool:
        """Whether it may still be at work."""
        return not self.outcome and self.pid > 0 and os.path.exists(f"/proc/{self.pid}")


class _Entry(msgspec.Struct, kw_only=True, frozen=True):
    """A line of the log, as far as it matters here."""

    run: str
    event: str
    timestamp: str = ""
    command: str = ""
    digest: str = ""
    planned: int = 0
    pid: int = 0
    action: str = ""
    summary: str = ""
    ok: bool = False
    outcome: str = ""
    problems: tuple[str, ...] = ()


def last_run(directory: str) -> LastRun | None:
    """Find the last run in a log; None if there is no log, or none in it. Raises OSError."""
    found: LastRun | None = None
    for entry in _entries(f"{directory}/{ACTIONS}"):
        if entry.event == "run-began":
            found = LastRun(
                run=entry.run,
                began=entry.timestamp,
                command=entry.command,
                digest=entry.digest,
                planned=entry.planned,
                pid=entry.pid,
            )
        elif found is not None and found.run == entry.run:
            found = _with(found, entry)
    return found


def _with(run: LastRun, entry: _Entry) -> LastRun:
    replace = msgspec.structs.replace
    match entry.event:
        case "action-began":
            return replace(run, begun=entry.summary)
        case "action-ended" if entry.ok:
            return replace(run, done=(*run.done, entry.action))
        case "run-ended":
            return replace(run, outcome=entry.outcome, problems=entry.problems, ended=entry.timestamp)
        case _:
            return run


def _entries(path: str) -> list[_Entry]:
    try:
        with open(path, "rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - TAIL, 0))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return []
    found: list[_Entry] = []
    for line in lines:
        try:
            found.append(msgspec.json.decode(line, type=_Entry))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue  # torn, or no line of ours
    return found
