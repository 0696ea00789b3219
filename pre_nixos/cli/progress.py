"""What an apply is doing, as it does it: a display on a terminal, one line an action anywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pre_nixos.flow.outcome import ActionBegan, ActionEnded, Looking, Noted, Planned, StepEnded
from pre_nixos.render.text import printable

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.progress import Progress

    from pre_nixos.cli.screen import Screen
    from pre_nixos.flow.outcome import Event


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


def display_on(screen: Screen) -> Display:
    """Give the display that suits a screen."""
    return LiveDisplay(screen) if screen.is_live else PlainDisplay(screen)


def _announced(event: Planned) -> str:
    if event.round == 1:
        return ""
    return f"Not everything was as wanted; {event.actions} more to do." if event.actions else ""


def _first_line(text: str) -> str:
    return printable(text.partition("\n")[0])


class PlainDisplay:
    """One line an action: what it is when it begins, how long it took when it is over."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._within_line = False

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
                self._write(f"[{event.position:>{width}}/{event.of}] {printable(event.summary)} ... ", ends=False)
            case ActionEnded():
                if event.ok:
                    self._write(f"{event.seconds:.1f} s", goes_on=True)
                else:
                    self._write(f"FAILED after {event.seconds:.1f} s: {_first_line(event.problem)}", goes_on=True)
            case Looking():
                self._write("Looking at the machine again." if event.round > 1 else "Looking at the machine.")
            case Planned():
                self._write(_announced(event))
            case Noted():
                self._write(f"Note: {printable(event.text)}")
            case StepEnded():
                pass

    def _write(self, text: str, *, ends: bool = True, goes_on: bool = False) -> None:
        if not text:
            return
        if self._within_line and not goes_on:
            self._end_line()
        self._screen.write_soon(f"{text}\n" if ends else text)
        self._within_line = not ends

    def _end_line(self) -> None:
        if self._within_line:
            self._screen.write_soon("\n")
        self._within_line = False


class LiveDisplay:
    """A bar and the action that runs; what is done moves up and stays."""

    def __init__(self, screen: Screen) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        self._progress: Progress = Progress(
            SpinnerColumn(),
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=screen.console,
            expand=True,
            transient=True,
        )
        self._task = self._progress.add_task("Looking at the machine", total=None, start=False)
        self._summary = ""
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
                self._summary = printable(event.summary)
                progress.update(task, description=self._summary, total=event.of, completed=event.position - 1)
            case ActionEnded():
                progress.advance(task)
                sign, style = ("done  ", "green") if event.ok else ("FAILED", "bold red")
                why = "" if event.ok else f": {_first_line(event.problem)}"
                progress.print(f"{sign} {event.seconds:6.1f} s  {self._summary}{why}", style=style, highlight=False)
            case Looking():
                again = " again" if event.round > 1 else ""
                progress.update(task, description=f"Looking at the machine{again}", total=None)
            case Planned():
                if text := _announced(event):
                    progress.print(text, style="yellow")
            case Noted():
                progress.print(f"Note: {printable(event.text)}", style="yellow")
            case StepEnded():
                pass


class _Act(Protocol):
    def __call__(self) -> object: ...
