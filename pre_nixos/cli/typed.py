"""Commands as one types them: quoted, and continued on further lines where they are too long for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

INDENT = "  "


def typed(words: Sequence[str], width: int, *, prompt: str = "") -> Sequence[str]:
    """Give the lines of a command, which a shell takes as they are; an option stays with its value."""
    first, *more = _pieces(words)
    lines = [prompt + first]
    for number, piece in enumerate(more, 1):
        # All lines but the last have a backslash at their end.
        most = width if number == len(more) else width - 2
        if len(lines[-1]) + 1 + len(piece) > most:
            lines[-1] += " \\"
            lines.append(" " * len(prompt) + INDENT + piece)
        else:
            lines[-1] += f" {piece}"
    return lines


def _pieces(words: Sequence[str]) -> Sequence[str]:
    import shlex

    pieces: list[str] = []
    for word in words:
        if pieces and not word.startswith("-"):
            pieces[-1] += f" {shlex.quote(word)}"
        else:
            pieces.append(shlex.quote(word))
    return pieces
