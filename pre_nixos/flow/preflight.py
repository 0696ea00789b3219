"""What could not be released, found out before anything is: then nothing is even unmounted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.host.questions import ReadFile, WhoUses
from pre_nixos.model.action import Verb
from pre_nixos.model.draft import Erasure
from pre_nixos.model.step import RequireFree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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


def _uses(plan: Plan, machine: Machine, reader: Reader) -> Sequence[str]:
    """Find everything that uses what must be released and that no action of the plan ends."""
    found: list[str] = []
    released = {action.target for action in plan.actions if action.verb is Verb.DEACTIVATE}
    passing = _passing(plan)
    for layer in _to_be_free(plan, machine):
        device = layer.device
        if device is None:
            continue
        users = reader.ask(WhoUses(number=device.number)).users
        name = f"{machine.graph.called(layer)} ({device.name})"
        found += [
            f"{name} is in use: {_in_words(user)}."
            for user in users
            if not _is_ended(user, passing.get(layer.id, PASSING), released=layer.id in released)
        ]
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
    for action in plan.actions:
        # What is changed in place stays in use; its own guards say what must not be.
        if action.verb in {Verb.ACTIVATE, Verb.MODIFY} or action.target not in machine.graph:
            continue
        layer = machine.graph[action.target]
        for each in (layer, *machine.graph.parts(layer), *machine.graph.devices(layer)):
            if plan.before.disks(each.id) & set(plan.wanted.takes):
                wanted[each.id] = None
    yield from (machine.graph[each] for each in wanted)


def _passing(plan: Plan) -> Mapping[str, Sequence[str]]:
    """Name, for each layer, the programs that leave its device by themselves once what they serve has ended."""
    found: dict[str, Sequence[str]] = {}
    for action in plan.actions:
        for step in action.steps:
            if isinstance(step, RequireFree) and step.passing:
                found[step.target.layer] = [*found.get(step.target.layer, PASSING), *step.passing]
    return found


def _is_ended(user: User, passing: Sequence[str], *, released: bool) -> bool:
    match user.how:
        case "mount":
            return user.pid is None  # in our own namespace: a layer of the graph, with an action that ends it
        case "holder" | "loop" | "swap":
            return True  # likewise; one that nobody knows is in the graph as immovable, and objected to
        case "open":
            return any(each in user.what for each in passing)
        case "exclusive":
            # What is released itself need not open: a suspended mapping never does, and can be removed all the same.
            return released or user.what == "the kernel"
        case _:
            return False


def _in_words(user: User) -> str:
    who = f"process {user.pid} ({user.what})" if user.pid is not None else user.what
    return {
        "file": f"{who} has a file open on it, or works there",
        "open": f"{who} has the device open",
        "mount": f"it is mounted at {user.what} in the mount namespace of process {user.pid}",
        "export": f"this machine serves it to others as {who}",
    }.get(user.how, f"{user.how}: {who}")
