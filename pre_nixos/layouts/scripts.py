"""Scripts in layouts: Disko's hooks, each made what runs at one moment of one layer.

A table stands for the layers that were read out of it. What is made of it has the hooks of creation; what it is used
for, where it says that itself, has those of mounting, or else what can be activated: an opened volume, an array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.hooks import specs
from pre_nixos.hooks.fragment import in_words
from pre_nixos.model.data import Data
from pre_nixos.model.script import LONGEST, Moment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pre_nixos.hooks.calls import Calls
    from pre_nixos.layouts.read import Entry

HOOKS = {
    "preCreateHook": Moment.BEFORE_MAKING,
    "postCreateHook": Moment.AFTER_MAKING,
    "preMountHook": Moment.BEFORE_USE,
    "postMountHook": Moment.AFTER_USE,
    "preUnmountHook": Moment.BEFORE_RELEASE,
    "postUnmountHook": Moment.AFTER_RELEASE,
}
MAKING = (Moment.BEFORE_MAKING, Moment.AFTER_MAKING)
NOT_ALLOWED = (
    "this is a script, which may do anything, and is run only for who allows it: look at it, and say --allow-hooks"
)
NOTHING_MADE = (
    "nothing is made of this alone, so there is no such moment; write it where what this belongs to is described"
)
NOTHING_USED = "nothing is mounted or opened here itself, so there is no such moment; write it where something is"


class Hook(Data):
    """One script, in the table at this path."""

    path: str
    key: str
    text: str

    @property
    def where(self) -> str:
        """Its own path."""
        return f"{self.path}.{self.key}"


class Placed(Data):
    """One script, with the position of the layer whose moment it is to run at."""

    position: int
    moment: Moment
    text: str


def fault_of(value: object) -> str:
    """Say what is wrong with a script whatever it does; nothing if nothing is."""
    if not isinstance(value, str):
        return f"it must be text, and is {in_words(value)}"
    if "\0" in value:
        return "there is a zero byte in it, which no program can be given"
    size = len(value.encode("utf-8", "surrogatepass"))
    if size > LONGEST:
        return f"it has {size} bytes, and a script that is given to a program has {LONGEST} at most"
    return ""


class Placing:
    """Finds the layer each script belongs to, once all of a layout was read."""

    def __init__(self, entries: Sequence[Entry], calls: Calls) -> None:
        self.problems: list[str] = []
        self._entries = entries
        self._calls = calls
        self._at: dict[str, list[int]] = {}
        for position, entry in enumerate(entries):
            self._at.setdefault(entry.path, []).append(position)

    def placed(self, hooks: Sequence[Hook]) -> Iterator[Placed]:
        """Give every script at its place: before something, that of the outer table first; after it, last."""
        for hook in sorted(hooks, key=lambda each: (len(each.path), each.where)):
            if HOOKS[hook.key].is_before:
                yield from self._of(hook)
        for hook in sorted(hooks, key=lambda each: (-len(each.path), each.where)):
            if not HOOKS[hook.key].is_before:
                yield from self._of(hook)

    def _of(self, hook: Hook) -> Iterator[Placed]:
        moment = HOOKS[hook.key]
        found = self._made(hook.path) if moment in MAKING else self._used(hook.path)
        if not found and not self._spoilt(hook.path):
            self.problems.append(f"{hook.where}: {NOTHING_MADE if moment in MAKING else NOTHING_USED}")
        first = moment in {Moment.BEFORE_MAKING, Moment.BEFORE_USE, Moment.AFTER_RELEASE}
        for position in self._ends(found, lowest=first):
            yield Placed(position=position, moment=moment, text=hook.text)

    def _made(self, path: str) -> Sequence[int]:
        """Give what is made of a table; a disk is not made, but what is on it."""
        at = self._at.get(path, ())
        if any(self._entries[each].choice is not None for each in at):
            return self._made(f"{path}.content")
        layers = ((each, self._entries[each].layer) for each in at)
        return [each for each, layer in layers if layer is not None and not layer.ephemeral]

    def _used(self, path: str) -> Sequence[int]:
        """Give the uses a table speaks of, or else what of it can be activated."""
        layers = [(each, layer) for each in self._at.get(path, ()) if (layer := self._entries[each].layer) is not None]
        uses = [each for each, layer in layers if layer.ephemeral]
        return uses or [each for each, layer in layers if self._calls.can(specs.activate, layer)]

    def _ends(self, found: Collection[int], *, lowest: bool) -> Sequence[int]:
        """Of layers that stand on each other, give the lowest or the highest."""
        below = {each: set(self._below(each)) & set(found) for each in found}
        if lowest:
            return [each for each in found if not below[each]]
        covered = set[int]().union(*below.values())
        return [each for each in found if each not in covered]

    def _below(self, position: int) -> Iterator[int]:
        for each in self._entries[position].on:
            yield each
            yield from self._below(each)

    def _spoilt(self, path: str) -> bool:
        """Whether something would be there if it made sense; that it does not has been said."""
        at = (self._entries[each] for each in (*self._at.get(path, ()), *self._at.get(f"{path}.content", ())))
        return any(
            each.layer is None and each.choice is None and each.members is None and not each.having for each in at
        )
