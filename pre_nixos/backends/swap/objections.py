"""What could not be made or used so, found before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.swap.kinds import Area, File, Use
from pre_nixos.plugin import MIB, Exact, Objection, Plan, Verb, hooks, human, implements

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_LABEL = 15
"""Bytes; mkswap cuts a longer one off and goes on."""
HIGHEST_PRIORITY = 32767
POLICIES = ("once", "pages", "both")
SMALLEST_FILE = MIB


@implements(hooks.objections)
def labels_cut_off(plan: Plan) -> Iterable[Objection]:
    """Refuse labels that would not be what was asked for."""
    for layer in plan.wanted.graph.of(Area) if not plan.is_harmless else ():
        if len((layer.label or "").encode()) > LONGEST_LABEL:
            yield Objection(
                subject=layer.id,
                text=f"The label {layer.label!r} is longer than the {LONGEST_LABEL} bytes a swap area has for it.",
                remedy="Choose a shorter one.",
            )


@implements(hooks.objections)
def not_to_be_used(plan: Plan) -> Iterable[Objection]:
    """Refuse files whose size is not said or cannot be, and ways to use swap that the kernel does not know."""
    if Verb.ACTIVATE not in plan.only:
        return
    graph = plan.wanted.graph
    for layer in graph.of(File):
        if not isinstance(layer.size, Exact) or layer.size.bytes < SMALLEST_FILE or not layer.path.startswith("/"):
            text = f"{layer.title}: it takes an absolute path and a size of at least {human(SMALLEST_FILE)}."
            yield Objection(subject=layer.id, text=text, remedy="Say how large it is to be, such as 4G.")
            continue
        devices = graph.devices(layer)
        room = sum(graph.space(each) for each in devices)
        if room and layer.size.bytes >= room:
            on = ", ".join(graph.called(each) for each in devices)
            text = f"{layer.title}: it is to have {layer.size}, and all that it lies in, {on}, has {human(room)}."
            yield Objection(subject=layer.id, text=text, remedy="Make the file smaller, or what it lies in larger.")
    for use in graph.of(Use):
        if use.discard_policy not in {None, *POLICIES}:
            text = f"{graph.called(use)}: there is no discard policy {use.discard_policy!r}."
            yield Objection(subject=use.id, text=text, remedy=f"Choose one of {', '.join(POLICIES)}.")
    for each in (*graph.of(Use), *graph.of(File)):
        priority = getattr(each, "priority", None)
        if priority is not None and not 0 <= priority <= HIGHEST_PRIORITY:
            text = f"{each.title}: a swap priority lies between 0 and {HIGHEST_PRIORITY}, and {priority} does not."
            yield Objection(subject=each.id, text=text)
