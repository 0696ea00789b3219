"""What is kept of a run of the program: its events, its plan and its report, beside each other in one directory.

A run that only looked, and found that all is as wanted, leaves no trace: nothing happened.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from pre_nixos.cli.complaint import Complaint
from pre_nixos.flow.diagnostics import PLACE
from pre_nixos.flow.outcome import Looking, Planned
from pre_nixos.installer.files import below
from pre_nixos.installer.status import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from pre_nixos.cli.log import EventLog, Sink
    from pre_nixos.cli.session import Session
    from pre_nixos.cli.standing import Standing
    from pre_nixos.flow.outcome import Event, Report
    from pre_nixos.model.plan import Plan

ACTIONS = "actions.log"
PLAN = "plan.json"
REPORT = "report.json"


class RunLog:
    """The log of one run. What cannot be written is said once, and stops nothing."""

    def __init__(
        self,
        plan: Plan,
        session: Session,
        command: str,
        directory: str | None = None,
        file: str | None = None,
        *,
        names: Mapping[str, str] = {},
        standing: Standing | None = None,
    ) -> None:
        """Take the plan that is to be carried out, and where to write: the directory of logs, and one more file.

        `standing` is told how it stands, where there is one.
        """
        self.run = _new_run()
        self.directory = directory or (None if session.root is None else below(session.root, PLACE))
        self._plan = plan
        self._session = session
        self._command = command
        self._file = file
        self._names = names
        self._standing = standing
        self._stack = ExitStack()
        self._log: EventLog | None = None
        self._waiting: list[Event] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def __call__(self, event: Event) -> None:
        """Write an event."""
        if self._log is None and isinstance(event, Looking):
            self._waiting.append(event)
            return
        log = self._begin()
        if isinstance(event, Planned) and event.round == 1:
            self._keep_plan()
            if self._standing is not None:
                self._standing.put(State.APPLYING, f"{event.actions} actions, as agreed to with {self._plan.digest}")
        log(event)

    def ended(self, outcome: str, problems: Sequence[str] = (), report: Report | None = None) -> None:
        """Write how it ended: `done`, `refused` or `failed`."""
        if self._standing is not None:
            self._tell(self._standing, outcome, problems, report)
        idle = report is not None and not report.rounds
        if idle and not self._file:
            return
        log = self._begin(only_file=idle)
        if report is not None and not idle:
            self._keep(REPORT, self._encoded(report))
        log.tell(
            "run-ended",
            bad=outcome != "done",
            outcome=outcome,
            **({"problems": list(problems)} if problems else {}),
            **({"duration": report.seconds, "actions": report.actions} if report is not None else {}),
            **({"diagnostics": report.diagnostics} if report is not None and report.diagnostics else {}),
        )

    def left(self, state: State) -> None:
        """Write that nothing is done, and the plan that somebody else may agree to."""
        log = self._begin()
        self._keep_plan()
        log.tell("run-ended", outcome=str(state))

    def _tell(self, standing: Standing, outcome: str, problems: Sequence[str], report: Report | None) -> None:
        from pre_nixos.cli.aftermath import success

        state = {"done": standing.done, "refused": State.REFUSED}.get(outcome, State.FAILED)
        well = success(report, self._plan.only) if report is not None and outcome == "done" else ""
        standing.put(state, well or " ".join(problems))

    def _begin(self, *, only_file: bool = False) -> EventLog:
        if self._log is not None:
            return self._log
        from pre_nixos.cli.log import EventLog

        sinks: list[Sink] = []
        if self._file:
            self._add_file(self._file, sinks)
        if self.directory is not None and not only_file:
            self._add_directory(self.directory, sinks)
        self._log = EventLog(sinks, run=self.run, names=self._names)
        self._log.tell(
            "run-began",
            command=self._command,
            digest=self._plan.digest,
            planned=len(self._plan.actions),
            pid=os.getpid(),
        )
        for event in self._waiting:
            self._log(event)
        return self._log

    def _add_file(self, path: str, sinks: list[Sink]) -> None:
        from pre_nixos.cli.sinks import FileSink

        try:
            sink = FileSink(path, self._complain)
        except OSError as error:
            self._complain(f"{path}: {error.strerror}.")
            return
        self._stack.callback(sink.close)
        sinks.append(sink)

    def _add_directory(self, directory: str, sinks: list[Sink]) -> None:
        from pre_nixos.cli.sinks import JOURNAL, JournalSink

        if self._session.root is not None:
            try:
                journal = JournalSink(below(self._session.root, JOURNAL), run=self.run)
            except OSError:
                pass  # most systems have one, and those that have none do not miss it
            else:
                self._stack.callback(journal.close)
                sinks.append(journal)
        try:
            os.makedirs(directory, 0o755, exist_ok=True)
        except OSError as error:
            self._complain(f"{directory}: {error.strerror}.")
            return
        self._add_file(f"{directory}/{ACTIONS}", sinks)

    def _keep_plan(self) -> None:
        """Put the plan in the place of the last run's, and take away its report, which would be taken for ours.

        Not before it is our turn: another run may be at work until then.
        """
        from pre_nixos.flow.documents import dump_plan

        self._forget(REPORT)
        self._keep(PLAN, dump_plan(self._plan, registry=self._session.registry) + b"\n")

    def _encoded(self, report: Report) -> bytes:
        from pre_nixos.flow.documents import REPORT as FORMAT
        from pre_nixos.model.codec import encode

        return encode(report, format=FORMAT, owners=self._session.registry.writers) + b"\n"

    def _keep(self, name: str, content: bytes) -> None:
        from pre_nixos.cli.files import write_file

        if self.directory is None or not os.path.isdir(self.directory):
            return
        try:
            write_file(f"{self.directory}/{name}", content)
        except Complaint as complaint:
            self._complain(str(complaint))

    def _forget(self, name: str) -> None:
        if self.directory is None or not os.path.isdir(self.directory):
            return
        try:
            os.unlink(f"{self.directory}/{name}")
        except FileNotFoundError:
            pass
        except OSError as error:
            self._complain(f"{self.directory}/{name}: {error.strerror}.")

    def _complain(self, problem: str) -> None:
        self._session.err.write_soon(f"Note: the log is not complete: {problem}\n")


def _new_run() -> str:
    """Give a number no other run has; those of one machine sort as they were begun."""
    import time

    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(3).hex()}"
