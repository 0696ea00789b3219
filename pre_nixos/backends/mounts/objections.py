"""Mounts that cannot be made, found before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mounts.kinds import NO_DEVICE, Mount
from pre_nixos.plugin import Grow, Objection, Plan, hooks, implements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


ELSEWHERE = frozenset({"device", "journal_dev", "journal_path", "logdev", "rtdev"})
"""Options that name a device, or a file that leads to one."""
ALL_OR_NONE = frozenset({"ext4", "xfs"})
"""Types of which no mount can be written to while another was made read-only, so that they do not grow then."""


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


@implements(hooks.objections)
def hidden(plan: Plan) -> Iterable[Objection]:
    """Refuse to end and begin what something hides that stays: nobody would see it afterwards either."""
    there = plan.before
    staying = {each.at for each in there.of(Mount) if not each.namespace and not _ends(each, plan)}
    for layer in plan.wanted.graph.of(Mount):
        now = there.get(layer.id)
        if isinstance(now, Mount) and _ends(now, plan):
            places = [*now.hidden_by, *([now.at] if now.covered else [])]
            for place in places:
                if place in staying:
                    text = f"{layer.title}: what was mounted at {place} later hides it, and stays."
                    yield Objection(subject=layer.id, text=text, remedy=f"Unmount that first: umount {place}")


@implements(hooks.objections)
def read_only(plan: Plan) -> Iterable[Objection]:
    """Refuse to have something grow that is mounted read-only: the kernel does not grow what may not be written to."""
    for step in (step for action in plan.actions for step in action.steps):
        if not isinstance(step, Grow) or step.type not in ALL_OR_NONE or step.target.layer not in plan.before:
            continue
        mounts = [each for each in _mounts_on(step.target.layer, plan) if not _ends(each, plan)]
        if mounts and all("ro" in (each.options or ()) for each in mounts):
            places = ", ".join(each.place for each in mounts)
            text = f"{mounts[0].title}: the {step.type} there is to grow, and it is mounted read-only, at {places}."
            remedy = f"Unmount it, or have it writable for as long: mount -o remount,rw {mounts[0].place}"
            yield Objection(subject=mounts[0].id, text=text, remedy=f"{remedy}. Then run the same command again.")


def _mounts_on(device: str, plan: Plan) -> Iterator[Mount]:
    for content in plan.before.standing_on(device):
        for each in plan.before.standing_on(content):
            layer = plan.before[each]
            if isinstance(layer, Mount):
                yield layer


def _ends(layer: Mount, plan: Plan) -> bool:
    verdict = plan.reasons.get(layer.id)
    return verdict is not None and verdict.fate.removes


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
