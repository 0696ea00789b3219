"""The core's own reasons to refuse a plan: whose disk it is, and what would collide or get in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.flow.losing import about_mistaken_content, about_wanted_content
from pre_nixos.hooks import specs
from pre_nixos.model.action import Objection, Verb
from pre_nixos.model.difference import Fate
from pre_nixos.model.identity import shared
from pre_nixos.model.layer import AT, Disk, Layer, State, Unrecognised, holding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pre_nixos.hooks.calls import Calls
    from pre_nixos.model.difference import Difference
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan


def core_objections(
    machine: Machine, plan: Plan, found: Difference, calls: Calls, *, follows: bool = False
) -> Iterator[Objection]:
    """Find everything that forbids a plan, whatever technologies are in it."""
    wanted = plan.wanted
    yield from _about_disks(machine, wanted, harmless=plan.is_harmless)
    yield from _about_erasing(wanted)
    yield from _about_straddlers(machine, found)
    if not follows:
        yield from about_wanted_content(machine, wanted, found)
    yield from _about_the_incomplete(machine, found)
    yield from _about_the_immovable(machine, found)
    yield from _about_what_may_be_elsewhere(machine, wanted, found)
    if Verb.ACTIVATE in plan.only:  # what only ends uses gives nothing a name
        yield from _about_names(machine, wanted, found)
        if plan.is_harmless or not follows:
            yield from about_mistaken_content(plan)
    yield from _about_what_nobody_makes(wanted, found, calls)


def _about_disks(machine: Machine, wanted: Wanted, *, harmless: bool) -> Iterator[Objection]:
    if not harmless and not machine.boot_medium.determined and set(wanted.takes) - set(wanted.named):
        yield Objection(
            subject="",
            text="It could not be determined what this system runs from, so no disk can be ruled out.",
            remedy="Name every disk that may be taken.",
        )
    for id_ in wanted.takes:
        disk = machine.graph.get(id_)
        if not isinstance(disk, Disk) or disk.device is None:
            yield Objection(subject=id_, text=f"{id_} is not on this machine.", remedy="Look again and plan again.")
            continue
        if shared(id_):
            yield Objection(
                subject=id_,
                text=f"{disk.title} shows up more than once, or cannot be told from another: one disk seen twice?",
                remedy="Leave one path to it, or set up multipath.",
            )
        if harmless:
            continue
        if id_ in machine.boot_medium.disks:
            yield Objection(subject=id_, text=f"This system runs from {disk.title}: {machine.boot_medium.how}.")
        elif disk.device.read_only:
            yield Objection(subject=id_, text=f"{disk.title} is read-only.")
        elif id_ not in wanted.named and not machine.may_take(disk):
            yield Objection(
                subject=id_,
                text=f"{disk.title} is removable, or attached in a way that suggests so, and was not named.",
                remedy="Name it if it is meant.",
            )


def _about_erasing(wanted: Wanted) -> Iterator[Objection]:
    if wanted.erase is None:
        return
    for layer in wanted.graph.layers():
        if not isinstance(layer, Disk):
            yield Objection(
                subject=layer.id,
                text=f"{layer.title} is wanted on a disk that is to be erased.",
                remedy="Erase the disks first, with nothing wanted on them.",
            )


def _about_straddlers(machine: Machine, found: Difference) -> Iterator[Objection]:
    straddling = set(found.ids(Fate.STRADDLING))
    for id_ in sorted(straddling):
        if not straddling.intersection(machine.graph.on(id_)):
            layer = machine.graph[id_]
            yield Objection(
                subject=id_,
                text=f"{layer.title} would have to go, but {found.verdicts[id_].why}.",
                remedy="Take that disk as well, or leave this one out.",
            )


def _about_the_incomplete(machine: Machine, found: Difference) -> Iterator[Objection]:
    for id_ in found.ids(Fate.PARTIAL):
        layer = machine.graph[id_]
        remark = f" ({layer.remark})" if layer.remark else ""
        yield Objection(
            subject=id_,
            text=f"{layer.title} is {layer.health}{remark}: {found.verdicts[id_].why}. "
            "To make it anew would lose what is on it.",
            remedy="Give it the missing members by its own tools, or remove what is left of it by them.",
        )


def _about_the_immovable(machine: Machine, found: Difference) -> Iterator[Objection]:
    for layer in machine.graph.of(Unrecognised):
        fate = found.fate(layer.id) if layer.immovable else None
        if fate is not None and fate.removes:
            where = ", ".join(each.title for each in machine.graph.under(layer))
            yield Objection(subject=layer.id, text=f"{where}: {layer.what}; when in doubt nothing is written.")


def _about_what_may_be_elsewhere(machine: Machine, wanted: Wanted, found: Difference) -> Iterator[Objection]:
    """Object to removing what lacks members while there are disks nobody can read: the members may be there."""
    graph = machine.graph
    unread = sorted(
        graph[disk].title
        for layer in graph.of(Unrecognised)
        if layer.immovable and not layer.device
        for disk in graph.disks(layer.id)
        if disk not in wanted.takes
    )
    for id_ in found.ids(Fate.GONE, Fate.REPLACED) if unread else ():
        layer = graph[id_]
        if not (layer.health.satisfies or layer.holds_nothing()):
            remark = f" ({layer.remark})" if layer.remark else ""
            yield Objection(
                subject=id_,
                text=f"{layer.title} is {layer.health}{remark}, and what it lacks may be on {', '.join(unread)}, which "
                "cannot be read.",
                remedy="Make that disk readable, or take it out of this machine.",
            )


def _about_names(machine: Machine, wanted: Wanted, found: Difference) -> Iterator[Objection]:
    taken, takes = dict(_occupied(machine, found)), frozenset(wanted.takes)
    for layer in wanted.graph.layers():
        names = layer.occupies() & taken.keys()
        fate = found.fate(layer.id) if names else None
        if fate is None:
            continue
        if fate is not Fate.NEW and (present := machine.graph.get(layer.id)) is not None:
            if fate is Fate.KEPT and present.state is State.ACTIVE:
                continue
            if not fate.makes and machine.graph.disks(layer.id) <= takes:
                names -= present.occupies()  # which it has already
        for name in sorted(names):
            other = machine.graph[taken[name]]
            disks = ", ".join(machine.graph[each].title for each in sorted(machine.graph.disks(other.id)))
            where = f" on {disks}" if disks else ""
            is_place = name.startswith(AT)
            below = ", ".join(each.title for each in machine.graph.under(other)) if is_place else ""
            yield Objection(
                subject=layer.id,
                text=f"{wanted.graph.called(layer)} cannot be {'made' if fate.makes else 'as wanted'}: "
                f"{below or machine.graph.called(other)}{where}, which stays, {holding(name)}.",
                remedy="Unmount that, or choose another directory."
                if is_place
                else "Choose another name, or take its disks as well.",
            )


def _about_what_nobody_makes(wanted: Wanted, found: Difference, calls: Calls) -> Iterator[Objection]:
    coming = found.coming
    for layer in wanted.graph.layers():
        if layer.part_of is not None or layer.id not in coming or isinstance(layer, Disk):
            continue
        if not calls.can(specs.activate if layer.ephemeral else specs.format, layer):
            unable, remedy = about_owner(layer, calls, "make it")
            text = f"{layer.title} ({layer.kind}) is to be made, and {unable}."
            yield Objection(subject=layer.id, text=text, remedy=remedy or "Leave it out of what is wanted.")


def about_owner(layer: Layer, calls: Calls, what: str) -> tuple[str, str]:
    """Say that the owner of a kind has no way to do something, or who it would be if it were there, and the remedy."""
    owner = calls.registry.owners.get(layer.kind)
    if owner is not None:
        return f"{owner}, whose kind this is, has no way to {what}", ""
    package = type(layer).__module__.partition(".")[0]
    return (
        "no plugin that is in use knows this kind",
        f"Install the distribution that wrote it, with its plugin: it comes from the Python package {package}.",
    )


def _occupied(machine: Machine, found: Difference) -> Iterable[tuple[str, str]]:
    for layer in machine.graph.layers():
        names = layer.occupies()
        fate = found.fate(layer.id) if names else None
        if fate is None or not fate.removes:
            for name in names:
                yield name, layer.id
