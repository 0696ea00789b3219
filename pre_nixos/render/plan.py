"""A plan for people: before, after, what is lost on which disk, what will be done, and what speaks against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.model.action import Verb
from pre_nixos.model.difference import Fate
from pre_nixos.model.layer import Disk, State
from pre_nixos.model.script import runs_script, text_of
from pre_nixos.model.step import Run
from pre_nixos.render.members import shortened
from pre_nixos.render.scripts import all_scripts, script_step, will_run
from pre_nixos.render.steps import step_in_words
from pre_nixos.render.text import UNICODE, Guides, Line, Span, Style, joined, line, paragraph, plain, printable, wrapped
from pre_nixos.render.tree import WIDTH, Mark, tree
from pre_nixos.render.words import full_name, kernel_names, name_of, sorted_layers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from pre_nixos.model.action import Action
    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.layer import Layer
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan

MOST_NAMED = 4
"""So many disks of an action are named; more are counted."""

_GOES = Mark("-", Style.GONE)
_MADE = Mark("+", Style.MADE)
_CHANGED = Mark("~", Style.CHANGED)
_UNSEEN = Mark("?", Style.CAUTION)
_PARTLY = Mark("!", Style.BAD)
BEFORE: Mapping[Fate, Mark] = {
    Fate.GONE: _GOES,
    Fate.REPLACED: _GOES,
    Fate.CHANGED: _CHANGED,
    Fate.STRADDLING: _PARTLY,
    Fate.PARTIAL: _PARTLY,
}
AFTER: Mapping[Fate, Mark] = {
    Fate.NEW: _MADE,
    Fate.REPLACED: _MADE,
    Fate.CHANGED: _CHANGED,
    Fate.UNSEEN: _UNSEEN,
}


class PlanText:
    """The parts of a plan's text, each as lines; `names` are the kernel's names of the machine's devices by id."""

    def __init__(
        self, plan: Plan, *, names: Mapping[str, str] = {}, width: int = WIDTH, guides: Guides = UNICODE
    ) -> None:
        self._plan = plan
        self._names = names
        self._width = width
        self._guides = guides

    def whole(self) -> Iterator[Line]:
        """Everything a person should see before agreeing."""
        plan = self._plan
        if is_done(plan):
            yield line(f"{as_wanted(plan.only)}: there is nothing to do.", Style.GOOD)
            yield from self._section("", self.objections())
            return
        yield from self._section("Before (- goes, ~ is changed, the rest stays)", self.before(), first=True)
        yield from self._section("After (+ is made, ~ is changed, the rest stays)", self.after())
        yield from self._section("What is lost", self.losses())
        yield from self._section(f"What will be done, in {counted(len(plan.actions), 'action')}", self.actions())
        count = len(list(will_run(plan))) or "none"
        yield from self._section(f"Scripts that will run: {count}", all_scripts(plan, self._width))
        if plan.looks_again:
            yield ()
            yield from paragraph(
                "What is marked with ? can be seen only once what is below it is active. What must then be done is "
                "planned at that moment; nothing will be removed that is not listed here.",
                self._width,
            )
        yield from self._section("", self.objections())

    def before(self) -> Sequence[Line]:
        """What stands on the disks now."""
        return self._tree(self._plan.before, BEFORE)

    def after(self) -> Sequence[Line]:
        """What will."""
        return self._tree(self._plan.wanted.graph, AFTER, brief=True)

    def losses(self) -> Iterator[Line]:
        """For each disk, what is on it that will be gone."""
        plan, before = self._plan, self._plan.before
        told: set[str] = set()
        lost = plan.losses()
        disks = [before[each] for each in lost if each in before]
        for disk in sorted_layers(disks, self._names):
            yield from wrapped((Span(full_name(disk, self._names), Style.NAME),), self._width, margin="  ")
            removed = {each.id for each in lost[disk.id] if not each.ephemeral}
            going = [before[each] for each in _upwards(disk.id, before, self._names) if each in removed]
            own = [each for each in going if len(before.disks(each.id)) == 1]
            pieces = [joined(self._lost(each) for each in own)] if own else []
            pieces += self._shared([each for each in going if each not in own], told)
            if plan.wanted.erase is not None:
                pieces.append(line("every byte of it, also where nothing was found", Style.GONE))
            if not pieces:
                stays = before.standing_on(disk.id)
                pieces = [line("nothing; what is on it stays" if stays else "nothing, for nothing was found on it")]
            for piece in pieces:
                yield from wrapped((Span("  "), *piece), self._width, margin="    ")

    def actions(self, *, steps: bool = False) -> Iterator[Line]:
        """What will be done, in order; with their steps if asked for."""
        digits = len(str(len(self._plan.actions)))
        under, deeper = " " * (digits + 2), " " * (digits + 4)
        shorten = shortened(self._plan.before.of(Disk))
        if steps:
            yield from self._trial()
        for position, action in enumerate(self._plan.actions, 1):
            style = Style.PLAIN if action.verb.loses_nothing and not runs_script(action) else Style.CAUTION
            head = Span(f"{position:>{digits}}. ", Style.FAINT)
            where = Span(self._where(action), Style.FAINT)
            yield from wrapped(
                (head, Span(printable(shorten(action.summary)), style), where), self._width, margin=under
            )
            for step in action.steps if steps else ():
                script = text_of(step)
                if script is not None:
                    yield from script_step(script, under)
                    continue
                said = (Span(under), Span(step_in_words(step), Style.FAINT))
                yield from wrapped(said, self._width, margin=deeper)

    def _trial(self) -> Iterator[Line]:
        """What is asked before any of it of the program that makes it, if that is none of ours."""
        engine = self._plan.wanted.engine
        if engine is None or not engine.trial or not any(each.verb is Verb.FORMAT for each in self._plan.actions):
            return
        text = f"First, before anything is touched: {step_in_words(Run(argv=engine.trial))}"
        yield from wrapped((Span(text, Style.FAINT),), self._width, margin="  ")

    def objections(self) -> Iterator[Line]:
        """Everything that speaks against it; a plan with any of these is never carried out."""
        if not self._plan.objections:
            return
        yield line("This plan cannot be carried out:", Style.BAD)
        for each in self._plan.objections:
            text = printable(each.text)
            yield from wrapped((Span("* ", Style.BAD), Span(text)), self._width, margin="  ")
            if each.remedy:
                yield from paragraph(each.remedy, self._width, indent=2, style=Style.FAINT)

    def _tree(self, graph: DeviceGraph, signs: Mapping[Fate, Mark], *, brief: bool = False) -> Sequence[Line]:
        reasons = self._plan.reasons
        marks = {each: signs[reasons[each].fate] for each in graph if each in reasons and reasons[each].fate in signs}
        return tree(
            graph,
            width=self._width,
            guides=self._guides,
            names=self._names,
            marks=marks,
            empty="nothing on it",
            brief=brief,
        )

    def _section(self, heading: str, content: Iterable[Line], *, first: bool = False) -> Iterator[Line]:
        lines = list(content)
        if lines:
            if not first:
                yield ()
            if heading:
                yield line(heading, Style.HEADING)
            yield from lines

    def _where(self, action: Action) -> str:
        """Name the disks of an action briefly, where its own words do not and the kernel has names for them."""
        known = sorted(self._names[each] for each in action.touches if each in self._names)
        graphs = (self._plan.wanted.graph, self._plan.before)
        titles = (graph[each].title for graph in graphs for each in action.touches if each in graph)
        if not known or len(known) < len(action.touches) or any(each in action.summary for each in titles):
            return ""
        return f" ({', '.join(known)})" if len(known) <= MOST_NAMED else f" ({counted(len(known), 'disk')})"

    def _lost(self, layer: Layer) -> Line:
        content = layer.mark() is None and not self._plan.before.parts(layer)
        said: Line = (Span(name_of(layer, self._names), Style.GONE if content else Style.PLAIN),)
        if layer.state is State.INACTIVE and layer.mark() is not None:
            said += (Span(" (inactive, contents not examined)", Style.CAUTION),)
        return said

    def _shared(self, layers: Sequence[Layer], told: set[str]) -> Iterator[Line]:
        """Say what goes that stands on further disks too: whole where it is first met, and by name after that."""
        before = self._plan.before
        ids = {each.id for each in layers}
        for layer in layers:
            if ids.intersection(before.below(layer.id)):
                continue
            head = (Span("its part of "), *self._lost(layer))
            if layer.id in told:
                yield (*head, Span(", as above", Style.FAINT))
                continue
            told.add(layer.id)
            above = [before[each] for each in _upwards(layer.id, before, self._names) if each in ids]
            rest = joined(self._lost(each) for each in above)
            yield (*head, Span(", and with it "), *rest) if rest else head


