"""Lines of text whose styles are data: whoever prints them decides what a style looks like, if anything."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Style(StrEnum):
    """What a piece of text is, as far as it may look different."""

    PLAIN = "plain"
    HEADING = "heading"
    NAME = "name"
    SIZE = "size"
    FAINT = "faint"
    GOOD = "good"
    CAUTION = "caution"
    BAD = "bad"
    MADE = "made"
    CHANGED = "changed"
    GONE = "gone"


class Span(NamedTuple):
    """A piece of text in one style."""

    text: str
    style: Style = Style.PLAIN


Line: TypeAlias = "tuple[Span, ...]"


class Guides(NamedTuple):
    """What the branches of a tree are drawn with."""

    branch: str
    last: str
    through: str
    none: str


UNICODE = Guides(branch="├─ ", last="└─ ", through="│  ", none="   ")
ASCII = Guides(branch="|- ", last="`- ", through="|  ", none="   ")


def line(text: str = "", style: Style = Style.PLAIN) -> Line:
    """Make a line of one style."""
    return (Span(text, style),) if text else ()


def plain(spans: Line) -> str:
    """Give a line without its styles."""
    return "".join(span.text for span in spans).rstrip()


def printable(text: str) -> str:
    """Give text that a terminal cannot take for a command: labels and serials are whatever somebody wrote there."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def joined(pieces: Iterable[Line], separator: str = ", ") -> Line:
    """Put pieces behind each other, as one line."""
    spans: list[Span] = []
    for piece in pieces:
        if spans:
            spans[-1] = Span(spans[-1].text + separator, spans[-1].style)
        spans += piece
    return tuple(spans)


def wrapped(spans: Line, width: int, *, margin: str = "", taken: int = 0) -> Sequence[Line]:
    """Break a line at spaces so that it fits, and a word that alone is too long wherever it must be.

    Lines after the first begin with the margin; of the first, so many columns are taken already.
    """
    lines: list[list[Span]] = [[]]
    used, start = taken, taken
    for span in spans:
        for word in _words(span.text, max(width - len(margin), 1)):
            if used > start and used + len(word.rstrip()) > width:
                lines.append([Span(margin, Style.FAINT)] if margin else [])
                used = start = len(margin)
                word = word.lstrip()  # noqa: PLW2901 - a line does not begin with the space it was broken at
            if word:
                _append(lines[-1], Span(word, span.style))
                used += len(word)
    return [tuple(each) for each in lines]


def _append(spans: list[Span], more: Span) -> None:
    if spans and spans[-1].style is more.style:
        more = Span(spans.pop().text + more.text, more.style)
    spans.append(more)


def paragraph(text: str, width: int, *, indent: int = 0, style: Style = Style.PLAIN) -> Sequence[Line]:
    """Break text at spaces, keeping the lines it has; all are indented."""
    out: list[Line] = []
    for each in text.splitlines():
        margin = " " * (len(each) - len(each.lstrip()) + indent)
        spans = (Span(margin), Span(printable(each.strip()), style))
        out += wrapped(spans, width, margin=margin)
    return out


def _words(text: str, longest: int) -> Iterable[str]:
    """Cut text after each space, and anywhere in a word that is too long: the pieces together are the text."""
    start = 0
    while start < len(text):
        end = text.find(" ", start)
        end = len(text) if end < 0 else end + 1
        if end - start > longest + 1:
            end = start + longest
        yield text[start:end]
        start = end
