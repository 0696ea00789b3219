"""Running one plan's actions: the guards, the journal and the steps, in that order."""

from __future__ import annotations

import time
from _thread import allocate_lock
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from pre_nixos.flow.content import surprises
from pre_nixos.flow.journal import JOURNAL, Audited, Began, Ended, Withdrawn, line, parts_of
from pre_nixos.flow.outcome import ActionBegan, ActionEnded, Done, Noted, Round, Said, StepEnded
from pre_nixos.flow.patience import Patience, ask_again
from pre_nixos.flow.place import locate
from pre_nixos.flow.scripts import is_done_again
from pre_nixos.flow.together import batches
from pre_nixos.hooks.registry import PluginError
from pre_nixos.host.api import AppendLine, Audible, CheckHeld, Outcome
from pre_nixos.model.action import Verb
from pre_nixos.model.graph import DeviceGraph
from pre_nixos.model.layer import Disk
from pre_nixos.model.script import runs_script, text_of
from pre_nixos.model.step import Await, Run, nodes_in

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


class _Failure(NamedTuple):
    """How an action ended that was not carried out."""

    action: str
    problem: str


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
        jobs: int = 1,
    ) -> None:
        self._host = host
        self._calls = calls
        self._tell = observer
        self._cancel = cancel
        self._secrets = secrets
        self._disks = disks
        self._patience = patience
        self._look = look
        self._looked = False
        self._aim = DeviceGraph()
        """What is there once the plan is carried out; its devices are found by it."""
        self._doings = doings
        self._jobs = jobs
        self._telling, self._asking = allocate_lock(), allocate_lock()
        """What several actions at a time do in turns: saying what they do, and asking whether they may."""
        self._failed_at_all = False
        self.wrote = False
        self.script_failed = False
        """Whether it was a script that failed: nobody knows whether it may be run a second time."""

    def run(self, plan: Plan, machine: Machine, seen: Mapping[str, Content]) -> Round:
        """Run them in order; `seen` is what was on the machine's devices, by number, when the plan was made."""
        # Where nothing may be changed, what is not as wanted is found as it is.
        self._aim = plan.wanted.graph if Verb.MODIFY in plan.only else plan.result()
        done: list[Done] = []
        for batch in batches(plan, self._jobs):
            ended = self._several(batch, plan, machine, seen)
            done += [each for each in ended if isinstance(each, Done)]
            failed = [each for each in ended if isinstance(each, _Failure)]
            if failed:
                problem = "\n".join(each.problem for each in failed)
                return Round(plan=plan, done=tuple(done), failed=failed[0].action, problem=problem)
        return Round(plan=plan, done=tuple(done))

    def _several(
        self, batch: Sequence[tuple[int, Action]], plan: Plan, machine: Machine, seen: Mapping[str, Content]
    ) -> Sequence[Done | _Failure | None]:
        """Carry out actions that have nothing to do with each other; none is begun after one has failed."""
        if len(batch) == 1:
            return [self._one(*batch[0], plan, machine, seen)]
        from concurrent.futures import ThreadPoolExecutor  # only those who ask for it should pay

        def one(each: tuple[int, Action]) -> Done | _Failure | None:
            return None if self._failed_at_all else self._one(*each, plan, machine, seen)

        with ThreadPoolExecutor(max_workers=self._jobs) as threads:
            return list(threads.map(one, batch))

    def _one(
        self, position: int, action: Action, plan: Plan, machine: Machine, seen: Mapping[str, Content]
    ) -> Done | _Failure:
        """Carry out one action, and say how that began and ended."""
        if self._cancel():
            self._failed_at_all = True
            return _Failure(action.id, "stopped, as asked")
        self._observer(
            ActionBegan(
                action=action.id,
                verb=action.verb,
                summary=action.summary,
                position=position,
                of=len(plan.actions),
                touches=action.touches,
            )
        )
        begun = time.monotonic()
        try:
            processes = self._action(action, plan, machine, seen)
        except (_Stopped, PluginError) as problem:
            self._failed_at_all = True
            seconds = round(time.monotonic() - begun, 3)
            self._observer(ActionEnded(action=action.id, ok=False, seconds=seconds, problem=str(problem)))
            return _Failure(action.id, f"{action.summary}: {problem}")
        except BaseException:  # a defect ends the run, and what has not begun does not begin
            self._failed_at_all = True
            raise
        seconds = round(time.monotonic() - begun, 3)
        self._observer(ActionEnded(action=action.id, ok=True, seconds=seconds))
        return Done(action=action.id, summary=action.summary, seconds=seconds, processes=processes)

    def _observer(self, event: Event) -> None:
        with self._telling:
            self._tell(event)

    def _action(self, action: Action, plan: Plan, machine: Machine, seen: Mapping[str, Content]) -> int:
        if action.is_destructive:
            self._guard(action, plan, machine, seen)
        elif runs_script(action):
            self._require_held()
        if self._failed_at_all:
            raise _Stopped("not begun, for something else failed meanwhile")
        parts, again = parts_of(action, plan), is_done_again(action, plan)
        on = (plan.before if action.verb.looks_back else plan.wanted.graph).on(action.target)
        began = Began(verb=action.verb, target=action.target, parts=parts, touches=action.touches, on=on, again=again)
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
        gone = action.destroys
        self._write(Ended(verb=action.verb, target=action.target, parts=parts, on=on, again=again, gone=gone))
        self._doings.removed.update(gone)
        return processes

    def _failed(self, action: Action, plan: Plan, outcome: Outcome, *, wrote: bool) -> NoReturn:
        """Keep in mind what a failure left, and end the action."""
        if not wrote:
            self._write(Withdrawn(target=action.target))
        if outcome.wrote and action.verb.looks_back:
            self._doings.disturbed.update(plan.before.on(action.target) or (action.target,))
        raise _Stopped(outcome.detail)

    def _write(self, entry: Entry) -> None:
        with self._telling:
            outcome = self._host.do(AppendLine(path=JOURNAL, line=line(entry)), {}, {})
        if not outcome.ok:
            raise _Stopped(f"the journal cannot be written: {outcome.detail}")

    def _guard(self, action: Action, plan: Plan, machine: Machine, seen: Mapping[str, Content]) -> None:
        """Ask at this moment whether the disks are still those that were consented to, and whether anybody objects."""
        self._require_held()
        asked = ask_again(
            self._patience,
            lambda: self._objections_in_turn(action, plan, machine, seen),
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

    def _objections_in_turn(
        self, action: Action, plan: Plan, machine: Machine, seen: Mapping[str, Content]
    ) -> Sequence[Objection]:
        with self._asking:
            return list(self._objections(action, plan, machine, seen))

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
        if objected:
            return
        if not self._looked and any(each.destroys for each in plan.actions):
            # The barrier: all is released, nothing is removed yet, nor made.
            against = self._look(plan)
            yield from against
            self._looked = not against
        if self._looked and (action.verb.looks_back or action.destroys):
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
        first, second = self._aim, plan.before
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
        if not (isinstance(step, Run) and step.aloud and isinstance(self._host, Audible)):
            return self._host.do(step, places, self._secrets)
        self._host.listen(lambda text: self._observer(Said(action=action.id, text=text)))
        try:
            return self._host.do(step, places, self._secrets)
        finally:
            self._host.listen(None)
