"""`pre-nixos auto`: what an installer does about disks while it starts, with nobody there to be asked.

It says what would be done, in the status. It does it only where that was switched on, and only what loses nothing.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

from pre_nixos.cli.complaint import Complaint, Outcome, complaint_about
from pre_nixos.cli.consented import add_jobs, add_keeping, carry_out, check_keeping, require_turn
from pre_nixos.cli.interrupts import Interrupts
from pre_nixos.cli.policy import add_choice, at_root, chosen, wanted_by
from pre_nixos.cli.source import PLANNED, look, require_root
from pre_nixos.cli.standing import Standing, add_status_directory
from pre_nixos.installer.kernelline import KernelLine, Mode, kernel_line_of
from pre_nixos.installer.status import State

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session
    from pre_nixos.installer.decide import Decision
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan

NEEDS_POLICY = True


def declare(parser: Parser) -> None:
    """Say what may stand behind `auto`."""
    add_choice(parser)
    parser.add_argument(
        "--apply",
        action="store_true",
        help="carry out a plan by which nothing is lost; without this, and without pre.mode=apply on the kernel's "
        "command line, nothing is ever carried out",
    )
    add_jobs(parser)
    add_keeping(parser)
    add_status_directory(parser, "where the status is written")


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Look, plan, and perhaps do it; the status says how that went, whatever happens."""
    check_keeping(arguments)
    run = _Run(arguments, session)
    try:
        return run.everything()
    except Exception as error:
        complaint = complaint_about(error)
        failed = complaint.outcome is Outcome.FAILED or (run.began and complaint is not error)
        run.standing.put(State.FAILED if failed else State.REFUSED, " ".join(complaint.problems))
        raise


def misused(words: Sequence[str], session: Session, complaint: Complaint) -> None:
    """Say in the status that the words make no sense: whoever wrote the unit is not there to read the message."""
    given = ["", *words]
    found = [word.partition("=")[2] for word in words if word.startswith("--status-dir=")]
    found += [word for before, word in pairwise(given) if before == "--status-dir"]
    directory = found[-1] if found else None
    Standing(session, directory, always=True).put(State.REFUSED, " ".join(complaint.problems))


class _Run:
    def __init__(self, arguments: argparse.Namespace, session: Session) -> None:
        self._arguments = arguments
        self._session = session
        self.standing = Standing(session, arguments.status_dir, always=True, done=State.AUTO_APPLIED)
        self.began = False
        """Whether it was tried to carry anything out."""

    def everything(self) -> int:
        from pre_nixos.flow.schedule import schedule
        from pre_nixos.installer.decide import decide
        from pre_nixos.render.words import kernel_names

        root = self._session.root
        said = KernelLine() if root is None else kernel_line_of(root)
        for each in said.remarks:
            self._session.err.say(each)
        mode = said.mode_or(Mode.APPLY if self._arguments.apply else Mode.PLAN)
        if mode is Mode.OFF:
            self._stand(State.OFF, "pre.mode=off was said on the kernel's command line")
            return 0
        require_root(self._session, "read what is on the disks", instead=PLANNED)
        require_turn(self._session)
        machine = look(self._session)
        plan = schedule(machine, self._wanted(said, machine), registry=self._session.registry)
        decision = decide(plan, mode, kernel_names(machine.graph), command=self._command(said, plan))
        with Interrupts() as stop:
            if decision.use:
                machine = self._used(plan, machine)
                plan = schedule(machine, self._wanted(said, machine), registry=self._session.registry)
                command = self._command(said, plan)
                decision = decide(plan, mode, kernel_names(machine.graph), command=command, used=True)
            if stop.asked:
                self._stand(
                    State.PLANNED, "stopped, as asked; what is there may have been opened, and nothing was changed"
                )
                return 1
            if decision.go:
                self.began = True
                return carry_out(plan, plan.digest, self._arguments, self._session, machine, standing=self.standing)
            return self._left(plan, decision)

    def _used(self, plan: Plan, machine: Machine) -> Machine:
        """Open and assemble what is there and wanted, so that what is in it can be seen."""
        from argparse import Namespace

        from pre_nixos.flow.outcome import Refused
        from pre_nixos.flow.schedule import schedule
        from pre_nixos.model.action import Verb

        using = schedule(machine, plan.wanted, only={Verb.ACTIVATE}, registry=self._session.registry)
        if using.objections or not using.actions:
            return machine
        self.began = True
        # Its report is not the one that was asked for.
        aside = Namespace(**{**vars(self._arguments), "json": False, "report": None})
        with suppress(Refused, Complaint):  # what could not be used, or is not as wanted, is decided about next
            carry_out(using, using.digest, aside, self._session, machine, last=False)
        return look(self._session)

    def _wanted(self, said: KernelLine, machine: Machine) -> Wanted:
        """Ask the policy that was said when the system was started, or else what the command names."""
        arguments, session = self._arguments, self._session
        if said.policy is None or said.policy == chosen(arguments):
            return wanted_by(arguments, machine, session)
        from pre_nixos.flow.propose import propose

        session.err.say(f"The policy is {said.policy}, with none of its options, as the kernel's command line has it.")
        return at_root(arguments, propose(machine, said.policy, {}, registry=session.registry))

    def _command(self, said: KernelLine, plan: Plan) -> Sequence[str]:
        """Give what a person types who agrees to the plan."""
        from pre_nixos.cli.plan import command_for

        words = self._arguments.words
        if said.policy is not None and said.policy != chosen(self._arguments):
            root = self._arguments.root
            words = ("--policy", said.policy, *(("--root", root) if root else ()))
        return command_for(plan, words, without=())

    def _left(self, plan: Plan, decision: Decision) -> int:
        """Say why nothing is done, and keep the plan for who may agree to it."""
        from pre_nixos.cli.runlog import RunLog

        arguments, session = self._arguments, self._session
        if decision.state in {State.REFUSED, State.UNDETERMINED}:
            self._stand(decision.state, decision.detail, plan)
            return 1
        with RunLog(plan, session, "auto", arguments.log_dir, arguments.log) as log:
            log.left(decision.state)
        self._stand(decision.state, decision.detail, plan)
        return 0

    def _stand(self, state: State, detail: str, plan: Plan | None = None) -> None:
        self.standing.put(state, detail)
        if self._arguments.json:
            digest = plan.digest if plan is not None and not plan.objections else ""
            content = {"state": state, "detail": detail, "digest": digest}
            self._session.put_json({"format": "pre-nixos auto", "version": 1, **content})
        else:
            self._session.out.say(f"{state}: {detail}")
