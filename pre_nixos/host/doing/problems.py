"""How a step that was not done leaves: with words, and with whether a guard said no."""

from __future__ import annotations

import os


class NotDoneError(Exception):
    """The step was not done; the message says what happened, to which device, and what was changed."""


class RefusedError(NotDoneError):
    """A guard said no before anything was written."""


class NotNowError(RefusedError):
    """A guard said no to something that may be over in a moment."""


class Effort:
    """What a step has cost and changed so far: the only thing that must survive when it fails half way."""

    def __init__(self) -> None:
        self.wrote = False
        self.processes = 0


def words(error: OSError) -> str:
    """The system's words for an error, without the number."""
    return os.strerror(error.errno) if error.errno else str(error)
