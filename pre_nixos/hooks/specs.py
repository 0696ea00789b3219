"""Every hook there is: what each is asked, and what it answers.

A hook that is about a layer is asked of the plugin that owns the layer's kind and of nobody else. The others are asked
of every plugin, in no order that matters. None of them runs around another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import pluggy

from pre_nixos.model.data import Data
from pre_nixos.model.layer import Layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pre_nixos.hooks.fragment import Fragment
    from pre_nixos.hooks.sheet import Sheet
    from pre_nixos.host.api import Reader
    from pre_nixos.host.pieces import Pieces
    from pre_nixos.model.action import Action, Objection, Replace
    from pre_nixos.model.device import BlockDevice
    from pre_nixos.model.draft import Handle, Wanted
    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.identity import Found
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan

T = TypeVar("T")

PROJECT = "pre_nixos"
API = 1
"""The version of this door; a backend says which one it was written for."""

spec = pluggy.HookspecMarker(PROJECT)


class Backend:
    """What a plugin brings: the kinds it owns and the programs they need."""

    __slots__ = ("api", "disko_keys", "disko_refused", "disko_sections", "disko_types", "kinds", "tools")

    def __init__(
        self,
        *,
        kinds: Iterable[type[Layer]] = (),
        tools: Iterable[str] = (),
        disko_types: Iterable[str] = (),
        disko_sections: Iterable[str] = (),
        disko_keys: Iterable[str] = (),
        disko_refused: Mapping[str, str] = {},
        api: int = API,
    ) -> None:
        """Take the kinds and programs; and the types of layouts it reads, the sections, and those it says no to.

        A type is what stands in a `content`, a section what stands at the top of a layout; keys are those that tables
        of other owners may have. What is refused says why, and gives way to whoever owns it.
        """
        self.api = api
        self.kinds = _several("kinds", kinds)
        unfit = [each for each in self.kinds if not _is_kind(each)]
        if unfit:
            raise TypeError(f"kinds are classes, each a Layer, and {unfit[0]!r} is none: write kinds=[Vault]")
        self.tools = _words("tools", tools)
        self.disko_types = _words("disko_types", disko_types)
        self.disko_sections = _words("disko_sections", disko_sections)
        self.disko_keys = _words("disko_keys", disko_keys)
        self.disko_refused = dict(disko_refused)


def _is_kind(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Layer)


def _several(field: str, given: Iterable[T]) -> tuple[T, ...]:
    """Take what is several; a word is not, although it could be gone through letter by letter."""
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        one = given.__name__ if isinstance(given, type) else repr(given)
        raise TypeError(f"{field} are several, also if it is one: write {field}=[{one}]")
    return tuple(given)


def _words(field: str, given: Iterable[str]) -> tuple[str, ...]:
    words = _several(field, given)
    for each in words:
        if not isinstance(each, str):  # pyright: ignore[reportUnnecessaryIsInstance] - plugins may be untyped
            raise TypeError(f"{field} are words, and {each!r} is none")
    return words


class Options(Data):
    """The base of a policy's options; each field is a flag, with its default, and its docstring is its help."""


TheirOptions = TypeVar("TheirOptions", bound=Options)


class Policy:
    """A named answer to what should be on a machine."""

    __slots__ = ("name", "options", "propose", "summary")

    def __init__(
        self,
        *,
        name: str,
        summary: str,
        options: type[TheirOptions],
        propose: Callable[[Machine, TheirOptions], Wanted],
    ) -> None:
        """Take a function and the class of the options it wants; it is never called with any other."""
        self.name = name
        self.summary = summary
        self.options: type[Options] = options
        self.propose = cast("Callable[[Machine, Options], Wanted]", propose)


@spec
def backend() -> Backend:
    """Say which kinds of layer this plugin owns and which programs it uses."""
    raise NotImplementedError


@spec
def probe(reader: Reader) -> Iterable[Found]:
    """Find the layers of this plugin's kinds on a machine, changing nothing. Asked of every plugin."""
    raise NotImplementedError


@spec
def format(layer: Layer, graph: DeviceGraph) -> Sequence[Action]:  # noqa: A001 - the name of the arrow
    """Make a layer that is absent, and its parts with it; the graph is the wanted one. Pure."""
    raise NotImplementedError


@spec
def activate(layer: Layer, graph: DeviceGraph) -> Sequence[Action]:
    """Make an inactive layer active, or an ephemeral one be there; the graph is the wanted one. Loses nothing. Pure."""
    raise NotImplementedError


@spec
def deactivate(layer: Layer, graph: DeviceGraph) -> Sequence[Action]:
    """Make an active layer inactive, or end an ephemeral one; the graph is what is there. Loses nothing. Pure."""
    raise NotImplementedError


@spec
def teardown(layer: Layer, graph: DeviceGraph) -> Sequence[Action]:
    """Remove an inactive layer and its parts for good; the graph is what is there. Pure.

    A kind without it is read-only: a plan in which such a layer must go is refused.
    """
    raise NotImplementedError


@spec
def modify(old: Layer, new: Layer, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Change a layer, or its set of parts, in place; or say why it must be made anew. Pure."""
    raise NotImplementedError


@spec
def guard(device: BlockDevice, reader: Reader) -> Iterable[Objection]:
    """Object to destroying what is on a device, at the moment before it happens. Asked of every plugin."""
    raise NotImplementedError


@spec
def objections(plan: Plan) -> Iterable[Objection]:
    """Object to a plan as a whole. Pure. Asked of every plugin."""
    raise NotImplementedError


@spec
def disguise(pieces: Pieces, other: Callable[[str], str]) -> Mapping[int, bytes]:
    """Say what of the bytes read from one device others may see, so that it still says the same. Pure.

    Asked of every plugin, where a recording is to be shown to others. `other` gives a text, such as a UUID, with
    what identifies in it replaced. What nobody answers for becomes zeros.
    """
    raise NotImplementedError


@spec
def policies() -> Iterable[Policy]:
    """Offer policies, to be chosen by name."""
    raise NotImplementedError


@spec
def from_disko(content: Fragment, on: Sequence[Handle]) -> None:
    """Read one table of a layout, and add the layers it describes. Asked of the owner of its type. Pure."""
    raise NotImplementedError


@spec
def to_disko(layer: Layer, sheet: Sheet) -> Mapping[str, object]:
    """Write a layer down as a table of a layout, with what stands on it. Asked of the owner of its kind. Pure."""
    raise NotImplementedError


@spec
def nixos_options(layer: Layer, graph: DeviceGraph) -> Mapping[str, object]:
    """Say what NixOS must be told of a layer, as options in tables. Asked of the owner of its kind. Pure."""
    raise NotImplementedError


OWNED: tuple[Callable[..., object], ...] = (format, activate, deactivate, teardown, modify, to_disko, nixos_options)
"""Asked of the owner of a layer's kind."""
READING: tuple[Callable[..., object], ...] = (from_disko,)
"""Asked of the owner of a type of layouts."""
SHARED: tuple[Callable[..., object], ...] = (backend, probe, guard, objections, disguise, policies)
"""Asked of every plugin."""
