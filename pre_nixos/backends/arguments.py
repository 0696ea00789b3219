"""Further arguments of programs that make or open something: they may say how, and never on what else.

Such a program writes to whatever device its command line names, and it was only of its own one that somebody made sure
there is nothing on it. So nothing in here may be taken for another.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.plugin import Data

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NAMES_A_DEVICE = re.compile(r"(?:^|[,\s=])(?:[\w-]*dev(?:ice)?|UUID|LABEL|PARTUUID|PARTLABEL)=")
REMEDY = "Leave it out."


class Tool(Data):
    """What is known of a program's options."""

    name: str
    letters: str = ""
    """Options of one letter that take a value, also as a word of its own."""
    long: tuple[str, ...] = ()
    """Options of more than that, with their dashes, that take one."""
    refused: Mapping[str, str] = {}
    """Options that are never passed on, and why. Those of more than a letter take a value, too."""
    elsewhere: Mapping[str, tuple[str, ...]] = {}
    """What options must not have in their values, between commas: it leads to another device or file."""


def faults(words: Sequence[str], tool: Tool) -> Iterator[str]:
    """Say what is wrong with further arguments, if anything.

    A word may begin with a dash, or be the value of an option that is known to take one. Any other option is given its
    value in the same word, `--option=value`: as a word of its own it could be taken for a device.
    """
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in {"-", "--"} or not word.startswith("-"):
            yield f"{word!r} is the value of no option, so {tool.name} would take it for a device or a file"
            continue
        options, value, waits = _read(word, tool)
        follows = waits and bool(rest) and not rest[0].startswith("-")
        value = rest.pop(0) if follows else value
        given = f"{word} {value}" if follows else word
        refused = next((f"{each}: {why}" for each in options if (why := _refusal(each, tool))), "")
        if refused:
            yield refused  # without the value, which may be a secret
        elif waits and not follows:
            yield f"{options[-1]} takes a value, and there is none"
        elif "/" in given:
            yield f"{given!r} names a file or a device, and only what it stands on may be read or written"
        elif _leads_elsewhere(options[-1], word, value, tool):
            yield f"{given!r} leads to another device, and only what it stands on may be read or written"


def harmless(words: tuple[str, ...], tool: Tool) -> tuple[str, ...]:
    """Give further arguments if there is nothing wrong with them, or else none of them.

    For where a command line is put together: whatever else failed to refuse them, they get into none.
    """
    return () if any(faults(words, tool)) else words


def _read(word: str, tool: Tool) -> tuple[Sequence[str], str, bool]:
    """Give the options in a word, the value in it of the last one, and whether the word after it is that value."""
    if word.startswith("--"):
        option, equals, value = word.partition("=")
        return [option], value, not equals and (option in tool.long or option in tool.refused)
    options: list[str] = []
    for position, letter in enumerate(word[1:], 2):
        options.append(f"-{letter}")
        if letter in tool.letters:
            return options, word[position:], not word[position:]
    return options, "", False


def _refusal(option: str, tool: Tool) -> str | None:
    """Give why an option is never passed on; some programs take what is long abbreviated."""
    long = option.startswith("--")
    return next(
        (why for each, why in tool.refused.items() if each == option or (long and each.startswith(option))), None
    )


def _leads_elsewhere(option: str, word: str, value: str, tool: Tool) -> bool:
    if _NAMES_A_DEVICE.search(word.lstrip("-")) or _NAMES_A_DEVICE.search(value):
        return True
    parts = {each.partition("=")[0] for each in re.split(r"[,\s]+", value)}
    return not parts.isdisjoint(tool.elsewhere.get(option, ()))


__all__ = ["REMEDY", "Tool", "faults", "harmless"]
