"""Reading a layout: without a machine, everything it says is made into layers, and everything that is wrong is noted.

It is read twice. Some entries can only be judged by their members, which say so elsewhere in the layout: the first
time finds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from pre_nixos.flow.propose import did_you_mean
from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.fragment import Fragment, in_words, written
from pre_nixos.layouts.scripts import HOOKS, NOT_ALLOWED, Hook, Placed, Placing, fault_of
from pre_nixos.layouts.select import Choice, read_choice
from pre_nixos.model.data import Data
from pre_nixos.model.draft import Handle
from pre_nixos.model.layer import bare, holding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.hooks.registry import Registry
    from pre_nixos.model.layer import Layer

DISKS = "disk"
"""The section with the disks, which the core reads itself."""
NO_DEVICE = "where this lies follows from what it is in; leave it out"


class Entry(Data):
    """One thing of a layout: a layer on others, a disk yet to be chosen, or what joins an entry of a section."""

    path: str
    layer: Layer | None = None
    """None for a disk, for the members of something, and for what makes no sense."""
    on: tuple[int, ...] = ()
    choice: int | None = None
    """For a disk: by which choice, and the how many-th of those."""
    nth: int = 0
    members: tuple[str, str] | None = None
    """For members: section and name of what they belong to."""
    having: str = ""
    """For what is described elsewhere: the name only it has."""
    below: bool = False
    """For that: whether what it stands on is meant."""


class Reading:
    """A layout that was read."""

    def __init__(
        self,
        registry: Registry,
        *,
        root: str = "/mnt",
        overruled: Mapping[str, str | Sequence[str]] = {},
        allow_hooks: bool = False,
    ) -> None:
        """Begin; `root` is where the root of the system in question is mounted, `overruled` names disks otherwise."""
        self.root = root
        self.entries: list[Entry] = []
        self.choices: list[Choice] = []
        self.problems: list[str] = []
        self.joins: dict[tuple[str, str], list[tuple[Handle, ...]]] = {}
        self.scripts: tuple[Placed, ...] = ()
        self._registry = registry
        self._calls = Calls(registry)
        self._overruled = overruled
        self._allow_hooks = allow_hooks
        self._hooks: dict[str, Hook] = {}
        self._paths: dict[tuple[str, str], list[str]] = {}
        self._known_paths: Mapping[tuple[str, str], Sequence[str]] = {}
        self._known_names: Mapping[str, Layer] = {}
        self._described: set[tuple[str, str]] = set()

    def read(self, document: Mapping[str, object]) -> None:
        """Read the sections of a layout."""
        first = Reading(self._registry, root=self.root, overruled=self._overruled, allow_hooks=self._allow_hooks)
        first.read_once(document)
        self._known_paths = first._paths
        self._known_names = first.names()
        self.read_once(document)

    def read_once(self, document: Mapping[str, object]) -> None:
        """Read what is there, with what is known of members so far."""
        for section in sorted(document, key=lambda each: (each != DISKS, each)):
            if document[section] is not None:
                self._section(section, document[section])
        for name in sorted(self._overruled.keys() - {each.name for each in self.choices}):
            meant = did_you_mean(name, {each.name for each in self.choices})
            self.problems.append(f"there is no disk {name!r} in the layout to be told which it is{meant}")
        for (section, name), paths in self._paths.items():
            if (section, name) not in self._described:
                there = {each for other, each in self._described if other == section}
                self.problems += [
                    f"{path}: there is no {section}.{written(name)}{did_you_mean(name, there)}" for path in paths
                ]
        names = self.names()
        for each in self.entries:
            if each.having and each.having not in names:
                alike = {bare(name) for name in names if name.split(":")[0] in each.having}
                meant = did_you_mean(bare(each.having), alike)
                self.note(each.path, f"nothing in the layout {holding(each.having)}{meant}")
        if not (self.entries or self.problems):
            self.problems.append(
                "no disk is described in this layout: there should be a section disk, as in what `disko.devices` is "
                "evaluated to"
            )
        placing = Placing(self.entries, self._calls)
        self.scripts = tuple(placing.placed(tuple(self._hooks.values())))
        self.problems = list(dict.fromkeys([*self.problems, *placing.problems]))

    def names(self) -> Mapping[str, Layer]:
        """Give what has a name that nothing else can have, by each of them."""
        return {name: each.layer for each in self.entries if each.layer is not None for name in each.layer.occupies()}

    def _section(self, section: str, value: object) -> None:
        known = {DISKS, *self._registry.sections}
        refused = self._registry.refused.get(section)
        if section not in known:
            if not section.startswith("_") and value not in ({}, []):
                self.problems.append(
                    f"{written(section)}: {refused or 'there is no such section' + did_you_mean(section, known)}"
                )
            return
        if not isinstance(value, dict):
            self.problems.append(f"{section}: it must be a table, and is {in_words(value)}")
            return
        for name, table in sorted(cast("Mapping[str, object]", value).items()):
            path = f"{section}.{written(name)}"
            if isinstance(table, dict):
                self._any_entry(section, name, path, cast("Mapping[str, object]", table))
            elif table is not None:
                self.note(path, f"it must be a table, and is {in_words(table)}")

    def _any_entry(self, section: str, name: str, path: str, table: Mapping[str, object]) -> None:
        said = table.get("type")
        if said not in (None, section):
            self.note(path, f"in this section the type is {section!r}, and not {said!r}")
        entry = Fragment({**table, "type": section}, self, path=path, key=name)
        if section == DISKS:
            self._disk(entry)
        else:
            self._entry(section, entry)

    def _disk(self, entry: Fragment) -> None:
        before = len(self.problems)
        choice = read_choice(entry, self._overruled.get(entry.name))
        for other in self.choices:
            if choice.named and (choice.names, choice.several, choice.link) == (other.names, other.several, other.link):
                entry.note(f"this is the disk of {other.path} already")
        if len(self.problems) > before:
            choice = msgspec.structs.replace(choice, unclear=True)
        position = len(self.choices)
        self.choices.append(choice)
        if not entry.has("content"):
            entry.note("nothing is said to be on it; to leave a disk alone leave it out, to have it blank wipe it")
        table = {key: entry.value(key) for key in ("content",) if entry.has(key)}
        for nth in range(choice.count):
            called = choice.name if choice.count == 1 else f"{choice.name}-{nth + 1}"
            disk = Fragment(
                {"type": DISKS, **table}, self, path=entry.path, key=entry.key, first=not nth, called=called
            )
            self.entries.append(Entry(path=entry.path, choice=position, nth=nth))
            disk.content(Handle(position=len(self.entries) - 1))
        entry.close()

    def _entry(self, section: str, entry: Fragment) -> None:
        self._described.add((section, entry.name))
        on: list[Handle] = []
        if entry.members:
            self.entries.append(Entry(path=entry.path, members=(section, entry.name)))
            on.append(Handle(position=len(self.entries) - 1))
        self._calls.from_disko(section, entry, on)
        entry.close()

    def note(self, path: str, text: str) -> None:
        """Write down what is wrong, and where."""
        self.problems.append(f"{path}: {text}")

    def enter(self, layer: Layer | None, on: Sequence[Handle], path: str) -> Handle:
        """Write down a layer, or that there would be one had it made sense."""
        self.entries.append(Entry(path=path, layer=layer, on=tuple(each.position for each in on)))
        return Handle(position=len(self.entries) - 1)

    def described(self, name: str) -> Layer | None:
        """Give what has a name, as it was read the first time."""
        return self._known_names.get(name)

    def having(self, name: str, path: str, *, below: bool) -> Handle:
        """Give a handle for what has a name, or for what that stands on, whoever describes it."""
        self.entries.append(Entry(path=path, having=name, below=below))
        return Handle(position=len(self.entries) - 1)

    def ask(self, type_: str, fragment: Fragment, on: Sequence[Handle]) -> None:
        """Have the owner of a type read a fragment."""
        if type_ in self._registry.types:
            self._calls.from_disko(type_, fragment, on)
            fragment.close()
            return
        fragment.pass_over()
        if type_ in self._registry.refused:
            fragment.note(self._registry.refused[type_])
        elif type_ in self._registry.sections:
            fragment.note(f"{type_!r} is not the content of anything: it stands in the section {type_} of the layout")
        else:
            fragment.note(f"nobody here knows the type {type_!r}{did_you_mean(type_, self._registry.types)}")

    def share(self, keys: str, fragment: Fragment, on: Sequence[Handle]) -> None:
        """Have the owner of some keys read them of a fragment that belongs to another."""
        if keys in self._registry.keys:
            self._calls.from_disko(keys, fragment, on)

    def join(self, section: str, name: str, on: Sequence[Handle], path: str) -> None:
        """Write down a member of something that is described elsewhere in the layout."""
        self._paths.setdefault((section, name), []).append(path)
        self.joins.setdefault((section, name), []).append(tuple(on))

    def joined(self, section: str, name: str) -> Sequence[str]:
        """Give the paths of all members."""
        return self._known_paths.get((section, name), ())

    def unread(self, fragment: Fragment, key: str, known: Sequence[str]) -> None:
        """Say what is wrong with a key that nobody asked for."""
        value = fragment.value(key)
        if key.startswith("_") or value is None:
            return  # what Disko keeps for itself, and what was left out
        if key in HOOKS:
            if value != "":
                self._hook(fragment, key, value)
        elif key == "device":
            fragment.note(NO_DEVICE, key)
        else:
            fragment.note(f"this is unknown here{did_you_mean(key, known)}", key)

    def _hook(self, fragment: Fragment, key: str, value: object) -> None:
        fault = fault_of(value) if self._allow_hooks else NOT_ALLOWED
        if fault or not isinstance(value, str):
            fragment.note(fault, key)
            return
        # An entry that stands for several disks has each of its tables read several times.
        hook = Hook(path=fragment.path, key=key, text=value)
        self._hooks[hook.where] = hook
