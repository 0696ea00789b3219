"""The log of an apply: every event as a JSON line with its time. Only who asks for a log loads structlog."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from pre_nixos.flow.outcome import Event


def event_log(file: TextIO) -> Callable[[Event], None]:
    """Give an observer that appends to a file; a file that can no longer be written stops nothing."""
    log: Any = structlog.wrap_logger(
        structlog.WriteLogger(file),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
    )

    def note(event: Event) -> None:
        said: dict[str, Any] = msgspec.to_builtins(event)
        problem = said.get("ok") is False
        with contextlib.suppress(OSError):
            (log.error if problem else log.info)(said.pop("event"), **said)

    return note
