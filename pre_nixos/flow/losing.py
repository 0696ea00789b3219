"""Content that is wanted, is there, and would be lost because what it is in cannot be changed in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.model.action import Objection
from pre_nixos.model.difference import Fate
from pre_nixos.model.layer import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pre_nixos.model.difference import Difference
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.layer import Layer
    from pre_nixos.model.machine import Machine


def about_wanted_content(machine: Machine, wanted: Wanted, found: Difference) -> Iterator[Objection]:
    """Object to making anew what holds content that is wanted as it is, unless that was asked for by name.

    What an earlier installation left goes by consent: nobody wants it, and that something of it looks like something
    wanted is chance. But who changes what is said of one thing, and of the rest says what was said before, does not
    mean to lose it all.
    """
    allowed = frozenset(wanted.replaces)
    for id_ in found.ids(Fate.REPLACED):
        if not _begins_here(id_, machine, wanted, found) or not allowed.isdisjoint((id_, *machine.graph.below(id_))):
            continue
        lost = _changed(id_, machine, wanted, found) or _recognised(id_, machine, wanted)
        if lost:
            layer = machine.graph[id_]
            more = ", ".join(dict.fromkeys(each.describe() or each.title for each in lost if each is not layer))
            cost = f"what is wanted there and is there would be lost: {more}" if more else "it is lost by that"
            yield Objection(
                subject=id_,
                text=f"{_where(layer, machine)} would have to be made anew, because {found.verdicts[id_].why}; {cost}.",
                remedy=f"Leave it as it is, or say that it may be replaced (--replace): {id_}",
            )


def _where(layer: Layer, machine: Machine) -> str:
    """Name what has no name by what it is, and on what."""
    if layer.segment != layer.kind:
        return machine.graph.called(layer)
    below = ", ".join(machine.graph.called(each) for each in machine.graph.devices(layer))
    return f"{layer.describe() or layer.title} on {below}"


def _begins_here(id_: str, machine: Machine, wanted: Wanted, found: Difference) -> bool:
    """Whether a replacement begins with this one, and what is there was ever whole."""
    if machine.graph[id_].ephemeral or id_ in machine.unfinished:
        return False
    return all((fate := found.fate(each)) is None or fate.stays for each in wanted.graph.on(id_))


def _changed(id_: str, machine: Machine, wanted: Wanted, found: Difference) -> Sequence[Layer]:
    """Give it, if it is content in a place that is just as wanted: then it was made for this place."""
    layer = machine.graph[id_]
    made_for_it = all(found.fate(each) is Fate.KEPT for each in wanted.graph.on(id_))
    return [layer] if made_for_it and layer.mark() is None and layer.precious else []


def _recognised(id_: str, machine: Machine, wanted: Wanted) -> Sequence[Layer]:
    """Give the content on it that is as wanted, if that is most of what is wanted there, and not there by chance."""
    graph = machine.graph
    closed = [
        graph[each] for each in (id_, *graph.above(id_)) if graph[each].state is State.INACTIVE and graph[each].mark()
    ]
    there: list[Layer] = []
    hoped = 0
    for each in wanted.graph.above(id_):
        wish = wanted.graph[each]
        if wish.mark() is not None or wish.ephemeral or not wish.precious:
            continue
        hoped += 1
        content = graph.get(each)
        if content is None:
            # What is in something closed was never looked at.
            there += [below for below in closed if below.id in wanted.graph.below(each)]
        elif type(content) is type(wish) and not wish.mismatches(content) and each not in machine.unfinished:
            there.append(content)
    return list({each.id: each for each in there}.values()) if there and 2 * len(there) >= hoped else []
