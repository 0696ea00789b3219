"""Mounts that cannot be made, found before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mounts.kinds import NO_DEVICE, Mount
from pre_nixos.plugin import Objection, Plan, hooks, implements

if TYPE_CHECKING:
    from collections.abc import Iterable


ELSEWHERE = frozenset({"device", "journal_dev", "journal_path", "logdev", "rtdev"})
"""Options that name a device, or a file that leads to one."""


@implements(hooks.objections)
def without_anything(plan: Plan) -> Iterable[Objection]:
    """Refuse what is on nothing and of no type that needs nothing, and to unmount memory, which loses its content."""
    graph = plan.wanted.graph
    for layer in graph.of(Mount):
        if not graph.under(layer) and layer.type not in NO_DEVICE:
            text = f"{layer.title}: there is nothing to mount, and {layer.type or 'no type'} needs something."
            yield Objection(subject=layer.id, text=text, remedy=f"Put it on a filesystem, or choose {_types()}.")
        verdict = plan.reasons.get(layer.id)
        if not graph.under(layer) and verdict is not None and verdict.fate.removes:
            text = f"{layer.title}: what is mounted there now would have to be unmounted: {verdict.why}."
            yield Objection(subject=layer.id, text=text, remedy="Unmount it yourself if nothing in it is needed.")


def _types() -> str:
    return ", ".join(sorted(NO_DEVICE))


@implements(hooks.objections)
def leading_elsewhere(plan: Plan) -> Iterable[Objection]:
    """Refuse options that name a further device: nobody proved that it is one of the plan's, and mounting writes."""
    for layer in plan.wanted.graph.of(Mount):
        for option in layer.options or ():
            name = option.partition("=")[0]
            if name in ELSEWHERE:
                yield Objection(
                    subject=layer.id,
                    text=f"{layer.title}: the option {name} leads to another device.",
                    remedy="Leave it out here; the booted system may have it.",
                )
