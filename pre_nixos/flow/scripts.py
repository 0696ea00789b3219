"""Where the scripts of what is wanted come in: at the beginning or at the end of the actions they belong to.

A script may write anywhere. So one that comes before an action runs once the guards with which the action begins have
spoken, and before all of its steps: they are asked again after it. What follows an action begins with its own guards.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

import msgspec

from pre_nixos.model.action import Action, Verb
from pre_nixos.model.script import Moment, runs_script, step_of
from pre_nixos.model.step import RequireBlank, RequireClear, RequireFree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pre_nixos.model.difference import Difference
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.plan import Plan
    from pre_nixos.model.step import Run

GUARDS = (RequireBlank, RequireClear, RequireFree)


def with_scripts(actions: Sequence[Action], wanted: Wanted, found: Difference) -> Sequence[Action]:
    """Put the scripts of what is wanted into the actions during which their moments come."""
    if not wanted.scripts:
        return actions
    placing = _Placing(actions, wanted, found)
    # What another program makes, it makes with the scripts in its description.
    theirs = wanted.engine is not None
    return [
        action if theirs and action.verb is Verb.FORMAT else placing.placed(position, action)
        for position, action in enumerate(actions)
    ]


def is_done_again(action: Action, plan: Plan) -> bool:
    """Whether an action that loses nothing is to be undone and done again if it was stopped half way.

    What is mounted looks the same whether the script that belongs to it ran to its end or not. Only for what nothing
    can be lost with.
    """
    layer = plan.wanted.graph.get(action.target)
    harmless = layer is not None and layer.ephemeral and layer.mark() is None
    return action.verb is Verb.ACTIVATE and harmless and runs_script(action)


class _Placing:
    def __init__(self, actions: Sequence[Action], wanted: Wanted, found: Difference) -> None:
        self._wanted = wanted
        self._found = found
        self._last = {(each.verb, each.target): position for position, each in enumerate(actions)}
        backwards = reversed(list(enumerate(actions)))
        self._first = {(each.verb, each.target): position for position, each in backwards}

    def placed(self, position: int, action: Action) -> Action:
        """Give an action with its scripts. Where several do one thing, the first and the last of them have these."""
        it = (action.verb, action.target)
        before = list(self._before(action)) if self._first[it] == position else []
        after = list(self._after(action)) if self._last[it] == position else []
        guards = takewhile(lambda step: isinstance(step, GUARDS), action.steps) if before else ()
        return msgspec.structs.replace(action, steps=(*guards, *before, *action.steps, *after))

    def _before(self, action: Action) -> Iterator[Run]:
        outer, inner = self._concerned(action)
        match action.verb:
            case Verb.FORMAT | Verb.MODIFY:
                yield from self._steps([*outer, *inner], Moment.BEFORE_MAKING)
            case Verb.ACTIVATE:
                yield from self._steps([*outer, *inner], Moment.BEFORE_USE)
            case Verb.DEACTIVATE:
                yield from self._steps([*inner, *outer], Moment.BEFORE_RELEASE)
            case _:
                pass

    def _after(self, action: Action) -> Iterator[Run]:
        outer, inner = self._concerned(action)
        match action.verb:
            case Verb.FORMAT | Verb.MODIFY:
                yield from self._steps([*inner, *outer], Moment.AFTER_MAKING)
                if (Verb.ACTIVATE, action.target) not in self._last:
                    # What is made is in use from then on; before that it was not there.
                    yield from self._steps([*outer, *inner], Moment.BEFORE_USE)
                    yield from self._steps([*inner, *outer], Moment.AFTER_USE)
            case Verb.ACTIVATE:
                yield from self._steps([*inner, *outer], Moment.AFTER_USE)
            case Verb.DEACTIVATE:
                yield from self._steps([*outer, *inner], Moment.AFTER_RELEASE)
            case _:
                pass

    def _concerned(self, action: Action) -> tuple[Sequence[str], Sequence[str]]:
        """Give what an action is about: the layer itself, and its parts; of one that stays, only those it gets."""
        graph = self._wanted.graph
        layer = graph.get(action.target)
        if layer is None:
            return (), ()
        parts = [each.id for each in graph.parts(layer)]
        if action.verb is not Verb.MODIFY:
            return (layer.id,), parts
        fates = {each: self._found.fate(each) for each in parts}
        return (), [each for each, fate in fates.items() if fate is not None and fate.makes]

    def _steps(self, layers: Iterable[str], moment: Moment) -> Iterator[Run]:
        for layer in layers:
            for script in self._wanted.scripts:
                if (script.layer, script.moment) == (layer, moment):
                    yield step_of(script)
