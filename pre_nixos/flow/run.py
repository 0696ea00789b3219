"""Running one plan's actions: the guards, the journal and the steps, in that order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NoReturn

from pre_nixos.flow.content import surprises
from pre_nixos.flow.journal import JOURNAL, Audited, Began, Ended, Withdrawn, line, parts_of
from pre_nixos.flow.outcome import ActionBegan, ActionEnded, Done, Noted, Round, StepEnded
from pre_nixos.flow.patience import Patience, ask_again
from pre_nixos.flow.place import locate
from pre_nixos.flow.scripts import is_done_again
from pre_nixos.hooks.registry import PluginError
from pre_nixos.host.api import AppendLine, CheckHeld, Outcome
from pre_nixos.model.action import Verb
from pre_nixos.model.layer import Disk
from pre_nixos.model.script import runs_script, text_of
from pre_nixos.model.step import Await, nodes_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pre_nixos.flow.consent import Doings
    from pre_nixos.flow.journal import Entry
    from pre_nixos.flow.outcome import Event
    from pre_nixos.hooks.calls import Calls
    from pre_nixos.host.api import Host
    from pre_nixos.host.questions import Content
    from pre_nixos.model.action import Action, Objection
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan
    from pre_nixos.model.step import Step

AWAIT_POLL = 0.02


class _Stopped(Exception):
    """An action could not be carried out."""


class Runner:
    """Runs the actions of one plan until one fails or somebody says stop."""

    def __init__(  # noqa: PLR0913 - everything a run depends on, each given by name
        self,
        host: Host,
        calls: Calls,
        *,
        observer: Callable[[Event], None],
        cancel: Callable[[], bool],
        secrets: Mapping[str, str],
        disks: Mapping[str, str],
        patience: Patience,
        look: Callable[[Plan], Sequence[Objection]],
        doings: Doings,
    ) -> None:
        self._host = host
        self._calls = calls
        self._observer = observer
        self._cancel = cancel
        self._secrets = secrets
        self._disks = disks
        self._patience = patience
        self._look = look
        self._looked = False
        self._doings = doings
        self.wrote = False
        self.script_failed = False
        """Whether it was a script that failed: nobody knows whether it may be run a second time."""

    def run(self, plan: Plan, machine: Machine, seen: Mapping[str, Content]) -> Round:
        """Run them in order; `seen` is what was on the machine's devices, by number, when the plan was made."""
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
                processes = self._action(action, plan, machine, seen)
            except (_Stopped, PluginError) as problem:
                seconds = round(time.monotonic() - begun, 3)
                self._observer(ActionEnded(action=action.id, ok=False, seconds=seconds, problem=str(problem)))
                return Round(plan=plan, done=tuple(done), failed=action.id, problem=f"{action.summary}: {problem}")
            seconds = round(time.monotonic() - begun, 3)
            done.append(Done(action=action.id, summary=action.summary, seconds=seconds, processes=processes))
            self._observer(ActionEnded(action=action.id, ok=True, seconds=seconds))
        return Round(plan=plan, done=tuple(done))

    def _action(self, action: Action, plan: Plan, machine: Machine, seen: Mapping[str, Content]) -> int:
        if action.is_destructive:
            self._guard(action, plan, machine, seen)
        elif runs_script(action):
            self._require_held()
        parts, again = parts_of(action, plan), is_done_again(action, plan)
        began = Began(verb=action.verb, target=action.target, parts=parts, touches=action.touches, again=again)
        self._write(began)
        processes = 0
        wrote = False
        for step in action.steps:
            if action.verb is Verb.ERASE:
                if self._cancel():
                    raise _Stopped("stopped, as asked; what was erased stays so")
                self._guard(action, plan, machine, seen)  # it takes hours, in which anything may happen
            outcome = self._patiently(step, action, plan)
            wrote = wrote or outcome.wrote
            self.wrote = self.wrote or outcome.wrote
            if outcome.wrote and action.verb in {Verb.FORMAT, Verb.MODIFY}:
                # What stays while something is added to it was not made by us.
                kept = plan.before if action.verb is Verb.MODIFY else ()
                self._doings.made.update(each for each in (action.target, *parts) if each not in kept)
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
                self.script_failed = outcome.wrote and text_of(step) is not None
                self._failed(action, plan, outcome, wrote=wrote)
        self._write(Ended(verb=action.verb, target=action.target, parts=parts, again=again))
        if action.verb.looks_back:
            self._doings.removed.update(action.destroys)
        return processes

    def _failed(self, action: Action, plan: Plan, outcome: Outcome, *, wrote: bool) -> NoReturn:
        """Keep in mind what a failure left, and end the action."""
        if not wrote:
            self._write(Withdrawn())
        if outcome.wrote and action.verb.looks_back:
            self._doings.disturbed.update(plan.before.on(action.target) or (action.target,))
        raise _Stopped(outcome.detail)

    def _write(self, entry: Entry) -> None:
        outcome = self._host.do(AppendLine(path=JOURNAL, line=line(entry)), {}, {})
        if not outcome.ok:
            raise _Stopped(f"the journal cannot be written: {outcome.detail}")

    def _guard(self, action: Action, plan: Plan, machine: Machine, seen: Mapping[str, Content]) -> None:
        """Ask at this moment whether the disks are still those that were consented to, and whether anybody objects."""
        self._require_held()
        asked = ask_again(
            self._patience,
            lambda: list(self._objections(action, plan, machine, seen)),
            lambda found: bool(found) and all(each.passing for each in found),
            self._cancel,
        )
        said = "; ".join(str(each) for each in asked.answer)
        self._audit(action, asked.tries, said)
        if said:
            raise _Stopped(said)

    def _require_held(self) -> None:
        held = self._host.do(CheckHeld(), {}, {})
        if not held.ok:
            raise _Stopped(held.detail)

    def _objections(
        self, action: Action, plan: Plan, machine: Machine, seen: Mapping[str, Content]
    ) -> Iterator[Objection]:
        objected = False
        for id_ in action.touches:
            disk = machine.graph.get(id_)
            if isinstance(disk, Disk) and disk.device is not None:
                for objection in self._calls.guard(disk.device, self._host):
                    objected = True
                    yield objection
        # Where somebody objects, reading might only mean waiting for a device that does not answer.
        if not action.verb.looks_back or objected:
            return
        if not self._looked:
            # The barrier: all is released, nothing is removed yet.
            against = self._look(plan)
            yield from against
            self._looked = not against
        if self._looked:
            yield from surprises(action, plan, machine, seen, self._host)

    def _patiently(self, step: Step, action: Action, plan: Plan) -> Outcome:
        """Do a step; one that refused for what may be over in a moment is tried again."""
        asked = ask_again(
            self._patience,
            lambda: self._step(step, action, plan),
            lambda outcome: outcome.passing and not outcome.wrote,
            self._cancel,
        )
        self._audit(action, asked.tries, asked.answer.detail if asked.answer.refused else "")
        return asked.answer

    def _audit(self, action: Action, tries: int, refusal: str) -> None:
        """Leave a line about every refusal, and about every yes that was not the first answer."""
        if not refusal and tries == 1:
            return
        times = f"after {tries} tries" if tries > 1 else "at once"
        text = f"refused {times}: {refusal}" if refusal else f"allowed {times}"
        self._write(Audited(action=action.id, text=text))
        self._observer(Noted(text=f"{action.summary}: {text}"))

    def _step(self, step: Step, action: Action, plan: Plan) -> Outcome:
        first, second = plan.wanted.graph, plan.before
        if action.verb.looks_back:
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
