"""What could not be released, found out before anything is: then nothing is even unmounted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.host.questions import LookAround, ReadFile, WhoUses
from pre_nixos.model.action import Verb
from pre_nixos.model.draft import Erasure
from pre_nixos.model.layer import AT
from pre_nixos.model.step import RequireFree, programs_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pre_nixos.host.api import Reader
    from pre_nixos.host.questions import User
    from pre_nixos.model.layer import Layer
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan

PASSING = ("udev",)
"""Who only has a look, and is waited for when the time comes."""


def obstacles(plan: Plan, machine: Machine, reader: Reader) -> Sequence[str]:
    """List, in words, everything that speaks against beginning, and what to do about it."""
    used = _uses(plan, machine, reader)
    remedy = ["End that, and run the same command again."] if used else []
    return [*_cannot_discard(plan, machine, reader), *used, *remedy]


def missing_programs(plan: Plan, machine: Machine, reader: Reader) -> Sequence[str]:
    """Name the programs a plan needs that are not there; no plugin has named those that scripts and engines need."""
    needed = (each for action in plan.actions for step in action.steps for each in programs_in(step))
    unknown = set(needed) - machine.tools.keys()
    found = reader.ask(LookAround(tools=tuple(sorted(unknown)))).tools if unknown else {}
    return sorted(unknown - found.keys())


def _uses(plan: Plan, machine: Machine, reader: Reader) -> Sequence[str]:
    """Find everything that uses what must be released and that no action of the plan ends."""
    found: list[str] = []
    ending = _Ending(plan, machine)
    for layer in _to_be_free(plan, machine):
        device = layer.device
        if device is None:
            continue
        users = reader.ask(WhoUses(number=device.number)).users
        name = f"{machine.graph.called(layer)} ({device.name})"
        found += [f"{name} is in use: {_in_words(user)}." for user in users if not ending.ends(user, layer)]
    return list(dict.fromkeys(found))


def _cannot_discard(plan: Plan, machine: Machine, reader: Reader) -> Iterator[str]:
    if plan.wanted.erase is not Erasure.DISCARD:
        return
    for disk in (machine.graph[each] for each in plan.wanted.takes):
        number = disk.device.number if disk.device else ""
        most = reader.ask(ReadFile(path=f"/sys/dev/block/{number}/queue/discard_max_bytes")).content or "0"
        if most.strip() == "0":
            yield f"{disk.title} cannot be told to discard anything; overwriting works with every disk."


def _to_be_free(plan: Plan, machine: Machine) -> Iterator[Layer]:
    """Give what is written to or let go of, if it is there: the devices below what goes, and what goes itself."""
    wanted: dict[str, None] = {}
    takes = frozenset(plan.wanted.takes)
    for action in plan.actions:
        if action.verb is Verb.ACTIVATE or action.target not in machine.graph:
            continue
        layer = machine.graph[action.target]
        parts = machine.graph.parts(layer)
        # What is changed in place stays in use, but for what is taken out of it; its own guards say what must not be.
        changed = [each for each in parts if each.id in action.destroys]
        for each in changed if action.verb is Verb.MODIFY else (layer, *parts, *machine.graph.devices(layer)):
            if not takes.isdisjoint(machine.graph.disks(each.id)):
                wanted[each.id] = None
    yield from (machine.graph[each] for each in wanted)


class _Ending:
    """Which uses the actions of a plan end."""

    def __init__(self, plan: Plan, machine: Machine) -> None:
        self._released = {action.target for action in plan.actions if action.verb is Verb.DEACTIVATE}
        graph = self._graph = machine.graph
        released = [
            each
            for target in self._released
            if target in graph
            for each in (graph[target], *graph.parts(graph[target]))
        ]
        self._names = {each.device.name for each in released if each.device is not None}
        self._places = frozenset[str]().union(*(each.occupies() for each in released))
        self._ephemeral = any(each.ephemeral for each in released)
        # What only one of several uses of it ends for stays as it is, and so do the others.
        self._going = {each for action in plan.actions for each in action.destroys} | {
            action.target
            for action in plan.actions
            if action.verb not in {Verb.ACTIVATE, Verb.MODIFY}
            and not (action.target in graph and graph[action.target].ephemeral)
        }
        self._passing: dict[str, list[str]] = {}
        for action in plan.actions:
            for step in action.steps:
                if isinstance(step, RequireFree) and step.passing:
                    self._passing.setdefault(step.target.layer, []).extend(step.passing)

    def ends(self, user: User, layer: Layer) -> bool:
        """Whether a use of a layer's device will be over, or is none that counts."""
        match user.how:
            case "mount":
                return user.pid is None and f"{AT}{user.what}" in self._places | self._staying(layer)
            case "loop":
                return user.what in self._names
            case "holder" | "swap":
                return True  # layers of the graph; one that nobody knows is there as immovable, and objected to
            case "open":
                return any(each in user.what for each in (*PASSING, *self._passing.get(layer.id, ())))
            case "exclusive":
                # What is released itself need not open: a suspended mapping never does, and can be removed all the
                # same. What the kernel has goes with what stands there and is released; or it may be a part of a
                # filesystem on another device, and then a use is.
                above = not self._released.isdisjoint(self._graph.above(layer.id))
                return layer.id in self._released or (user.what == "the kernel" and (above or self._ephemeral))
            case _:
                return False

    def _staying(self, layer: Layer) -> frozenset[str]:
        """Give the places at which something on a layer is and stays, if nothing there has to go."""
        above = self._graph.above(layer.id)
        if not self._going.isdisjoint((layer.id, *above)):
            return frozenset()
        kept = (self._graph[each] for each in above if each not in self._released)
        return frozenset[str]().union(*(each.occupies() for each in kept if each.ephemeral))


def _in_words(user: User) -> str:
    who = f"process {user.pid} ({user.what})" if user.pid is not None else user.what
    return {
        "file": f"{who} has a file open on it, or works there",
        "open": f"{who} has the device open",
        "mount": f"it is mounted at {user.what}"
        + (f" in the mount namespace of process {user.pid}" if user.pid is not None else ", or a part of what is"),
        "loop": f"the loop device {user.what} stands on it",
        "exclusive": f"it cannot be opened alone, so {who} has a part of it in use",
        "export": f"this machine serves it to others as {who}",
    }.get(user.how, f"{user.how}: {who}")
