"""Steps in words: what will be run and written, with every device named by the layer that offers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pre_nixos.model.size import human
from pre_nixos.model.step import Node, Range, Run, Secret, TableEntry
from pre_nixos.render.text import printable

if TYPE_CHECKING:
    from pre_nixos.model.step import Step


def step_in_words(step: Step) -> str:
    """Say what a step does, whole, on one line."""
    if isinstance(step, Run):
        return printable("run " + " ".join(_word(each) for each in step.argv) + _given(step.stdin))
    said: list[str] = []
    for field in msgspec.structs.fields(type(step)):
        value = getattr(step, field.name)
        if isinstance(value, Node):
            said.insert(0, value.layer)
        elif value != field.default:
            said.append(f"{field.name.replace('_', ' ')} {_plain(value)}")
    tag = type(step).__struct_config__.tag
    return printable(" ".join([str(tag), ", ".join(said)]))


def _word(word: str | Node | Secret) -> str:
    if isinstance(word, Secret):
        return f"<the secret {word.reference}>"
    if isinstance(word, Node):
        return f"<{word.layer}>"
    return word if word and not set(word) & set(" \t\n'\"\\<>|&;$*?") else repr(word)


def _given(stdin: str | Secret | None) -> str:
    if stdin is None:
        return ""
    return f", given the secret {stdin.reference}" if isinstance(stdin, Secret) else f", given {stdin!r}"


def _plain(value: object) -> str:
    match value:
        case tuple():
            items: tuple[object, ...] = value  # pyright: ignore[reportUnknownVariableType] - of anything
            return "; ".join(_plain(each) for each in items) or "none"
        case Range(start=start, length=length):
            where = "at the start" if not start else f"at {human(start)}" if start > 0 else "at the end"
            if start < 0 and -start != length:
                where = f"{human(-start)} before the end"
            return f"{human(length)} {where}"
        case TableEntry():
            name = f" {value.name!r}" if value.name else ""
            return f"{value.number}{name}: {human(value.length)} at {human(value.start)}, type {value.type}"
        case _:
            return str(value)
