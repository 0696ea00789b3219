"""apply: look, schedule, run; and when something goes wrong, look again.

What runs is exactly what the plan shows, on disks that are held open from before the first step to after the last one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from pre_nixos.flow.consent import Doings, agreed_to, not_covered, require_consent, unasked, unseen
from pre_nixos.flow.diagnostics import PLACE, keep
from pre_nixos.flow.engine import about_bystanders
from pre_nixos.flow.journal import JOURNAL, STATE_DIRECTORY, Closed, Consented, line, purpose, read_journal
from pre_nixos.flow.outcome import Failed, Looking, Noted, Planned, Refused, Report, Round
from pre_nixos.flow.patience import Patience
from pre_nixos.flow.preflight import missing_programs, obstacles
from pre_nixos.flow.probe import probe
from pre_nixos.flow.run import Runner
from pre_nixos.flow.schedule import schedule
from pre_nixos.flow.secrets import Secrets, Unresolved
from pre_nixos.flow.stopping import why_stop
from pre_nixos.flow.trial import Trial
from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import PluginError, installed
from pre_nixos.host.api import AppendLine, DropLock, Hold, HoldOffAssembly, LetGo, TakeLock
from pre_nixos.host.questions import LookAround
from pre_nixos.host.record import Recorder
from pre_nixos.host.survey import Memo, survey
from pre_nixos.model.action import Objection
from pre_nixos.model.difference import shortcomings
from pre_nixos.model.layer import Disk
from pre_nixos.model.script import runs_script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pre_nixos.flow.consent import Consent
    from pre_nixos.flow.journal import Agreed, Journal
    from pre_nixos.flow.outcome import Event
    from pre_nixos.flow.secrets import Asked
    from pre_nixos.hooks.registry import Registry
    from pre_nixos.host.api import Deed, Host
    from pre_nixos.host.questions import Content
    from pre_nixos.host.record import Recording
    from pre_nixos.model.difference import Shortcoming
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan

LOCK = f"{STATE_DIRECTORY}/lock"
_NOT_ALL_THERE = "What could be done without making, changing or removing anything is done, and is not all of it:"


def apply(  # noqa: PLR0913 - everything but the plan and the consent has a default
    plan: Plan,
    *,
    consent: Consent,
    host: Host | None = None,
    observer: Callable[[Event], None] = lambda _: None,
    cancel: Callable[[], bool] = lambda: False,
    secrets: Mapping[str, str] = {},
    ask: Callable[[Asked], str | None] | None = None,
    patience: Patience = Patience(),  # noqa: B008 - it is immutable
    logs: str = PLACE,
    jobs: int = 1,
    registry: Registry | None = None,
) -> Report:
    """Carry out a plan. Raises Refused if nothing was written, Failed if something may have been.

    `consent` is the plan's digest, or a function that is shown the plan. `cancel` is asked between actions, and
    while a guard is asked again, which `patience` limits. `secrets` gives values by reference; what is not in it is
    read from where the reference says, and `ask` is called for what only a person knows. `logs` is the directory of the
    machine in which what a failure can be understood from is kept.

    With more than one of `jobs`, so many disks at the most are erased, or given their tables, at the same time; the
    host is then asked by several threads, and guards of plugins by one at a time. Programs run one at a time.
    """
    if host is None:
        from pre_nixos.host.local import LocalHost

        host = LocalHost()
    registry = registry or installed()
    run = _Apply(
        host, registry, observer=observer, cancel=cancel, secrets=Secrets(secrets, ask), patience=patience, jobs=jobs
    )
    if not host.ask(LookAround()).root:
        raise Refused(["Only root can change disks: run this as root."])
    run.must(TakeLock(path=LOCK, holder="apply"))
    try:
        return run.everything(plan, consent)
    except Failed as failed:
        raise Failed(run.kept(failed.report, logs)) from failed.__cause__
    finally:
        host.do(DropLock(), {}, {})


def as_it_is(plan: Plan, machine: Machine, host: Host) -> Report | None:
    """Give the report of a plan that was made of a machine just looked at and finds nothing to do; None if it does.

    Also if a stopped run left something to settle.
    """
    journal = read_journal(host)
    if plan.actions or plan.looks_again or plan.objections or journal.open or journal.unfinished:
        return None
    return None if _short(plan, machine) else Report(digest=plan.digest, before=machine.graph, after=machine.graph)


class _Apply:
    def __init__(
        self,
        host: Host,
        registry: Registry,
        *,
        observer: Callable[[Event], None],
        cancel: Callable[[], bool],
        secrets: Secrets,
        patience: Patience,
        jobs: int,
    ) -> None:
        self.host = host
        self.registry = registry
        self.observer = observer
        self.cancel = cancel
        self.secrets = secrets
        self.patience = patience
        self.jobs = jobs
        self.trial = Trial(host, observer)
        self.looks: dict[str, Recording] = {}
        """What the machine answered at the first look and at the last one."""
        self.contents: Mapping[str, Content] = {}
        """What its devices held at the last look, by number."""
        self.started = time.monotonic()

    def must(self, deed: Deed) -> None:
        """Do something without which nothing may begin."""
        outcome = self.host.do(deed, {}, {})
        if not outcome.ok:
            raise Refused([outcome.detail])

    def look(self, count: int, wanted: Wanted) -> Machine:
        self.observer(Looking(round=count))
        recorder = Recorder(self.host)
        memo = Memo(recorder)
        try:
            machine = probe(memo, registry=self.registry).against(wanted)
            self.contents = survey(memo).looked_at
        finally:
            self.looks["before.json" if count == 1 else "after.json"] = recorder.recording()
        return machine

    def _schedule(self, machine: Machine, shown: Plan) -> Plan:
        return schedule(machine, shown.wanted, only=shown.only, registry=self.registry)

    def _follow_up(self, machine: Machine, plan: Plan) -> Plan:
        """Plan what is left to do. What came to light meanwhile is held to the consent, whatever it looks like."""
        return schedule(machine, plan.wanted, only=plan.only, follows=True, registry=self.registry)

    def _look_before_removal(self, plan: Plan) -> Sequence[Objection]:
        """Look once more when everything is released and nothing is removed yet; give what speaks against going on."""
        machine = probe(self.host, registry=self.registry).against(plan.wanted)
        news = unseen(plan, machine)
        news = news or list(about_bystanders(machine, plan.actions, plan.wanted))
        return news or [Objection(subject="", text=each) for each in obstacles(plan, machine, self.host)]

    def kept(self, report: Report, logs: str) -> Report:
        """Keep what a failure can be understood from later, and say in the report where that is."""
        directory, problem = keep(report, self.looks, self.host, self.registry, logs)
        remarks = (*report.remarks, f"What the machine answered was not kept: {problem}") if problem else report.remarks
        return msgspec.structs.replace(report, diagnostics=directory, remarks=remarks)

    def everything(self, shown: Plan, consent: Consent) -> Report:
        # An inhibitor that a killed run left behind would blind this look, and everybody else.
        self.host.do(HoldOffAssembly(on=False), {}, {})
        machine = self.look(1, shown.wanted)
        plan = self._schedule(machine, shown)
        journal = read_journal(self.host)
        if plan.objections and (plan.actions or plan.looks_again or _short(plan, machine)):
            raise Refused(str(each) for each in plan.objections)
        if plan.actions != shown.actions or plan.fingerprint != shown.fingerprint or plan.digest != shown.digest:
            raise Refused([_stale(shown, plan)])
        missing = missing_programs(plan, machine, self.host)
        if missing:
            raise Refused([f"This plan needs programs that are not here: {', '.join(missing)}. Install them first."])
        if not plan.actions and not plan.looks_again:
            return self._nothing_to_do(plan, machine, journal)
        digest = require_consent(plan, consent, journal, machine)
        self._resolve(plan)
        if not isinstance(consent, str) or self.secrets.asked:
            machine = self._unchanged(plan)
        if not plan.is_harmless:
            consented = Consented(
                digest=digest,
                purpose=purpose(plan),
                takes=plan.wanted.takes,
                suspects=tuple(journal.unfinished),
                agreed=agreed_to(plan),
            )
            self.must(AppendLine(path=JOURNAL, line=line(consented)))
        try:
            return self._agreed(plan, consent, machine)
        except Refused:
            if (
                not plan.is_harmless and journal.open is None
            ):  # nothing was done by this consent; later it would be for something else
                self.host.do(AppendLine(path=JOURNAL, line=line(Closed(settled=()))), {}, {})
            raise

    def _agreed(self, plan: Plan, consent: Consent, machine: Machine) -> Report:
        devices = {disk.id: disk.device for disk in machine.graph.of(Disk) if disk.device is not None}
        taken = [devices[each] for each in plan.wanted.takes]
        self.must(Hold(numbers=tuple(d.number for d in taken), sequences=tuple(d.diskseq for d in taken)))
        numbers = {each: devices[each].number for each in plan.wanted.takes}
        try:
            if self.trial.is_due(plan):  # before assembly is held off: others' arrays may come while it takes its time
                if problems := self.trial.problems(plan):
                    raise Refused(problems)
                machine = self._unchanged(plan)
            held_off = self.host.do(HoldOffAssembly(on=True), {}, {})
            if not held_off.ok:
                self.observer(Noted(text=held_off.detail))
            return self._rounds(plan, consent, machine, numbers)
        finally:
            self.host.do(HoldOffAssembly(on=False), {}, {})
            self.host.do(LetGo(), {}, {})

    def _resolve(self, plan: Plan) -> None:
        """Get the secrets that a plan needs. Raises Refused if one cannot be had."""
        try:
            self.secrets.resolve(plan)
        except Unresolved as error:
            raise Refused(error.reasons) from None
        finally:
            while self.secrets.warnings:
                self.observer(Noted(text=self.secrets.warnings.pop(0)))

    def _nothing_to_do(self, plan: Plan, machine: Machine, journal: Journal) -> Report:
        short = _short(plan, machine)
        if short:
            why = _NOT_ALL_THERE if plan.is_harmless else "No plan can make this as wanted; it takes other tools:"
            raise Refused([why, *(str(each) for each in short)])
        if journal.open is not None or journal.unfinished:  # a run that was stopped after the last thing it did
            self._settle(plan, machine, journal)
        return self._report(plan.digest, (), machine, machine)

    def _unchanged(self, plan: Plan) -> Machine:
        """Look once more after somebody was asked: that may have taken any time, and anything may have happened."""
        machine = self.look(1, plan.wanted)
        now = self._schedule(machine, plan)
        if (now.actions, now.fingerprint, now.digest) != (plan.actions, plan.fingerprint, plan.digest):
            raise Refused([_stale(plan, now)])
        if now.objections:  # to what is on other disks, which is in no fingerprint
            raise Refused(str(each) for each in now.objections)
        return machine

    def _readied(self, plan: Plan, machine: Machine) -> Sequence[str]:
        """Get all that a plan needs; say what speaks against beginning."""
        in_the_way = obstacles(plan, machine, self.host)
        try:
            self._resolve(plan)  # what only came to light in an earlier round may need more than the first plan did
        except Refused as refused:
            in_the_way = (*in_the_way, *refused.reasons)
        return in_the_way or self.trial.problems(plan)

    def _rounds(self, plan: Plan, consent: Consent, machine: Machine, numbers: Mapping[str, str]) -> Report:
        first, agreed, doings = machine, agreed_to(plan), Doings()
        rounds: list[Round] = []
        wrote = False
        while True:
            self.observer(Planned(round=len(rounds) + 1, actions=len(plan.actions)))
            if in_the_way := self._readied(plan, machine):
                problem = "\n".join(in_the_way)
                if not wrote:
                    raise Refused([problem])
                raise Failed(self._report(rounds[0].plan.digest, tuple(rounds), first, machine, problem))
            runner = Runner(
                self.host,
                Calls(self.registry),
                observer=self.observer,
                cancel=self.cancel,
                secrets=self.secrets.values,
                disks=numbers,
                patience=self.patience,
                look=self._look_before_removal,
                doings=doings,
                jobs=self.jobs,
            )
            ended = runner.run(plan, machine, self.contents)
            rounds.append(ended)
            wrote = wrote or runner.wrote
            try:
                machine = self.look(len(rounds) + 1, plan.wanted)
                after = self._follow_up(machine, plan)
            except PluginError as error:
                problem = "\n".join(filter(None, [ended.problem, str(error)]))
                raise Failed(self._report(rounds[0].plan.digest, tuple(rounds), first, machine, problem)) from error
            if not ended.failed and not after.actions and not after.objections:
                return self._finish(first, machine, rounds)
            problem = ended.problem
            if not runner.script_failed:
                problem = why_stop(ended, after, rounds, cancelled=self.cancel())
            problem = problem or self._not_agreed(after, consent, agreed, doings)
            if problem:
                if not wrote:
                    raise Refused([problem])
                raise Failed(self._report(rounds[0].plan.digest, tuple(rounds), first, machine, problem))
            plan = after

    def _not_agreed(self, after: Plan, consent: Consent, agreed: Agreed, doings: Doings) -> str:
        """Say what came to light that nobody agreed to losing; empty if nothing did, or if it is agreed to now."""
        news = not_covered(after, agreed, doings)
        if not news or (not isinstance(consent, str) and consent(after)):
            return ""
        # The consent that was given ends here: whoever agrees to what is there now agrees to another plan.
        self.host.do(AppendLine(path=JOURNAL, line=line(Closed())), {}, {})
        return unasked(news, after)

    def _finish(self, first: Machine, last: Machine, rounds: list[Round]) -> Report:
        digest = rounds[0].plan.digest
        report = self._report(digest, tuple(rounds), first, last)
        if report.problem:
            raise Failed(report)
        self._settle(rounds[-1].plan, last, read_journal(self.host))
        return report

    def _settle(self, plan: Plan, last: Machine, journal: Journal) -> None:
        """Close the journal: what was begun and is as wanted, or gone, is nobody's worry any more.

        What only uses things says nothing about a run that was stopped while it made them.
        """
        if plan.is_harmless:
            return
        wanted = plan.wanted.graph
        settled = tuple(each for each in journal.unfinished if each in wanted or each not in last.graph)
        self.host.do(AppendLine(path=JOURNAL, line=line(Closed(settled=settled))), {}, {})

    def _report(
        self, digest: str, rounds: tuple[Round, ...], first: Machine, last: Machine, problem: str = ""
    ) -> Report:
        short = tuple(_short(rounds[-1].plan, last)) if rounds else ()
        if short and not problem:
            problem = (
                _NOT_ALL_THERE
                if rounds[-1].plan.is_harmless
                else "All actions ran, and yet not everything is as wanted."
            )
        scripts = any(runs_script(action) for each in rounds for action in each.plan.actions)
        aside = "Whatever its scripts did aside, nothing" if scripts else "Nothing"
        advice = (
            f"{aside} beyond the disks of the plan was touched. Run the same command again: it looks at the machine as "
            "it is now and goes on from there."
        )
        if rounds and rounds[-1].plan.is_harmless and not rounds[-1].failed:
            advice = "`apply` makes what is missing; `plan` shows what that takes."
            if scripts:
                advice += " What a script failed at is begun anew by that, too, or by unmounting first."
        return Report(
            digest=digest,
            rounds=rounds,
            before=first.graph,
            after=last.graph,
            shortcomings=short,
            problem=problem,
            advice=advice if problem else "",
            seconds=round(time.monotonic() - self.started, 3),
            processes=sum(done.processes for each in rounds for done in each.done),
        )


def _short(plan: Plan, machine: Machine) -> Sequence[Shortcoming]:
    # What a run was stopped while making is trusted once a run has ended well; using it is no such run.
    distrusted = machine.suspects if plan.is_harmless else ()
    return shortcomings(machine.graph, plan.wanted, only=plan.only, distrusted=distrusted)


def _stale(shown: Plan, now: Plan) -> str:
    if shown.fingerprint != now.fingerprint:
        what = "This machine is not in the state the plan was made for: what stands on its disks has changed since."
    else:
        what = "This plan is not the one that would be made from its own machine and wishes: it was edited, or made by"
        what += " another version."
    return f"{what} Plan again."