def _upwards(start: str, graph: DeviceGraph, names: Mapping[str, str]) -> Sequence[str]:
    """Name what stands on a layer, each followed by what stands on it."""
    found: dict[str, None] = {}
    waiting = [start]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found[each] = None
            above = sorted_layers([graph[one] for one in graph.standing_on(each)], names)
            waiting += [one.id for one in reversed(above)]
    del found[start]
    return list(found)


def describe_plan(plan: Plan, machine: Machine | None = None, *, steps: bool = False, width: int = WIDTH) -> str:
    """Say a plan as the command line shows it: before, after, what is lost, what will be done, what speaks against it.

    The machine it was made for adds what the kernel calls its devices; with `steps` it is the actions with their steps.
    """
    names: Mapping[str, str] = kernel_names(machine.graph) if machine is not None else {}
    text = PlanText(plan, names=names, width=width)
    lines = [*text.actions(steps=True), *text.objections()] if steps and not is_done(plan) else text.whole()
    return "\n".join(plain(each) for each in lines)


def is_done(plan: Plan) -> bool:
    """Whether there is nothing to do."""
    return not plan.actions and not plan.looks_again and not plan.objections


def as_wanted(only: Collection[Verb] = tuple(Verb)) -> str:
    """Say, without its end, that a plan of these verbs has reached all it is for."""
    if set(only) == {Verb.DEACTIVATE}:
        return "Nothing of it is in use"
    return "All of it is in use" if set(only) == {Verb.ACTIVATE} else "Everything is as wanted"


def counted(count: int, what: str) -> str:
    """Say how many there are of something."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def loses_content(plan: Plan) -> Sequence[Disk]:
    """Give the disks on which something will be gone that is not just a use."""
    before = plan.before
    if plan.wanted.erase is not None:
        return before.of(Disk)
    lost = plan.losses()
    return [disk for disk in before.of(Disk) if any(not each.ephemeral for each in lost.get(disk.id, ()))]
