"""Others of the same shape for words that identify: a digit for a digit, a letter for a letter, a to f for a to f.

Those that are known beforehand sort as the words do that they stand for: where things are alike, the order of their
names decides which is taken first. So words that begin alike have others that begin alike.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_ALPHABETS = ("0123456789", "abcdef", "ghijklmnopqrstuvwxyz")
"""What a letter is of, its other is of too: so what is hexadecimal stays hexadecimal."""


class Likenesses:
    """The same word has the same other, whatever its case and its separators: so has every spelling of one UUID."""

    def __init__(self, key: bytes, known: Iterable[str] = ()) -> None:
        """Take a key, which gives the same others again, and the words that are to keep their order."""
        self._key = key
        self._others = dict(self._in_order(sorted({bare(each) for each in known})))

    def of(self, word: str) -> str:
        """Give the other of a word; separators stay."""
        plain = bare(word)
        letters = iter(self._others.get(plain) or self._at_random(plain))
        return "".join(_cased(letter, next(letters)) if letter.isalnum() else letter for letter in word)

    def _at_random(self, plain: str, begun: str = "") -> str:
        stream = _stream(self._key, plain)
        rest = (_alphabet(letter) for letter in plain[len(begun) :])
        return begun + "".join(letters[next(stream) % len(letters)] for letters in rest)

    def _in_order(self, known: Sequence[str]) -> Iterator[tuple[str, str]]:
        todo = [(known, "")] if known else []
        while todo:
            alike, other = todo.pop()
            length = len(other)  # so far they are the same, and so are their others
            if len(alike) == 1:
                yield alike[0], self._at_random(alike[0], other)
                continue
            if len(alike[0]) == length:
                yield alike[0], other
            following: dict[str, list[str]] = {}
            for each in alike:
                if len(each) > length:
                    following.setdefault(each[length], []).append(each)
            for alphabet in _ALPHABETS:
                stream = _stream(self._key, f"{alike[-1][:length]} {alphabet}")
                shuffled = [letter for _, letter in sorted((next(stream), letter) for letter in alphabet)]
                letters = [each for each in following if _alphabet(each) == alphabet]
                # Of letters from all over the world there may be more; their words keep no order.
                for letter, new in zip(letters, sorted(shuffled[: len(letters)]), strict=False):
                    todo.append((following[letter], other + new))


def bare(word: str) -> str:
    """Give what counts of a word: neither separators nor case."""
    return "".join(_lower(letter) for letter in word if letter.isalnum())


def _lower(letter: str) -> str:
    lower = letter.lower()
    return lower if len(lower) == 1 else letter


def _cased(original: str, other: str) -> str:
    return other.upper() if original.isupper() else other


def _alphabet(letter: str) -> str:
    return _ALPHABETS[0 if letter.isdigit() else 1 if letter in _ALPHABETS[1] else 2]


def _stream(key: bytes, word: str) -> Iterator[int]:
    block = 0
    while True:
        yield from hashlib.blake2b(f"{block} {word}".encode(), key=key, digest_size=64).digest()
        block += 1
