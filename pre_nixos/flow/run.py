"""Running one plan's actions: the guards, the journal and the steps, in that order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pre_nixos.flow.journal import JOURNAL, Began, Ended, line, parts_of
from pre_nixos.flow.outcome import ActionBegan, ActionEnded, Done, Round, StepEnded
from pre_nixos.flow.place import locate
from pre_nixos.hooks.registry import PluginError
from pre_nixos.host.api import AppendLine, CheckHeld, Outcome
from pre_nixos.model.action import Verb
from pre_nixos.model.layer import Disk
from pre_nixos.model.step import Await, nodes_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pre_nixos.flow.outcome import Event
    from pre_nixos.hooks.calls import Calls
    from pre_nixos.host.api import Host
    from pre_nixos.model.action import Action
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan
    from pre_nixos.model.step import Step

AWAIT_POLL = 0.02


class _Stopped(Exception):
    """An action could not be carried out."""


class Runner:
    """Runs the actions of one plan until one fails or somebody says stop."""

    def __init__(
        self,
        host: Host,
        calls: Calls,
        observer: Callable[[Event], None],
        cancel: Callable[[], bool],
        secrets: Mapping[str, str],
        disks: Mapping[str, str],
    ) -> None:
        self._host = host
        self._calls = calls
        self._observer = observer
        self._cancel = cancel
        self._secrets = secrets
        self._disks = disks
        self.wrote = False
        self.made: set[str] = set()

    def run(self, plan: Plan, machine: Machine) -> Round:
        """Run them in order."""
        done: list[Done] = []
        for position, action in enumerate(plan.actions, 1):
            if self._cancel():
                return Round(plan=plan, done=tuple(done), failed=action.id, problem="stopped, as asked")
            self._observer(
                ActionBegan(
                    action=action.id,
                    verb=action.verb,
                    summary=action.summary,
                    position=position,
                    of=len(plan.actions),
                )
            )
            begun = time.monotonic()
            try:
                processes = self._action(action, plan, machine)
            except (_Stopped, PluginError) as problem:
                seconds = round(time.monotonic() - begun, 3)
                self._observer(ActionEnded(action=action.id, ok=False, seconds=seconds, problem=str(problem)))
                return Round(plan=plan, done=tuple(done), failed=action.id, problem=f"{action.summary}: {problem}")
            seconds = round(time.monotonic() - begun, 3)
            done.append(Done(action=action.id, summary=action.summary, seconds=seconds, processes=processes))
            self._observer(ActionEnded(action=action.id, ok=True, seconds=seconds))
        return Round(plan=plan, done=tuple(done))

    def _action(self, action: Action, plan: Plan, machine: Machine) -> int:
        if action.is_destructive:
            self._guard(action, machine)
        parts = parts_of(action, plan)
        self._write(Began(verb=action.verb, target=action.target, parts=parts))
        processes = 0
        for step in action.steps:
            outcome = self._step(step, action, plan)
            self.wrote = self.wrote or outcome.wrote
            if outcome.wrote and action.verb in {Verb.FORMAT, Verb.MODIFY}:
                # What stays while something is added to it was not made by us.
                kept = plan.before if action.verb is Verb.MODIFY else ()
                self.made.update(each for each in (action.target, *parts) if each not in kept)
            processes += outcome.processes
            self._observer(
                StepEnded(
                    action=action.id,
                    step=type(step).__name__,
                    ok=outcome.ok,
                    detail=outcome.detail,
                    seconds=outcome.seconds,
                    processes=outcome.processes,
                )
            )
            if not outcome.ok:
                raise _Stopped(outcome.detail)
        self._write(Ended(verb=action.verb, target=action.target, parts=parts))
        return processes

    def _write(self, entry: Began | Ended) -> None:
        outcome = self._host.do(AppendLine(path=JOURNAL, line=line(entry)), {}, {})
        if not outcome.ok:
            raise _Stopped(f"the journal cannot be written: {outcome.detail}")

    def _guard(self, action: Action, machine: Machine) -> None:
        """Ask at this moment whether the disks are still those that were consented to, and whether anybody objects."""
        held = self._host.do(CheckHeld(), {}, {})
        if not held.ok:
            raise _Stopped(held.detail)
        for id_ in action.touches:
            disk = machine.graph.get(id_)
            if isinstance(disk, Disk) and disk.device is not None:
                for objection in self._calls.guard(disk.device, self._host):
                    raise _Stopped(str(objection))

    def _step(self, step: Step, action: Action, plan: Plan) -> Outcome:
        first, second = plan.wanted.graph, plan.before
        if action.verb in {Verb.DEACTIVATE, Verb.TEARDOWN}:
            first, second = second, first
        places: dict[str, str] = {}
        deadline = time.monotonic() + (step.timeout if isinstance(step, Await) else 0)
        for layer in nodes_in(step):
            graph = first if layer in first else second
            found = locate(layer, graph, self._disks, self._host)
            while isinstance(step, Await) and step.present and not found.number and time.monotonic() < deadline:
                time.sleep(AWAIT_POLL)
                found = locate(layer, graph, self._disks, self._host)
            if found.number:
                places[layer] = found.number
            elif not (isinstance(step, Await) and not step.present):
                return Outcome(ok=False, detail=f"the device of {layer} was not found: {found.error}")
        if isinstance(step, Await) and not places:
            return Outcome(ok=True, detail="it is gone")
        return self._host.do(step, places, self._secrets)
