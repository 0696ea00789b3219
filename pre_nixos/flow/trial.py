"""The trial: what somebody else's program says of what it is to do, before anything is released or removed for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.flow.outcome import Said
from pre_nixos.host.api import Audible
from pre_nixos.host.questions import ReadFile
from pre_nixos.model.step import MakeDirectory, Run, WriteFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pre_nixos.flow.outcome import Event
    from pre_nixos.host.api import Host
    from pre_nixos.model.action import Action
    from pre_nixos.model.draft import Engine
    from pre_nixos.model.plan import Plan


class Trial:
    """Has a plan's program look at its description, once."""

    def __init__(self, host: Host, observer: Callable[[Event], None]) -> None:
        self._host = host
        self._observer = observer
        self._passed: Engine | None = None

    def is_due(self, plan: Plan) -> bool:
        """Whether there is a program to be asked, and it has not said yet that all is well."""
        return plan.wanted.engine != self._passed and _handing(plan) is not None

    def problems(self, plan: Plan) -> Sequence[str]:
        """Say what the program lacks, or does not like, if it is due; that may take long."""
        engine = plan.wanted.engine
        action = _handing(plan) if engine != self._passed else None
        if engine is None or action is None:
            return ()
        found = [*self._unreadable(engine), *self._refused(engine, action)]
        if not found:
            self._passed = engine
        return found

    def _unreadable(self, engine: Engine) -> Sequence[str]:
        answers = {path: self._host.ask(ReadFile(path=path)) for path in engine.reads}
        return [
            f"{engine.name} is to read a key from {path}: {answer.error or 'that is empty'}."
            for path, answer in answers.items()
            if answer.error or not answer.content
        ]

    def _refused(self, engine: Engine, action: Action) -> Sequence[str]:
        steps = [each for each in action.steps if isinstance(each, MakeDirectory | WriteFile)]
        trial = [Run(argv=engine.trial, timeout=engine.trial_timeout, aloud=True)] if engine.trial else []
        if isinstance(self._host, Audible):
            self._host.listen(lambda text: self._observer(Said(action=action.id, text=text)))
        try:
            for step in (*steps, *trial):
                outcome = self._host.do(step, {}, {})
                if not outcome.ok:
                    what = f"{engine.name} was asked about {engine.path}" if step in trial else f"{engine.path}"
                    return [f"{what}, before anything was touched: {outcome.detail}."]
        finally:
            if isinstance(self._host, Audible):
                self._host.listen(None)
        return ()


def _handing(plan: Plan) -> Action | None:
    """Find the action that hands over the making."""
    engine = plan.wanted.engine
    runs = (Run(argv=engine.argv, timeout=engine.timeout, aloud=True),) if engine is not None else ()
    return next((each for each in plan.actions if any(step in runs for step in each.steps)), None)
