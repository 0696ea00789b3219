"""What must not have changed before something is destroyed: consent was given for what was seen, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.host.questions import SafeProbe, Verdict
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
    answers = {each.number: each for each in reader.ask(SafeProbe(numbers=tuple(devices), windows=False)).devices}
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
    """Give the devices whose content an action removes: what its target stands on, and what it still offers."""
    layer = machine.graph.get(action.target)
    if layer is None:
        return ()
    below = machine.graph.devices(layer)
    if any(each.target == layer.id and each.verb is Verb.DEACTIVATE for each in plan.actions):
        return below
    return [layer, *machine.graph.parts(layer), *below]


def _news(now: Content, then: Content | None) -> Sequence[str]:
    known = {_identity(each) for each in then.signatures} if then is not None else set[tuple[str, str]]()
    return [_in_words(each) for each in now.signatures if _identity(each) not in known]


def _identity(signature: Signature) -> tuple[str, str]:
    return signature.type, signature.uuid


def _in_words(signature: Signature) -> str:
    return " ".join(filter(None, (signature.type, repr(signature.label) if signature.label else "", signature.uuid)))
