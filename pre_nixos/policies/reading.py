"""Reading what options say in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import parse_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pre_nixos.plugin import Options


def read_bytes(options: Options, names: Iterable[str], problems: list[str]) -> Mapping[str, int]:
    """Read the options that are numbers of bytes; one that is none is a problem, and 0."""
    read: dict[str, int] = {}
    for name in names:
        try:
            read[name] = parse_bytes(getattr(options, name))
        except ValueError as error:
            problems.append(f"option {name}: {error}")
            read[name] = 0
    return read


def is_read(name: str, problems: Iterable[str]) -> bool:
    """Whether the option could be read, so that more may be said of it."""
    return not any(each.startswith(f"option {name}: ") for each in problems)
