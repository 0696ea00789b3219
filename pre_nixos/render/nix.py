"""Nix expressions as text: any plain data, written so that Nix reads just that data, a thing to a line."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, cast

from pre_nixos.hooks.options import Default, Lines, Package

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.hooks.options import Piece

KEYWORDS = frozenset({"assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"})
INDENT = "  "
MOST = 2**63 - 1
"""The largest number Nix has."""
TINY = 2.0**-1000
"""Below this, numbers are written as products: Nix refuses those near the smallest there are."""
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SHORT = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_QUOTES = re.compile(r"('+)(\$\{|\$?\Z)?")


class UnwritableError(ValueError):
    """Data that Nix has no way to say; where it is stands in the message."""


def nix_text(data: object, *, joined: bool = False) -> str:
    """Write plain data as a Nix expression, without a line break at its end.

    Data is what JSON has: tables with text for keys, lists, text, numbers, true, false and None. With `joined`, tables
    with one entry are written in the line of what is in them, as options often are: `boot.loader.timeout = 3;`. Raises
    UnwritableError for what Nix cannot say: text with a zero byte, numbers beyond 64 bits.
    """
    return _Writer(joined=joined).value(data, "", "")


def name(text: str) -> str:
    """Write the name of an attribute: as it is if Nix takes it so, else in quotes."""
    if _PLAIN_NAME.fullmatch(text) and text not in KEYWORDS:
        return text
    return _quoted(text, text)


def comment(text: str) -> str:
    """Write text as a comment of one line that cannot end before the line does."""
    return f"# {''.join(each if each.isprintable() else _escape(each) for each in text)}"


class _Writer:
    def __init__(self, *, joined: bool) -> None:
        self._joined = joined

    def value(self, data: object, margin: str, path: str) -> str:
        """Write one value; lines after the first begin with the margin."""
        if data is None or isinstance(data, bool):
            return {None: "null", True: "true", False: "false"}[data]
        if isinstance(data, str):
            return _text((data,), margin, path)
        if isinstance(data, int):
            return _whole(data, path)
        if isinstance(data, float):
            return _fraction(data, path)
        if isinstance(data, dict):
            return self._set(cast("Mapping[object, object]", data), margin, path)
        if isinstance(data, list | tuple):
            return self._list(cast("Sequence[object]", data), margin, path)
        if isinstance(data, Default):
            return f"lib.mkDefault {_inside(self.value(data.value, margin, path))}"
        if isinstance(data, Package):
            return _text((data,), margin, path) if data.path else f"pkgs.{name(data.name)}"
        if isinstance(data, Lines):
            return _text(data.pieces(), margin, path)
        raise UnwritableError(f"{path or 'this'} is a {type(data).__name__}, which is no plain data")

    def _set(self, table: Mapping[object, object], margin: str, path: str) -> str:
        if not table:
            return "{ }"
        lines = ["{"]
        for key, data in table.items():
            names, inside, inner = self._joined_to(key, data, path)
            lines.append(f"{margin}{INDENT}{'.'.join(names)} = {self.value(inside, margin + INDENT, inner)};")
        return "\n".join([*lines, f"{margin}}}"])

    def _joined_to(self, key: object, data: object, path: str) -> tuple[Sequence[str], object, str]:
        """Give the names to write in one line, what belongs behind them, and where that is."""
        names = [_key(key, path)]
        inner = f"{path}.{key}" if path else str(key)
        if self._joined and isinstance(data, dict):
            table = cast("dict[object, object]", data)
            if len(table) == 1:
                more, value, inner = self._joined_to(*next(iter(table.items())), inner)
                return [*names, *more], value, inner
            return names, table, inner
        return names, data, inner

    def _list(self, items: Sequence[object], margin: str, path: str) -> str:
        if not items:
            return "[ ]"
        inner = margin + INDENT
        written = [_inside(self.value(each, inner, f"{path}.{at}")) for at, each in enumerate(items)]
        return "\n".join(["[", *(f"{inner}{each}" for each in written), f"{margin}]"])


def _key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise UnwritableError(f"{path or 'this'} has the name {key!r}, which is no text")
    try:
        return name(key)
    except UnwritableError as error:
        raise UnwritableError(f"a name in {path or 'this'} cannot be written: {error}") from None


def _inside(text: str) -> str:
    """Put what is more than one word between parentheses, for where Nix would read several values."""
    return f"({text})" if text.startswith(("-", "lib.")) else text


def _whole(number: int, path: str) -> str:
    if number == -MOST - 1:
        return f"(-{MOST} - 1)"  # what it is the negative of is too large to be written
    if abs(number) > MOST:
        raise UnwritableError(f"{path or 'this'} is {number}, and Nix has no numbers beyond {MOST}")
    return str(number)


def _fraction(number: float, path: str) -> str:
    if not math.isfinite(number):
        raise UnwritableError(f"{path or 'this'} is {number}, which Nix cannot write")
    if 0 < abs(number) < TINY:
        return f"({_fraction(number * 2.0**200, path)} * {_fraction(2.0**-200, path)})"
    mantissa, e, exponent = repr(number).partition("e")
    return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}{e}{exponent}"


def _text(pieces: Sequence[Piece], margin: str, path: str) -> str:
    """Write text that may have paths of programs in it: over several lines if that reads as what it is."""
    said = "".join(each for each in pieces if isinstance(each, str))
    if _shows_its_lines(said):
        return _indented(pieces, margin + INDENT)
    return (
        '"' + "".join(_found(each) if isinstance(each, Package) else _quoted(each, path)[1:-1] for each in pieces) + '"'
    )


def _found(package: Package) -> str:
    return f"${{pkgs.{name(package.name)}}}/{package.path}"


def _quoted(text: str, path: str) -> str:
    """Write text between quotes, in one line of letters that can be seen."""
    written: list[str] = []
    strange = ""
    for at, letter in enumerate(text):
        if letter in _SHORT or letter.isprintable():
            if strange:
                written.append(_decoded(strange))
                strange = ""
            written.append("\\$" if letter == "$" and _opens(text[at + 1 : at + 2]) else _SHORT.get(letter, letter))
        elif letter == "\0" or "\ud800" <= letter <= "\udfff":
            what = "a zero byte" if letter == "\0" else "half a character"
            raise UnwritableError(f"{path!r} has {what} in it, which no text in Nix can have: {text!r}")
        else:
            strange += letter
    return f'"{"".join([*written, _decoded(strange) if strange else ""])}"'


def _opens(following: str) -> bool:
    """Whether what is written for a letter, or comes after the last one, may begin with a brace or a dollar."""
    return following in {"{", ""} or not (following in _SHORT or following.isprintable())


def _decoded(letters: str) -> str:
    """Write letters nobody sees, such as those a terminal takes for a command: Nix itself has no words for them."""
    inner = json.dumps(letters).replace("\\", "\\\\").replace('"', '\\"')
    return f'${{builtins.fromJSON "{inner}"}}'


def _shows_its_lines(text: str) -> bool:
    """Whether text can be written over several lines, with nothing in it that Nix would take for indentation."""
    lines = text.split("\n")
    return (
        len(lines) > 1
        and all(each.isprintable() or each in "\n\t" for each in text)
        and not any(line and not line.strip(" ") for line in lines)
        and any(line and not line.startswith(" ") for line in lines)
    )


def _indented(pieces: Sequence[Piece], margin: str) -> str:
    """Write text over several lines between pairs of single quotes."""
    text = "".join(_found(each) if isinstance(each, Package) else _between_pairs(each) for each in pieces)
    *lines, last = text.split("\n")
    body = "".join(f"{margin}{each}\n" if each else "\n" for each in lines)
    end = f"{margin}{last}''" if last else f"{margin[: -len(INDENT)]}''"
    return f"''\n{body}{end}"


def _between_pairs(text: str) -> str:
    """Escape what ends such text, or would be an expression in it."""

    def quotes(found: re.Match[str]) -> str:
        pairs, single = divmod(len(found[1]), 2)
        # Before an escape, or at the end, a single one would be taken for half of a pair.
        alone = ("''\\'" if found[2] is not None else "'") if single else ""
        return "'''" * pairs + alone + (found[2] or "")

    escaped = _QUOTES.sub(quotes, text).replace("${", "''${")
    return f"{escaped[:-1]}''$" if escaped.endswith("$") else escaped


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


__all__ = ["UnwritableError", "comment", "name", "nix_text"]
