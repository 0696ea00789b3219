"""The scripts of a plan for people: each of them whole, line by line, so that who agrees to it can have read it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pre_nixos.model.action import Verb
from pre_nixos.model.script import SHELL, Moment, text_of
from pre_nixos.render.text import Line, Span, Style, line, printable, wrapped
from pre_nixos.render.words import known_as

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pre_nixos.model.action import Action
    from pre_nixos.model.plan import Plan
    from pre_nixos.model.script import Script

MARGIN = "    | "
"""Before every line, so that no script can pass for something the plan says itself."""
WHEN = {
    Moment.BEFORE_MAKING: "before {} is made",
    Moment.AFTER_MAKING: "after {} was made",
    Moment.BEFORE_USE: "before {} is brought into use",
    Moment.AFTER_USE: "after {} was brought into use",
    Moment.BEFORE_RELEASE: "before {} is released",
    Moment.AFTER_RELEASE: "after {} was released",
}
ORDER = tuple(Moment)
"""In which they come when several come at once."""
LATER = "These run only if it turns out on the way that what they belong to is to be done, too:"


def will_run(plan: Plan) -> Iterator[str]:
    """Give the scripts that are among a plan's steps, in their order."""
    for action in plan.actions:
        for step in action.steps:
            text = text_of(step)
            if text is not None:
                yield text


def all_scripts(plan: Plan, width: int) -> Iterator[Line]:
    """Show every script that is agreed to with a plan: those that will run, and those that may."""
    left = Counter((each.layer, each.moment, each.text) for each in plan.wanted.scripts)
    for position, action in enumerate(plan.actions, 1):
        for text in filter(None, map(text_of, action.steps)):
            known = [each for each in plan.wanted.scripts if each.text == text and left[_key(each)]]
            known = [each for each in known if _belongs(each, action, plan)]
            mine = min(known, key=lambda each: ORDER.index(each.moment), default=None)
            if mine is not None:
                left[_key(mine)] -= 1
            when = _when(mine, plan) if mine is not None else f"with {action.target}"
            yield from wrapped((Span(f"  {when} (action {position}):", Style.CAUTION),), width, margin="    ")
            yield from lines_of(text)
    others = [each for each in plan.wanted.scripts if left[_key(each)]]
    if others:
        yield from wrapped((Span(f"  {LATER}"),), width, margin="  ")
    for each in others:
        yield from wrapped((Span(f"  {_when(each, plan)}:", Style.CAUTION),), width, margin="    ")
        yield from lines_of(each.text)


def script_step(text: str, margin: str) -> Iterator[Line]:
    """Show the step that runs a script, whole."""
    yield line(f"{margin}run with {' '.join(SHELL)} this script:", Style.FAINT)
    yield from lines_of(text, margin)


def lines_of(text: str, margin: str = "") -> Iterator[Line]:
    """Give the lines of a script; what is no line break to the shell is none here."""
    for each in text.removesuffix("\n").split("\n"):
        yield (Span(f"{margin}{MARGIN}", Style.FAINT), Span(printable(each)))


def _key(script: Script) -> tuple[str, Moment, str]:
    return script.layer, script.moment, script.text


def _belongs(script: Script, action: Action, plan: Plan) -> bool:
    graph, target = plan.wanted.graph, action.target
    if script.moment.is_release is not (action.verb is Verb.DEACTIVATE):
        return False
    return script.layer == target or (script.layer in graph and target in graph.on(script.layer))


def _when(script: Script, plan: Plan) -> str:
    return WHEN[script.moment].format(known_as(script.layer, plan.wanted.graph))
