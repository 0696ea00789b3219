"""Volumes that could not be made or opened, found before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.arguments import REMEDY, faults
from pre_nixos.backends.dmcrypt.further import MAKING, OPENING
from pre_nixos.backends.dmcrypt.kinds import DATA_OFFSET, Luks, Plain
from pre_nixos.plugin import Action, Objection, Plan, Run, Verb, hooks, human, implements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST_LABEL = 47
"""Bytes; cryptsetup fails with a longer one, when what was there before is gone already."""
LONGEST_NAME = 127
SECTORS = (512, 1024, 2048, 4096)
PARTS = 3
"""Of the name of a cipher: what is left out is added when it is made, and read back with it."""
PBKDFS = ("argon2id", "argon2i", "pbkdf2")


@implements(hooks.objections)
def object_to(plan: Plan) -> Iterable[Objection]:
    """Object to volumes that are to be made or opened and lack something, or have something that will not do."""
    acting: dict[str, list[Action]] = {}
    for action in plan.actions:
        acting.setdefault(action.target, []).append(action)
    for layer in plan.wanted.graph.of(Luks):
        verbs = {each.verb for each in acting.get(layer.id, ())}
        if verbs & {Verb.FORMAT, Verb.ACTIVATE, Verb.MODIFY}:
            keyed = any(_takes_a_key(each) for each in acting[layer.id])
            for text, remedy in _of_every_volume(layer, verbs, keyed=keyed):
                yield Objection(subject=layer.id, text=f"{_called(layer, plan)}: {text}.", remedy=remedy)
        if Verb.FORMAT in verbs:
            for text, remedy in _of_a_new_one(layer, plan):
                yield Objection(subject=layer.id, text=f"{_called(layer, plan)}: {text}.", remedy=remedy)
    for plain in plan.wanted.graph.of(Plain):
        if any(each.verb in {Verb.FORMAT, Verb.ACTIVATE} for each in acting.get(plain.id, ())):
            for text, remedy in _about_the_name(plain.mapper or ""):
                yield Objection(subject=plain.id, text=f"{plain.title}: {text}.", remedy=remedy)


@implements(hooks.objections)
def refuse_arguments(plan: Plan) -> Iterable[Objection]:
    """Refuse further arguments that lead to anything but the device of the volume, whatever is to become of it."""
    makes, opens = not plan.is_harmless, Verb.ACTIVATE in plan.only
    for layer in plan.wanted.graph.of(Luks):
        found = [*(faults(layer.arguments, MAKING) if makes else ())]
        found += faults(layer.open_arguments, OPENING) if opens else ()
        for fault in found:
            yield Objection(subject=layer.id, text=f"{_called(layer, plan)}: {fault}.", remedy=REMEDY)


def _takes_a_key(action: Action) -> bool:
    return any(isinstance(step, Run) and step.stdin is not None for step in action.steps)


def _about_the_name(name: str) -> Iterator[tuple[str, str]]:
    if not name or "/" in name or name in {".", "..", "control"} or len(name.encode()) > LONGEST_NAME:
        yield f"{name!r} is no name for an open volume", f"Use one of at most {LONGEST_NAME} bytes without a slash."


def _called(layer: Luks, plan: Plan) -> str:
    return f"{layer.describe()} on {plan.wanted.graph.called(plan.wanted.graph.under(layer)[0])}"


def _of_every_volume(layer: Luks, verbs: set[Verb], *, keyed: bool) -> Iterator[tuple[str, str]]:
    opens = bool(verbs & {Verb.FORMAT, Verb.ACTIVATE})
    if keyed and not layer.keys:
        what = "opened" if opens else "changed"
        yield f"it has no key to be {what} with", "Name where one is to come from, such as `prompt:` or `file:/path`."
    name = layer.mapper
    if name is None:
        if opens:
            yield "it has no name to be opened under", "Give it one."
    else:
        yield from _about_the_name(name)
    label = layer.label or "" if verbs & {Verb.FORMAT, Verb.MODIFY} else ""
    if len(label.encode("utf-8", "surrogatepass")) > LONGEST_LABEL:
        yield f"the label {label!r} is longer than the {LONGEST_LABEL} bytes there are for it", "Choose a shorter one."


def _of_a_new_one(layer: Luks, plan: Plan) -> Iterator[tuple[str, str]]:
    if layer.version not in {None, "1", "2"}:
        yield f"there is no LUKS{layer.version}", "Choose 1 or 2."
    if layer.version == "1" and layer.label:
        yield "LUKS1 has no labels", "Leave the label out, or make it LUKS2."
    if layer.version == "1" and (layer.sector_size or 512) != 512:
        yield "LUKS1 encrypts sectors of 512 bytes", "Leave the size out, or make it LUKS2."
    if layer.version == "1" and (layer.pbkdf or "pbkdf2") != "pbkdf2":
        yield "LUKS1 knows no pbkdf but pbkdf2", "Leave it out, or make it LUKS2."
    if layer.cipher is not None and len(layer.cipher.split("-")) != PARTS:
        remedy = "Write cipher, mode and IV, such as aes-xts-plain64."
        yield f"{layer.cipher!r} is not all of a cipher's name, by which it could be compared later", remedy
    if layer.pbkdf is not None and layer.pbkdf not in PBKDFS:
        yield f"there is no pbkdf {layer.pbkdf!r}", f"Choose one of {', '.join(PBKDFS)}."
    if layer.sector_size is not None and layer.sector_size not in SECTORS:
        yield f"{layer.sector_size} bytes are no size of a sector", f"Choose one of {', '.join(map(str, SECTORS))}."
    below = plan.wanted.graph.devices(layer)
    space = plan.wanted.graph.space(below[0]) if below else 0
    if 0 < space <= DATA_OFFSET:
        yield f"its header takes {human(DATA_OFFSET)}, and there are {human(space)}", "Make it larger."
