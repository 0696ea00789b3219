"""Stopping an apply: asked for by a signal, heard between two actions."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAID = b"\r\nStopping as soon as this action is over; what it runs must not be cut off.\r\n"


class Interrupts:
    """While this is entered, the signals that end a program only ask it to stop.

    One that is entered inside of another hears for both.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        """Take the descriptor to confirm on that a signal was heard."""
        self._descriptor = descriptor
        self._before: dict[signal.Signals, object] = {}
        self.asked = False

    def __enter__(self) -> Self:
        for each in SIGNALS:
            self._before[each] = signal.signal(each, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - as it was given

    def __call__(self) -> bool:
        """Whether somebody asked to stop."""
        return self.asked

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        outer = getattr(self._before.get(signal.Signals(number)), "__self__", None)
        if isinstance(outer, Interrupts):
            outer._hear(number, frame)  # noqa: SLF001 - one of us
        if self._descriptor is not None:
            # Not through the stream, which may be in the middle of writing; and never waiting for a reader.
            with contextlib.suppress(OSError):
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                if poll.poll(0):
                    os.write(self._descriptor, SAID)
