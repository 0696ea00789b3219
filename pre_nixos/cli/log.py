"""The log of a run: every event as a JSON line with its time. Only who has something to log loads structlog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from pre_nixos.flow.outcome import ActionBegan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pre_nixos.flow.outcome import Event

    Sink = Callable[[str, bool], None]
    """Takes a line, and whether it is about something that went wrong."""


class EventLog:
    """Writes events, and what else is to be told of a run, to every sink; none of them may raise or wait."""

    def __init__(self, sinks: Sequence[Sink], *, run: str, names: Mapping[str, str] = {}) -> None:
        """Take the number of the run, and what the kernel calls the disks, by id."""
        log: Any = structlog.wrap_logger(
            _Spread(sinks),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso"),
                structlog.processors.JSONRenderer(),
            ],
            wrapper_class=structlog.BoundLogger,
        )
        self._log = log.bind(run=run)
        self._names = names
        self._touched: Mapping[str, Sequence[str]] = {}

    def __call__(self, event: Event) -> None:
        """Write an event: with the action it belongs to, the disks that touches, and how long it took."""
        said: dict[str, Any] = msgspec.to_builtins(event)
        if isinstance(event, ActionBegan):
            said["disks"] = said.pop("touches", [])
            self._touched = {event.action: [self._names.get(each, each) for each in event.touches]}
        if devices := self._touched.get(said.get("action", "")):
            said["device"] = devices
        if "seconds" in said:
            said["duration"] = said.pop("seconds")
        self.tell(said.pop("event"), bad=said.get("ok") is False, **said)

    def tell(self, event: str, *, bad: bool = False, **said: object) -> None:
        """Write something else."""
        (self._log.error if bad else self._log.info)(event, **said)


class _Spread:
    """What structlog calls for the finished line, by the name of its level."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)

    def info(self, line: str) -> None:
        for sink in self._sinks:
            sink(line, False)  # noqa: FBT003 - a sink takes what it takes

    def error(self, line: str) -> None:
        for sink in self._sinks:
            sink(line, True)  # noqa: FBT003 - as above
