"""Layouts as files: JSON as `nix eval --json` gives it, or TOML of the same shape."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from pre_nixos.flow.documents import called, read_file
from pre_nixos.model.codec import Unreadable
from pre_nixos.model.draft import InvalidLayout

if TYPE_CHECKING:
    from collections.abc import Mapping

WRAPPERS = ("disko", "devices")
"""What `disko.devices` may be wrapped in."""
NIX = (
    "this looks like Nix, and a layout is what Nix makes of it. In JSON that is what this gives: "
    "nix-instantiate --eval --strict --json FILE -A disko.devices --arg lib 'import <nixpkgs/lib>'"
)
BEGINNING = 10_000
"""Characters that are enough to tell Nix by."""
_COMMENT = re.compile(r"/\*.*?\*/|#[^\n]*", re.DOTALL)
_BINDING = re.compile(r"^\s*[A-Za-z_\"][\w.\"'-]*\s*=[^=;]*;|\{\s*[A-Za-z_][\w.'-]*\s*=", re.MULTILINE)
_ARGUMENT = re.compile(r"\s*(\{[^{}]*\}|[A-Za-z_][\w'-]*)\s*:|\s*(let|rec|with|import|assert)\b")


def load(path: str | int) -> Mapping[str, object]:
    """Read the sections of a layout. Raises Unreadable for what is no layout at all, InvalidLayout for odd wrappers."""
    text = read_file(path)
    try:
        return sections(parse(text))
    except Unreadable as error:
        raise Unreadable(f"{called(path)}: {error}") from error


def parse(text: bytes) -> object:
    """Read JSON or TOML; which of them it is shows from the first character. Raises Unreadable."""
    try:
        plain = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"this is no text: {error}") from error
    return _json(plain) if plain.lstrip()[:1] in {"{", ""} else _toml(plain)


def _json(text: str) -> object:
    import json

    repeated: list[str] = []

    def table(pairs: list[tuple[str, object]]) -> dict[str, object]:
        keys = [key for key, _ in pairs]
        repeated.extend(sorted({key for key in keys if keys.count(key) > 1}))
        return dict(pairs)

    try:
        found: object = json.loads(text, object_pairs_hook=table)
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Unreadable("there is half a character in it, which no text can have") from error
    except json.JSONDecodeError as error:
        if _is_nix(text):
            raise Unreadable(NIX) from error
        raise Unreadable(f"line {error.lineno} is not JSON: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise Unreadable(f"this is not JSON that can be read: {error}") from error
    if repeated:
        raise InvalidLayout([f"{key!r} is written twice in one table" for key in dict.fromkeys(repeated)])
    return found


def _toml(text: str) -> object:
    import tomllib

    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        if _is_nix(text):
            raise Unreadable(NIX) from error
        raise Unreadable(f"this is neither JSON, which begins with a brace, nor TOML: {error}") from error


def _is_nix(text: str) -> bool:
    """Whether text that is neither JSON nor TOML looks like Nix: it binds names, or begins with an argument."""
    code = _COMMENT.sub("", text[:BEGINNING])
    return _BINDING.search(code) is not None or _ARGUMENT.match(code) is not None


def sections(document: object) -> Mapping[str, object]:
    """Take `disko.devices` out of what it may be wrapped in."""
    for wrapper in WRAPPERS:
        if not isinstance(document, dict):
            break
        table = cast("dict[str, object]", document)
        if wrapper not in table:
            continue
        beside = sorted(table.keys() - {wrapper})
        if beside:
            raise InvalidLayout([f"{each!r} stands beside {wrapper!r}, and is no part of a layout" for each in beside])
        document = table[wrapper]
    if not isinstance(document, dict):
        raise Unreadable("this is no layout: there should be a table with sections such as disk")
    return cast("dict[str, object]", document)
