"""How it stands with a machine's disks, in two lines that a shell, systemd and a person can read."""

from __future__ import annotations

from enum import StrEnum

from pre_nixos.installer.files import NotDone, below, read, write
from pre_nixos.model.data import Data

DIRECTORY = "/run/pre-nixos"
NAME = "storage-status"
LONGEST = 1000
"""Characters of a detail that are kept; the rest is in the log."""
_ESCAPED = frozenset('\\"$`')
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/,+-@%")


class State(StrEnum):
    """How it stands."""

    OFF = "off"
    """Nobody was to look."""
    PLANNED = "planned"
    """There is a plan, and nobody agreed to it yet."""
    APPLYING = "applying"
    """It is being carried out; if nothing is, that run was killed."""
    APPLIED = "applied"
    """All is as wanted."""
    AUTO_APPLIED = "auto-applied"
    """All is as wanted, and was made so while the system started."""
    OCCUPIED = "occupied"
    """What is wanted would cost what is there, so that nothing was done."""
    UNDETERMINED = "undetermined"
    """What is there could not be told, so that nothing was done."""
    REFUSED = "refused"
    """It cannot be done; nothing was changed."""
    WIPED = "wiped"
    """Disks were wiped since it was as wanted."""
    FAILED = "failed"
    """Something may have been changed, and not all is as wanted."""

    @property
    def exit_status(self) -> int:
        """What `pre-nixos status` exits with."""
        return _EXITS.get(self, 1)


NO_STATUS = 5
"""What `pre-nixos status` exits with where there is nothing to read."""
_EXITS = {
    State.APPLIED: 0,
    State.AUTO_APPLIED: 0,
    State.PLANNED: 3,
    State.APPLYING: 3,
    State.OCCUPIED: 4,
    State.UNDETERMINED: 4,
    State.OFF: NO_STATUS,
    State.WIPED: NO_STATUS,
}


class Status(Data):
    """How it stands, with a sentence about it."""

    state: State
    detail: str = ""


def write_status(status: Status, *, root: str = "/", directory: str = DIRECTORY) -> None:
    """Write it down, whole; whoever reads sees the old one or the new one. Raises NotDone."""
    text = f"STATE={status.state}\nDETAIL={_quoted(one_line(status.detail))}\n"
    # Whoever made our own directory for a lock kept it to themselves; how it stands is for everybody.
    write(path_of(root, directory), text, directory_mode=0o755 if directory == DIRECTORY else None)


def read_status(*, root: str = "/", directory: str = DIRECTORY) -> Status | None:
    """Read it; None if nobody wrote one. Raises NotDone if what is there is no status."""
    path = path_of(root, directory)
    text = read(path)
    if not text:
        return None
    lines = {key: value for key, _, value in (each.partition("=") for each in text.split("\n"))}
    try:
        return Status(state=State(lines["STATE"]), detail=_unquoted(lines["DETAIL"]))
    except (KeyError, ValueError) as error:
        raise NotDone(f"{path} is no status that pre-nixos wrote, or not all of one.") from error


def path_of(root: str, directory: str = DIRECTORY) -> str:
    """Give where the status is."""
    return f"{below(root, directory)}/{NAME}"


def one_line(text: str) -> str:
    """Make one line of any text, of which nothing is a command to a terminal."""
    from pre_nixos.render.text import printable

    lines = filter(None, (each.strip() for each in text.splitlines()))
    line = " ".join(printable(each) for each in lines).encode("utf-8", "backslashreplace").decode()
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."


def _quoted(text: str) -> str:
    """Quote as in /etc/os-release, which shells and systemd take too."""
    if not set(text) - _PLAIN:
        return text
    return '"' + "".join(f"\\{each}" if each in _ESCAPED else each for each in text) + '"'


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    if len(text) < 2 or not text.endswith('"'):
        raise ValueError("a quote is missing")
    characters = iter(text[1:-1])
    return "".join(next(characters, "") if each == "\\" else each for each in characters)
