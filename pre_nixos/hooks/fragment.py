"""Fragments: one table of a layout in Disko's vocabulary, as the owner of its type is given it to read."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, ParamSpec, Protocol, cast

from pre_nixos.model.layer import Layer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pre_nixos.model.draft import Handle

P = ParamSpec("P")

PLAIN_KEY = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-'")


class Book(Protocol):
    """Where what is read is written down: the layers, what they stand on, and everything that is wrong."""

    root: str

    def note(self, path: str, text: str) -> None:
        """Write down what is wrong, and where."""
        ...

    def enter(self, layer: Layer | None, on: Sequence[Handle], path: str) -> Handle:
        """Write down a layer, or that there would be one had it made sense."""
        ...

    def having(self, name: str, path: str, *, below: bool) -> Handle:
        """Give a handle for what has a name, or for what that stands on, whoever describes it."""
        ...

    def described(self, name: str) -> Layer | None:
        """Give what has a name in the layout; none the first time it is read."""
        ...

    def ask(self, type_: str, fragment: Fragment, on: Sequence[Handle]) -> None:
        """Have the owner of a type read a fragment."""
        ...

    def share(self, keys: str, fragment: Fragment, on: Sequence[Handle]) -> None:
        """Have the owner of some keys read them of a fragment that belongs to another."""
        ...

    def join(self, section: str, name: str, on: Sequence[Handle], path: str) -> None:
        """Write down a member of something that is described elsewhere in the layout."""
        ...

    def joined(self, section: str, name: str) -> Sequence[str]:
        """Give the paths of all members."""
        ...

    def unread(self, fragment: Fragment, key: str, known: Sequence[str]) -> None:
        """Say what is wrong with a key that nobody asked for."""
        ...


class Fragment:
    """One table of a layout.

    Every key that is asked for is known, whether it is there or not; what nobody asked for is a mistake. So ask for
    all keys of a type before giving up on any of them. Whatever is wrong is noted with its path, and reading goes on.
    """

    __slots__ = ("_book", "_called", "_children", "_known", "_table", "above", "first", "key", "path")

    def __init__(
        self,
        table: Mapping[str, object],
        book: Book,
        *,
        path: str,
        key: str,
        above: Fragment | None = None,
        first: bool = True,
        called: str = "",
    ) -> None:
        self._table = table
        self._book = book
        self._known: set[str] = {"type"}
        self._children: dict[str, Fragment] = {}
        self._called = called
        self.path = path
        """Where it is, such as `disk.main.content.partitions.root`."""
        self.key = key
        """The key it has in the table it is in."""
        self.above = above
        """The table it is in."""
        self.first = first
        """Whether it is read for the first time; one that stands for several disks is read once for each."""

    @property
    def type(self) -> str:
        """Its type, as it is written."""
        said = self._table.get("type")
        return said if isinstance(said, str) else ""

    @property
    def name(self) -> str:
        """What it is called: what it says itself, or else its key."""
        return self._called or self.text("name") or self.key

    @property
    def root(self) -> str:
        """Where the root of the system that is being described is mounted now."""
        return self._book.root

    @property
    def members(self) -> Sequence[str]:
        """The paths of everything that joined this entry of a section."""
        return self._book.joined(self.type, self.name)

    def has(self, key: str) -> bool:
        """Whether there is something at a key; null is nothing."""
        self._known.add(key)
        return self._table.get(key) is not None

    def text(self, key: str, *, needed: bool = False) -> str | None:
        """Give the text at a key, if there is any; note that it is missing if it is needed."""
        found = self._get(key, "text", needed=needed)
        if found is None or isinstance(found, str):
            return found
        self._wrong(key, "text", found)
        return None

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Give what is true or false at a key."""
        found = self._get(key, "true or false")
        if found is None or isinstance(found, bool):
            return default if found is None else found
        self._wrong(key, "true or false", found)
        return default

    def number(self, key: str) -> int | None:
        """Give the whole number at a key, if there is one."""
        found = self._get(key, "a whole number")
        if found is None or (isinstance(found, int) and not isinstance(found, bool)):
            return found
        self._wrong(key, "a whole number", found)
        return None

    def numbers(self, key: str) -> tuple[int, ...] | None:
        """Give the list of whole numbers at a key, if there is one."""
        found = self._list(key, "a list of whole numbers", int)
        return cast("tuple[int, ...] | None", found)

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Give the list of texts at a key, if there is one."""
        return cast("tuple[str, ...] | None", self._list(key, "a list of texts", str))

    def words(self, key: str) -> tuple[str, ...]:
        """Give a list of texts taken apart at blanks, as Disko does with the arguments of most programs."""
        return tuple(word for text in self.texts(key) or () for word in text.split())

    def choice(self, key: str, choices: Sequence[str]) -> str | None:
        """Give the text at a key, which must be one of these."""
        found = self.text(key)
        if found is not None and found not in choices:
            self.note(f"{found!r} is none of {', '.join(choices)}", key)
            return None
        return found

    def child(self, key: str) -> Fragment | None:
        """Give the table at a key, if there is one."""
        found = self._get(key, "a table")
        if found is None:
            return None
        return self._child(found, key, f"{self.path}.{written(key)}")

    def children(self, key: str) -> Sequence[Fragment]:
        """Give the tables in the table at a key, in the order of their keys."""
        group = self.child(key)
        if group is None:
            return ()
        table = group._table  # noqa: SLF001 - it is one of us
        group._known.update(table)  # noqa: SLF001 - as above
        found = (group._child(value, each, f"{group.path}.{written(each)}") for each, value in sorted(table.items()))  # noqa: SLF001 - as above
        return [each for each in found if each is not None]

    def items(self, key: str) -> Sequence[Fragment]:
        """Give the tables in the list at a key; each has its place in it, from 1, as its key."""
        listed = self._get(key, "a list of tables")
        if listed is None:
            return ()
        if not isinstance(listed, list | tuple):
            self._wrong(key, "a list of tables", listed)
            return ()
        found: list[Fragment] = []
        for count, value in enumerate(cast("Sequence[object]", listed), 1):
            each = self._child(value, str(count), f"{self.path}.{written(key)}.{count}")
            found += [] if each is None else [each]
        return found

    def note(self, text: str, key: str = "") -> None:
        """Note what is wrong with this table, or with what is at one of its keys."""
        self._book.note(f"{self.path}.{written(key)}" if key else self.path, text)

    def fault(self, text: str, key: str = "", *, on: Sequence[Handle] = ()) -> Handle:
        """Note what makes a layer impossible; what would stand on it is read on this handle, and not made either."""
        self.note(text, key)
        return self.spoilt(on)

    def spoilt(self, on: Sequence[Handle] = ()) -> Handle:
        """Give a handle for what would stand on a layer that cannot be, for a reason that was noted."""
        return self._book.enter(None, on, self.path)

    def refuse(self, key: str, why: str) -> None:
        """Note why a key is not accepted, if it says anything."""
        if self.has(key) and self._table[key] not in ("", [], {}, False):
            self.note(why, key)

    def ignore(self, *keys: str) -> None:
        """Know keys that make no difference here."""
        self._known.update(keys)

    def add(self, on: Sequence[Handle], kind: Callable[P, Layer], *arguments: P.args, **fields: P.kwargs) -> Handle:
        """Make a layer of this kind and put it on others. What the kind does not accept is noted."""
        try:
            layer = kind(*arguments, **fields)
        except ValueError as error:
            return self.fault(str(error), on=on)
        return self.put(on, layer)

    def put(self, on: Sequence[Handle], layer: Layer) -> Handle:
        """Put a layer on others."""
        return self._book.enter(layer, on, self.path)

    def having(self, name: str, *, below: bool = False) -> Handle:
        """Give a handle for what has a name nothing else can have, such as `mapper:crypted`, wherever it is described.

        The names are those of `Layer.occupies`. It is noted if nothing in the layout has it. With `below` it is for
        what that stands on.
        """
        return self._book.having(name, self.path, below=below)

    def described(self, name: str) -> Layer | None:
        """Give what has a name anywhere in the layout, as it was read the first time; then it is never known."""
        return self._book.described(name)

    def content(self, on: Handle, key: str = "content") -> None:
        """Have what is inside read by the owner of its type, if there is anything."""
        inside = self.child(key)
        if inside is not None:
            self.read(inside, [on])

    def read(self, child: Fragment, on: Sequence[Handle]) -> None:
        """Have a table read by the owner of its type."""
        if not child.type:
            child.note('it has no type; write for example type = "filesystem"')
            child.pass_over()
            return
        self._book.ask(child.type, child, on)

    def share(self, keys: str, on: Handle) -> None:
        """Have keys of this very table read by their owner: `mountpoint` and what goes with it, say."""
        self._book.share(keys, self, [on])

    def join(self, section: str, name: str, on: Sequence[Handle]) -> None:
        """Make what is here a member of what an entry of a section describes."""
        self._book.join(section, name, on, self.path)

    def close(self) -> None:
        """Note every key that nobody asked for, here and below; doing it again says nothing twice."""
        known = sorted(self._known - {"type"})
        for key in self._table:
            if key not in self._known:
                self._book.unread(self, key, known)
        self._known.update(self._table)
        for each in self._children.values():
            each.close()

    def pass_over(self) -> Sequence[str]:
        """Take everything in here as known, and give the keys of what nobody read."""
        unread = sorted(key for key, value in self._table.items() if key not in self._known and value is not None)
        self._known.update(self._table)
        return [each for each in unread if not each.startswith("_")]

    def value(self, key: str) -> object:
        """Give whatever is at a key."""
        return self._get(key, "something")

    def _get(self, key: str, what: str, *, needed: bool = False) -> object:
        self._known.add(key)
        found = self._table.get(key)
        if found is None and needed:
            self.note(f"it needs {written(key)}, which is {what}")
        return found

    def _list(self, key: str, what: str, kind: builtins.type) -> tuple[object, ...] | None:
        found = self._get(key, what)
        if found is None:
            return None
        if not isinstance(found, list | tuple):
            self._wrong(key, what, found)
            return None
        items = cast("Sequence[object]", found)
        if all(isinstance(each, kind) and not isinstance(each, bool) for each in items):
            return tuple(items)
        self._wrong(key, what, items)
        return None

    def _child(self, found: object, key: str, path: str) -> Fragment | None:
        if key in self._children:
            return self._children[key]
        if not isinstance(found, dict):
            self._book.note(path, f"it must be a table, and is {in_words(found)}")
            return None
        table = cast("Mapping[str, object]", found)
        child = Fragment(table, self._book, path=path, key=key, above=self, first=self.first)
        self._children[key] = child
        return child

    def _wrong(self, key: str, what: str, found: object) -> None:
        self.note(f"it must be {what}, and is {in_words(found)}", key)


def written(key: str) -> str:
    """Write a key as Nix and TOML do: in quotes, if it would not be read as one word."""
    if key and not set(key) - PLAIN_KEY:
        return key
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


def in_words(value: object) -> str:
    """Say what a value is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {value!r}"
    if isinstance(value, int | float):
        return f"the number {value}"
    return "a list" if isinstance(value, list | tuple) else "a table" if isinstance(value, dict) else f"{value!r}"
