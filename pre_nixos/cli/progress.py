"""What an apply is doing, as it does it: a display on a terminal, one line an action anywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pre_nixos.flow.outcome import ActionBegan, ActionEnded, Looking, Noted, Planned, Said, StepEnded
from pre_nixos.render.members import shortened
from pre_nixos.render.plan import counted
from pre_nixos.render.text import Span, Style, plain, printable, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

    from rich.progress import Progress

    from pre_nixos.cli.screen import Screen
    from pre_nixos.flow.outcome import Event
    from pre_nixos.model.layer import Disk

SECONDS_WIDTH = 8
"""As wide as ` 123.4 s`."""
_TO_COME = "\0"
"""In no text that was made printable."""


class Display(Protocol):
    """Something that is told of events while it is entered."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, and leave the screen tidy."""
        ...

    def __call__(self, event: Event) -> None:
        """Show one event. Whatever the screen does, this never fails and never waits long."""
        ...


def display_on(screen: Screen, disks: Iterable[Disk] = ()) -> Display:
    """Give the display that suits a screen; lists of these disks are said briefly."""
    return LiveDisplay(screen, disks) if screen.is_live else PlainDisplay(screen, disks)


def _announced(event: Planned) -> str:
    if event.round == 1:
        return ""
    return f"There is more to do: {counted(event.actions, 'action')}." if event.actions else ""


def _first_line(text: str) -> str:
    return printable(text.partition("\n")[0])


class PlainDisplay:
    """One line an action: what it is when it begins, how long it took when it is over."""

    def __init__(self, screen: Screen, disks: Iterable[Disk] = ()) -> None:
        self._screen = screen
        self._shorten = shortened(disks)
        self._running: dict[str, str] = {}
        """What has begun and not ended, by the action's id."""
        self._within_line = ""
        """The action whose line has no end yet."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_line()

    def __call__(self, event: Event) -> None:
        """Write what is to be said of an event."""
        match event:
            case ActionBegan():
                width = len(str(event.of))
                where = f"[{event.position:>{width}}/{event.of}] "
                self._running[event.action] = f"{where}{printable(self._shorten(event.summary))} ..."
                self._write(self._running[event.action], margin=len(where), room=SECONDS_WIDTH)
                self._within_line = event.action
            case ActionEnded(ok=True):
                self._end(event, f" {event.seconds:.1f} s")
            case ActionEnded():
                self._end(event, " FAILED")
                self._write(f"    after {event.seconds:.1f} s: {_first_line(event.problem)}", margin=4)
            case Looking():
                self._write("Looking at the machine again." if event.round > 1 else "Looking at the machine.")
            case Planned():
                self._write(_announced(event))
            case Noted():
                self._write(f"Note: {printable(event.text)}")
            case Said():
                self._write(f"    | {printable(event.text)}", margin=6)
            case StepEnded():
                pass

    def _write(self, text: str, *, margin: int = 0, room: int = 0) -> None:
        """Write text on lines of its own, the last of which is left open if there is to be room for more."""
        if not text:
            return
        self._end_line()
        # What is still to come belongs to the last word, and holds its place until then.
        lines = wrapped((Span(text + _TO_COME * room),), self._screen.width, margin=" " * margin)
        told = "\n".join(plain(each).rstrip(_TO_COME) for each in lines)
        self._screen.write_soon(told if room else f"{told}\n")

    def _end(self, event: ActionEnded, how: str) -> None:
        """Say how an action ended behind what was said when it began; again, if something else was said meanwhile."""
        begun = self._running.pop(event.action, "")
        if self._within_line != event.action:
            self._write(begun, margin=begun.find("]") + 2, room=SECONDS_WIDTH)
        self._screen.write_soon(how)
        self._within_line = event.action
        self._end_line()

    def _end_line(self) -> None:
        if self._within_line:
            self._screen.write_soon("\n")
        self._within_line = ""


class LiveDisplay:
    """A bar and the action that runs; what is done moves up and stays."""

    def __init__(self, screen: Screen, disks: Iterable[Disk] = ()) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        self._progress: Progress = Progress(
            SpinnerColumn(),
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=screen.console,
            expand=True,
            transient=True,
        )
        self._screen = screen
        self._shorten = shortened(disks)
        self._task = self._progress.add_task("Looking at the machine", total=None, start=False)
        self._running: dict[str, str] = {}
        """What has begun and not ended, by the action's id."""
        self._ended = 0
        self._broken = False

    def __enter__(self) -> Self:
        self._progress.start_task(self._task)
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._safely(self._progress.stop)

    def __call__(self, event: Event) -> None:
        """Show an event; a terminal that is gone is no reason to stop."""
        self._safely(lambda: self._show(event))

    def _safely(self, act: _Act) -> None:
        if self._broken:
            return
        try:
            act()
        except OSError:
            self._broken = True

    def _show(self, event: Event) -> None:
        progress, task = self._progress, self._task
        match event:
            case ActionBegan():
                self._running[event.action] = printable(self._shorten(event.summary))
                progress.update(task, description=self._now(), total=event.of, completed=self._ended)
            case ActionEnded():
                self._ended += 1
                self._tell_end(event)
                progress.update(task, description=self._now(), completed=self._ended)
            case Looking():
                again = " again" if event.round > 1 else ""
                progress.update(task, description=f"Looking at the machine{again}", total=None)
            case Planned():
                self._ended = 0
                self._tell(_announced(event), Style.CAUTION)
            case Noted():
                self._tell(f"Note: {printable(event.text)}", Style.CAUTION)
            case Said():
                self._tell(f"| {printable(event.text)}", Style.FAINT, margin=2)
            case StepEnded():
                pass

    def _tell_end(self, event: ActionEnded) -> None:
        sign, style = ("done  ", Style.GOOD) if event.ok else ("FAILED", Style.BAD)
        head = f"{sign} {event.seconds:6.1f} s  "
        why = "" if event.ok else f": {_first_line(event.problem)}"
        self._tell(f"{head}{self._running.pop(event.action, '')}{why}", style, margin=len(head))

    def _now(self) -> str | None:
        """Say what runs; None if nothing does, and what is shown is to stay."""
        first, *others = [*self._running.values()] or [""]
        return (f"{len(others) + 1} at a time: {first}" if others else first) or None

    def _tell(self, text: str, style: Style, margin: int = 0) -> None:
        """Put text above the bar, where it stays."""
        for each in wrapped((Span(text, style),), self._screen.width, margin=" " * margin) if text else ():
            self._progress.print(self._screen.as_rich(each), soft_wrap=True)


class _Act(Protocol):
    def __call__(self) -> object: ...
