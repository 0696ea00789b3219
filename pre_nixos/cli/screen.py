"""Where text goes: a terminal with colours, a serial line, a pipe; and what each can show."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from pre_nixos.render.text import ASCII, UNICODE, Guides, Line, Style, paragraph, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TextIO

    from rich.console import Console
    from rich.text import Text

WIDTH = 80
NARROWEST, WIDEST = 50, 140
PATIENCE = 2.0
"""Seconds a terminal may take before a message that is only for information is dropped."""

SIMPLE_TERMINALS = frozenset({"", "dumb", "unknown", "vt100", "vt102", "vt220"})
_SERIAL = re.compile(r"/dev/(console|hvc|hvsi|sclp|tty(S|AMA|USB|ACM|O|PS|MSM|mxc|SAC|LP|SC)\d)")

COLOURS: Mapping[Style, str] = {
    Style.HEADING: "bold",
    Style.NAME: "bold",
    Style.SIZE: "cyan",
    Style.FAINT: "dim",
    Style.GOOD: "green",
    Style.CAUTION: "yellow",
    Style.BAD: "bold red",
    Style.MADE: "bold green",
    Style.CHANGED: "bold yellow",
    Style.GONE: "red",
}


class Screen:
    """One of the two streams a command writes to."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        """Find out what the stream is and what it can show."""
        self._stream = stream
        self._console: Console | None = None
        self.closed = False
        """Whether nobody reads it any more."""
        self.is_terminal = stream.isatty()
        serial = self.is_terminal and _is_serial(stream, environ)
        self.is_live = self.is_terminal and not serial
        """Whether it can be redrawn."""
        self._environ = dict(environ)
        self.is_coloured = self.is_live and not environ.get("NO_COLOR")
        self.guides: Guides = ASCII if serial or not _can_show(stream, UNICODE) else UNICODE
        self.width = min(max(_columns(stream, environ), NARROWEST), WIDEST)

    def show(self, lines: Iterable[Line]) -> None:
        """Write lines, in colour where that can be seen."""
        if self.is_coloured:
            self._show_coloured(lines)
            return
        self.write("".join(f"{plain(each)}\n" for each in lines))

    def say(self, text: str, style: Style = Style.PLAIN) -> None:
        """Write text for people, broken into lines that fit."""
        self.show(paragraph(text, self.width, style=style))

    def write(self, text: str) -> None:
        """Write text as it is; what the stream's encoding lacks is written as an escape."""
        if self.closed or not text:
            return
        encoding = self._stream.encoding or "utf-8"
        try:
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            self._stream.flush()
        except BrokenPipeError:
            self.close()

    def write_soon(self, text: str) -> None:
        """Write text unless nobody takes it in time: what is being done matters more than that it is told."""
        if self.closed or not self._takes_more():
            return
        try:
            self.write(text)
        except OSError:
            self.close()

    def descriptor(self) -> int | None:
        """Give the file descriptor behind the stream, if there is one."""
        try:
            return self._stream.fileno()
        except (OSError, ValueError):
            return None

    def close(self) -> None:
        """Write no more; nobody reads it."""
        self.closed = True
        descriptor = self.descriptor()
        if descriptor is not None:
            # What Python still has for it must not fail when it ends.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)

    @property
    def console(self) -> Console:
        """What rich draws on; only on a terminal is it worth loading."""
        if self._console is None:
            from rich.console import Console

            self._console = Console(
                file=self._stream,
                force_terminal=self.is_live,
                no_color=not self.is_coloured,
                width=self.width,
                highlight=False,
                markup=False,
                emoji=False,
                # Not whatever this process was started with: only what the session says counts.
                _environ=self._environ,
            )
        return self._console

    def as_rich(self, line: Line) -> Text:
        """Give a line as what the console prints in colour."""
        from rich.text import Text

        text = Text.assemble(*((span.text, COLOURS.get(span.style, "")) for span in line))
        text.rstrip()
        return text

    def _show_coloured(self, lines: Iterable[Line]) -> None:
        if self.closed:
            return
        try:
            for each in lines:
                self.console.print(self.as_rich(each), soft_wrap=True)
        except BrokenPipeError:
            self.close()

    def _takes_more(self) -> bool:
        import select

        descriptor = self.descriptor()
        if descriptor is None:
            return True  # nothing to wait for
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        return bool(poll.poll(PATIENCE * 1000))


def _is_serial(stream: TextIO, environ: Mapping[str, str]) -> bool:
    if environ.get("TERM", "") in SIMPLE_TERMINALS:
        return True
    try:
        return _SERIAL.match(os.ttyname(stream.fileno())) is not None
    except (OSError, ValueError):
        return False


def _can_show(stream: TextIO, guides: Guides) -> bool:
    try:
        "".join(guides).encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _columns(stream: TextIO, environ: Mapping[str, str]) -> int:
    said = environ.get("COLUMNS", "")
    if said.isdecimal() and int(said):
        return int(said)
    try:
        return os.get_terminal_size(stream.fileno()).columns or WIDTH
    except (OSError, ValueError):
        return WIDTH
