"""What must not have changed before something is destroyed: consent was given for what was seen, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.host.questions import ReadBlockNodes, SafeProbe, Verdict
from pre_nixos.model.action import Objection, Verb

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pre_nixos.host.api import Reader
    from pre_nixos.host.questions import Content, Signature
    from pre_nixos.model.action import Action
    from pre_nixos.model.layer import Layer
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan

MAY_PASS = frozenset({Verdict.UNREADABLE, Verdict.BUSY})
"""A path that comes back answers with errors for some seconds."""


def surprises(
    action: Action, plan: Plan, machine: Machine, seen: Mapping[str, Content], reader: Reader
) -> Iterator[Objection]:
    """Object if a device whose content is to go holds anything that was not there when it was looked at.

    `seen` is that look, by device number. The devices are read again, at this moment.
    """
    devices = {each.device.number: each for each in _concerned(action, plan, machine) if each.device is not None}
    if not devices:
        return
    blank = [each for each in devices if each in seen and seen[each].verdict is Verdict.BLANK]
    asked = [SafeProbe(numbers=tuple(each for each in devices if each not in blank), windows=False)]
    asked += [SafeProbe(numbers=tuple(blank))] if blank else []
    answers = {each.number: each for question in asked if question.numbers for each in reader.ask(question).devices}
    yield from _new_partitions(devices, seen, machine, reader)
    for number, layer in devices.items():
        now, then = answers.get(number), seen.get(number)
        if now is None or now.verdict is Verdict.GONE:
            # A disk that left for good is known by the descriptor it is held by; this may be a path that comes back.
            text = f"{machine.graph.called(layer)} is gone, or nothing could be learnt of it."
            yield Objection(subject=layer.id, text=text, passing=True)
        elif now.verdict in MAY_PASS:
            if then is not None and then.verdict in MAY_PASS:
                continue  # it was so when it was agreed to, and who can be asked about it was asked
            why = f" ({now.error})" if now.error else ""
            text = f"{machine.graph.called(layer)} cannot be read{why}, so nobody can say what would be lost."
            yield Objection(subject=layer.id, text=text, passing=True)
        elif news := _news(now, then):
            text = (
                f"{machine.graph.called(layer)} holds {', '.join(news)} now, which was not there when it was looked at."
            )
            yield Objection(subject=layer.id, text=text, remedy="Look at the machine again.")


def _concerned(action: Action, plan: Plan, machine: Machine) -> Sequence[Layer]:
    """Give the devices whose content an action removes: what its target stands on, and what it still offers.

    Of a change that is what it takes out itself, unless something was removed from that by now.
    """
    layer = machine.graph.get(action.target)
    if layer is None:
        return ()
    if not action.verb.looks_back:
        removed = [each.target for each in plan.actions if each.verb.looks_back and each.is_destructive]
        emptied = {on for each in removed for on in plan.before.on(each)}
        gone = frozenset(action.destroys)
        lowest = [each for each in gone if each in machine.graph and gone.isdisjoint(machine.graph.below(each))]
        return [there for each in lowest if (there := machine.graph[each]).mark() is not None and each not in emptied]
    below = machine.graph.devices(layer)
    if any(each.target == layer.id and each.verb is Verb.DEACTIVATE for each in plan.actions):
        return below
    return [layer, *machine.graph.parts(layer), *below]


def _new_partitions(
    devices: Mapping[str, Layer], seen: Mapping[str, Content], machine: Machine, reader: Reader
) -> Iterator[Objection]:
    """Object to partitions that the kernel did not have when the machine was looked at."""
    names = {layer.device.name: layer for layer in devices.values() if layer.device is not None}
    known = {each.device.number for each in machine.graph.layers() if each.device is not None} | seen.keys()
    for node in reader.ask(ReadBlockNodes()).nodes:
        if node.parent in names and node.number not in known:
            layer = names[node.parent]
            text = (
                f"{machine.graph.called(layer)} has a partition now that it had not when it was looked at: {node.name}."
            )
            yield Objection(subject=layer.id, text=text, remedy="Look at the machine again.")


def _news(now: Content, then: Content | None) -> Sequence[str]:
    if now.verdict is Verdict.DATA and not now.signatures and then is not None and then.verdict is Verdict.BLANK:
        return ["bytes that nobody claims"]
    known = {_identity(each) for each in then.signatures} if then is not None else set[tuple[str, str]]()
    return [_in_words(each) for each in now.signatures if _identity(each) not in known]


def _identity(signature: Signature) -> tuple[str, str]:
    return signature.type, signature.uuid


def _in_words(signature: Signature) -> str:
    return " ".join(filter(None, (signature.type, repr(signature.label) if signature.label else "", signature.uuid)))
