"""The two marks an author puts on a function; type checkers reject a wrong class, argument or return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast, overload

import pluggy

from pre_nixos.hooks.specs import PROJECT, modify, to_disko
from pre_nixos.model.layer import Layer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pre_nixos.hooks.fragment import Fragment
    from pre_nixos.hooks.sheet import Sheet
    from pre_nixos.model.draft import Handle
    from pre_nixos.model.graph import DeviceGraph

P = ParamSpec("P")
R = TypeVar("R")
L = TypeVar("L", bound=Layer)

_impl = pluggy.HookimplMarker(PROJECT)

KIND = "__pre_nixos_kind__"
"""The attribute in which a function keeps the kind it is for."""
TYPES = "__pre_nixos_types__"
"""The attribute in which a function keeps the types of layouts it reads."""


def implements(spec: Callable[P, R]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function as this plugin's answer to a hook that every plugin is asked."""

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        _impl(function, specname=_name(spec))
        return function

    return mark


@overload
def for_kind(  # pyright: ignore[reportOverlappingOverload] - modify has two layers first, and comes first
    spec: Callable[Concatenate[Layer, Layer, P], R], kind: type[L]
) -> Callable[[Callable[Concatenate[L, L, P], R]], Callable[Concatenate[Layer, Layer, P], R | None]]: ...


@overload
def for_kind(
    spec: Callable[Concatenate[Layer, P], R], kind: type[L]
) -> Callable[[Callable[Concatenate[L, P], R]], Callable[Concatenate[Layer, P], R | None]]: ...


def for_kind(spec: Callable[..., Any], kind: type[Layer]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a function as the answer for one kind of layer; for every other kind it answers None by itself."""

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        # pluggy calls by the names of the arguments, so the wrapper needs those of the hook.
        def for_two(old: Layer, new: Layer, before: DeviceGraph, after: DeviceGraph) -> object:
            return function(old, new, before, after) if isinstance(old, kind) else None

        def for_one(layer: Layer, graph: DeviceGraph) -> object:
            return function(layer, graph) if isinstance(layer, kind) else None

        def for_sheet(layer: Layer, sheet: Sheet) -> object:
            return function(layer, sheet) if isinstance(layer, kind) else None

        asked = for_two if spec is modify else for_sheet if spec is to_disko else for_one
        asked.__name__ = asked.__qualname__ = function.__name__
        asked.__doc__, asked.__module__ = function.__doc__, function.__module__
        setattr(asked, KIND, kind)
        _impl(asked, specname=_name(spec))
        return cast("Callable[..., Any]", asked)

    return mark


def for_type(
    spec: Callable[[Fragment, Sequence[Handle]], None], *types: str
) -> Callable[[Callable[[Fragment, Sequence[Handle]], None]], Callable[[Fragment, Sequence[Handle]], None]]:
    """Mark a function as the one that reads tables of these types, or entries of these sections, of layouts."""

    def mark(
        function: Callable[[Fragment, Sequence[Handle]], None],
    ) -> Callable[[Fragment, Sequence[Handle]], None]:
        # As above: what its author calls the arguments is not what pluggy calls by.
        def asked(content: Fragment, on: Sequence[Handle]) -> None:
            function(content, on)

        asked.__name__ = asked.__qualname__ = function.__name__
        asked.__doc__, asked.__module__ = function.__doc__, function.__module__
        setattr(asked, TYPES, types)
        _impl(asked, specname=_name(spec))
        return asked

    return mark


def _name(spec: Callable[..., object]) -> str:
    return spec.__name__
