"""Hearing what a program says while it still runs, a line at a time, from the files its output goes to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EVERY = 0.2
"""Seconds between two looks at what was said."""
LONGEST = 4000
"""Bytes of a line that are worth telling."""


class Ear:
    """Tells each line once it is whole; what has no end when the program ends is told then."""

    def __init__(self, files: Sequence[int], tell: Callable[[str], None]) -> None:
        """Listen to these files, which grow."""
        self._heard = dict.fromkeys(files, 0)
        self._rest = dict.fromkeys(files, b"")
        self._tell = tell

    def listen(self, *, last: bool = False) -> None:
        """Tell what has been said since, also what has no end yet if it is the last time."""
        for file, at in self._heard.items():
            there = os.fstat(file).st_size
            said = self._rest[file] + os.pread(file, there - at, at) if there > at else self._rest[file]
            self._heard[file] = max(at, there)
            *lines, self._rest[file] = said.split(b"\n")
            if last and self._rest[file]:
                lines.append(self._rest[file])
                self._rest[file] = b""
            for line in lines:
                # Whoever draws progress returns to the beginning of the line: only what was drawn last is told.
                text = line[:LONGEST].decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]
                if text.strip():
                    self._tell(text)
