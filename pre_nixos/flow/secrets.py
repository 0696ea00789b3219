"""Secrets: from references to values, once for each apply, and before anything is written.

The values are in memory only. What a person is asked names the disk and what the secret is for.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pre_nixos.model.data import Data
from pre_nixos.model.difference import Fate
from pre_nixos.model.step import SCHEMES, Secret, secrets_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pre_nixos.model.plan import Plan

LARGEST = 8 * 1024 * 1024
"""Bytes: what cryptsetup reads of a key file at most."""


class Asked(Data):
    """One question for a secret."""

    reference: str
    text: str
    """Which secret, for what, on which disks."""
    again: bool = False
    """Whether it was given once already, and is asked for to be sure that it was what was meant."""


class Unresolved(Exception):
    """Secrets that could not be had; `reasons` has one line for each."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("\n".join(self.reasons))


class Need(Data):
    """A secret that a plan needs."""

    reference: str
    purposes: tuple[str, ...]
    new: bool = False
    """Whether something will be locked with it."""


def needs(plan: Plan) -> Sequence[Need]:
    """List the secrets that a plan needs, its actions first; and those of what may come to light on the way."""
    found: dict[str, Need] = {}

    def need(secret: Secret, target: str) -> None:
        before = found.get(secret.reference, Need(reference=secret.reference, purposes=()))
        found[secret.reference] = Need(
            reference=secret.reference,
            purposes=tuple(dict.fromkeys((*before.purposes, _purpose(target, plan)))),
            new=before.new or secret.new,
        )

    for action in plan.actions:
        for secret in (each for step in action.steps for each in secrets_in(step)):
            need(secret, action.target)
    for layer in plan.wanted.graph.layers():
        verdict = plan.reasons.get(layer.id)
        if verdict is not None and verdict.fate is Fate.UNSEEN:
            for reference in layer.opened_with():
                need(Secret(reference=reference), layer.id)
    return list(found.values())


def made_up(plan: Plan) -> Mapping[str, str]:
    """Give every secret of a plan a value that nobody knows, for a rehearsal: the real ones stay where they are."""
    import secrets

    return {need.reference: secrets.token_hex(16) for need in needs(plan)}


def _purpose(target: str, plan: Plan) -> str:
    graph = plan.wanted.graph if target in plan.wanted.graph else plan.before
    layer = graph[target]
    disks = ", ".join(sorted(graph[each].title for each in graph.disks(layer.id)))
    return f"{layer.describe() or layer.title} on {disks}"


class Secrets:
    """The values of this apply. What was resolved once is not asked for again."""

    def __init__(self, given: Mapping[str, str] = {}, ask: Callable[[Asked], str | None] | None = None) -> None:
        """Take values by reference, which go before everything else, and somebody to ask where it takes a person."""
        self.values: dict[str, str] = dict(given)
        self.warnings: list[str] = []
        self.asked = False
        """Whether a person was asked, which may have taken any time."""
        self._ask = ask
        self._said_once: set[str] = set()

    def resolve(self, plan: Plan) -> None:
        """Get every value the plan needs. Raises Unresolved with all that cannot be had."""
        problems: list[str] = []
        for need in needs(plan):
            if need.reference in self.values and not (need.new and need.reference in self._said_once):
                continue
            try:
                value = self._value(need)
            except _NotHad as problem:
                problems.append(f"The secret {need.reference} for {' and '.join(need.purposes)}: {problem}.")
                continue
            self.values[need.reference] = value
        if problems:
            raise Unresolved(problems)

    def _value(self, need: Need) -> str:
        scheme, _, rest = need.reference.partition(":")
        match scheme:
            case "file":
                value = self._file(rest).rstrip("\n")
                if value.endswith("\r"):
                    why = "it ends with a carriage return, which nobody can type"
                    raise _NotHad(f"{why}; write it without, or make it a key file (keyfile:)")
            case "keyfile":
                value = self._file(rest)
            case "env":
                if rest not in os.environ:
                    raise _NotHad(f"there is no variable {rest} in the environment")
                value = os.environ[rest]
            case "fd":
                value = _descriptor(rest).rstrip("\n")
            case "prompt":
                value = self._person(need, rest)
            case _:
                raise _NotHad(f"a reference begins with one of {', '.join(f'{each}:' for each in SCHEMES)}")
        if not value:
            raise _NotHad("it is empty")
        return value

    def _file(self, path: str) -> str:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                mode = os.fstat(descriptor).st_mode
                if stat.S_ISDIR(mode):
                    raise _NotHad(f"{path} is a directory")
                if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
                    self.warnings.append(
                        f"{path} holds a secret, and others than its owner can read it (mode {stat.S_IMODE(mode):04o})."
                    )
                return _read_all(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _NotHad(f"{path} cannot be read: {error.strerror}") from error

    def _person(self, need: Need, role: str) -> str:
        if self._ask is None:
            raise _NotHad("it takes a person to be asked, and nobody is here")
        text = f"{role or 'Passphrase'} for {' and '.join(need.purposes)}"
        self.asked = True
        first = self.values.get(need.reference) or self._ask(Asked(reference=need.reference, text=text))
        if first is None:
            raise _NotHad("nobody gave it")
        if not need.new:
            self._said_once.add(need.reference)
        elif first and self._ask(Asked(reference=need.reference, text=text, again=True)) != first:
            raise _NotHad("the two answers differ")
        else:
            self._said_once.discard(need.reference)
        return first


class _NotHad(Exception):
    """Why one secret could not be had; never says any of it."""


def _descriptor(number: str) -> str:
    if not number.isdecimal():
        raise _NotHad(f"{number!r} is not the number of a descriptor")
    try:
        return _read_all(int(number))
    except OSError as error:
        raise _NotHad(f"descriptor {number} cannot be read: {error.strerror}") from error


def _read_all(descriptor: int) -> str:
    content = b"".join(_pieces(descriptor))
    return content.decode("utf-8", "surrogateescape")  # a key need not be text, and comes out as it went in


def _pieces(descriptor: int) -> Iterator[bytes]:
    size = 0
    while piece := os.read(descriptor, 65536):
        size += len(piece)
        if size > LARGEST:
            raise _NotHad(f"it is longer than {LARGEST} bytes, which no key is")
        yield piece
