"""Where the lines of a log go: files, and the journal of systemd. None of them raises, and none makes anybody wait."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

JOURNAL = "/run/systemd/journal/socket"
NAME = "pre-nixos"
_ERROR, _INFO = 3, 6
"""Priorities, as syslog numbers them."""


class FileSink:
    """Appends whole lines to a file that others may be appending to as well."""

    def __init__(self, path: str, trouble: Callable[[str], None]) -> None:
        """Open the file; OSError if that fails. `trouble` is told, once, why lines are missing."""
        # Not waiting, should it be a pipe that nobody reads.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        self._descriptor = os.open(path, flags, 0o600)
        self._trouble: Callable[[str], None] | None = trouble
        self._path = path
        self._torn = False
        with contextlib.suppress(OSError):  # what cannot be read back is no ordinary file
            end = os.fstat(self._descriptor).st_size
            self._torn = end > 0 and os.pread(self._descriptor, 1, end - 1) != b"\n"

    def __call__(self, line: str, bad: bool) -> None:  # noqa: FBT001 - what every sink takes
        """Append a line."""
        del bad
        # A line that was torn, by a crash or a full disk, must not swallow this one.
        data = (b"\n" if self._torn else b"") + line.encode("utf-8", "backslashreplace") + b"\n"
        try:
            self._torn = os.write(self._descriptor, data) < len(data)
        except OSError as error:
            if self._trouble is not None:
                self._trouble(f"{self._path}: {error.strerror}; lines are missing in it from here on.")
            self._trouble = None

    def close(self) -> None:
        """Append no more."""
        os.close(self._descriptor)


class JournalSink:
    """Sends lines to systemd's journal, as long as it takes them at once."""

    def __init__(self, path: str = JOURNAL, *, run: str) -> None:
        """Connect; OSError if there is no journal."""
        import _socket  # what `socket` wraps, and all that is needed of it

        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
        self._run = run
        try:
            self._socket.settimeout(0)
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise

    def __call__(self, line: str, bad: bool) -> None:  # noqa: FBT001 - what every sink takes
        """Send a line."""
        if "\n" in line:
            return
        priority = _ERROR if bad else _INFO
        fields = f"MESSAGE={line}\nPRIORITY={priority}\nSYSLOG_IDENTIFIER={NAME}\nPRE_NIXOS_RUN={self._run}\n"
        with contextlib.suppress(OSError):  # too long for it, or it is busy: the file has the line
            self._socket.send(fields.encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """Send no more."""
        self._socket.close()
