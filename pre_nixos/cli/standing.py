"""How it stands, kept up to date in `/run/pre-nixos/storage-status` by the commands that change it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pre_nixos.installer.files import NotDone
from pre_nixos.installer.status import DIRECTORY, State, Status, path_of, read_status, write_status

if TYPE_CHECKING:
    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session


def add_status_directory(parser: Parser, what: str) -> None:
    """Add the option that says where the status is."""
    parser.add_argument("--status-dir", metavar="DIR", type=os.path.abspath, help=f"{what} (default: {DIRECTORY})")


def standing_in(directory: str | None, session: Session) -> Status | None:
    """Read how it stands: in a directory that was named, else where the system has its status. Raises NotDone."""
    return read_status(root="/", directory=directory) if directory else read_status(root=session.own_root)


class Standing:
    """Writes the status; what cannot be written is said, and stops nothing."""

    def __init__(
        self, session: Session, directory: str | None, *, always: bool = False, done: State = State.APPLIED
    ) -> None:
        """Write into a directory that was named; else where the system has its status, if `always` or there is one.

        `done` is what it is called when all is as wanted.
        """
        self._session = session
        self._directory = os.path.abspath(directory) if directory else DIRECTORY
        self._root = "/" if directory else session.root
        self.done = done
        if self._root is not None and not (always or directory) and not os.path.lexists(path_of(self._root)):
            self._root = None

    def put(self, state: State, detail: str = "") -> None:
        """Write how it stands now."""
        if self._root is None:
            return
        try:
            write_status(Status(state=state, detail=detail), root=self._root, directory=self._directory)
        except NotDone as error:
            self._session.err.write_soon(f"Note: the status was not written: {error}\n")
