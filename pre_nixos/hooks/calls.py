"""The typed way to ask plugins. Every exception that comes out of one is attributed to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from pre_nixos.hooks import specs
from pre_nixos.hooks.registry import PluginError, Registry
from pre_nixos.model.action import Action, Replace
from pre_nixos.model.draft import InvalidLayout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pre_nixos.hooks.fragment import Fragment
    from pre_nixos.hooks.sheet import Sheet
    from pre_nixos.host.api import Reader
    from pre_nixos.host.pieces import Pieces
    from pre_nixos.model.action import Objection
    from pre_nixos.model.device import BlockDevice
    from pre_nixos.model.draft import Handle, Wanted
    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.identity import Found
    from pre_nixos.model.layer import Layer
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan

P = ParamSpec("P")
R = TypeVar("R")


class Calls:
    """The hooks of a registry, as functions."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def can(self, spec: Callable[..., object], layer: Layer) -> bool:
        """Whether the owner of a layer's kind answers a hook for it."""
        return self.registry.owner(spec, layer.kind) is not None

    def probe(self, reader: Reader) -> Sequence[Found]:
        """Ask every plugin what it finds."""
        return self._everyone(specs.probe, reader)

    def format(self, layer: Layer, graph: DeviceGraph) -> Sequence[Action]:
        """Ask the owner how to make a layer."""
        return self._actions(specs.format, layer, graph)

    def activate(self, layer: Layer, graph: DeviceGraph) -> Sequence[Action]:
        """Ask the owner how to activate a layer."""
        return self._actions(specs.activate, layer, graph)

    def deactivate(self, layer: Layer, graph: DeviceGraph) -> Sequence[Action]:
        """Ask the owner how to release a layer."""
        return self._actions(specs.deactivate, layer, graph)

    def teardown(self, layer: Layer, graph: DeviceGraph) -> Sequence[Action]:
        """Ask the owner how to remove a layer."""
        return self._actions(specs.teardown, layer, graph)

    def modify(self, old: Layer, new: Layer, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
        """Ask the owner how to change a layer in place, or why that cannot be."""
        found = self.registry.owner(specs.modify, old.kind)
        if found is None:
            return Replace(why=f"a {old.kind} cannot be changed in place")
        plugin, function = found
        answer = _attributed(plugin, specs.modify, function, old, new, before, after)
        return answer if isinstance(answer, Replace) else _checked(plugin, specs.modify, answer, after)

    def guard(self, device: BlockDevice, reader: Reader) -> Sequence[Objection]:
        """Ask every plugin whether it objects to destroying what is on a device."""
        return self._everyone(specs.guard, device, reader)

    def objections(self, plan: Plan) -> Sequence[Objection]:
        """Ask every plugin whether it objects to a plan."""
        return self._everyone(specs.objections, plan)

    def disguise(self, pieces: Pieces, other: Callable[[str], str]) -> Sequence[Mapping[int, bytes]]:
        """Ask every plugin what of the bytes read from a device others may see."""
        return [
            _attributed(plugin, specs.disguise, function, pieces, other)
            for plugin, function in self.registry.everyone(specs.disguise)
        ]

    def policies(self) -> Sequence[specs.Policy]:
        """Ask every plugin for its policies."""
        return self._everyone(specs.policies)

    def from_disko(self, type_: str, content: Fragment, on: Sequence[Handle]) -> bool:
        """Have the owner of a type of layouts read a table; False if nobody owns the type."""
        found = self.registry.reader(type_)
        if found is None:
            return False
        plugin, function = found
        try:
            function(content, on)
        except Exception as error:
            raise PluginError(
                f"plugin {plugin} failed to read {content.path}: {type(error).__name__}: {error}"
            ) from error
        return True

    def to_disko(self, layer: Layer, sheet: Sheet) -> Mapping[str, object] | None:
        """Have the owner of a layer write it down for a layout; None if it has no way to."""
        found = self.registry.owner(specs.to_disko, layer.kind)
        if found is None:
            return None
        plugin, function = found
        return _attributed(plugin, specs.to_disko, function, layer, sheet)

    def nixos_options(self, layer: Layer, graph: DeviceGraph) -> Mapping[str, object] | None:
        """Ask the owner what NixOS must be told of a layer; None if it has no answer for this kind.

        What it cannot say of this very layer comes through as InvalidLayout.
        """
        found = self.registry.owner(specs.nixos_options, layer.kind)
        if found is None:
            return None
        plugin, function = found
        try:
            return function(layer, graph)
        except InvalidLayout:
            raise
        except Exception as error:
            raise PluginError(f"plugin {plugin} failed in nixos_options: {type(error).__name__}: {error}") from error

    def propose(self, policy: specs.Policy, machine: Machine, options: specs.Options) -> Wanted:
        """Ask a policy what should be there. A wish that makes no sense comes through; a fault is attributed."""
        try:
            return policy.propose(machine, options)
        except InvalidLayout:
            raise
        except Exception as error:
            raise PluginError(f"policy {policy.name} failed: {type(error).__name__}: {error}") from error

    def _everyone(self, spec: Callable[P, Iterable[R]], *arguments: P.args, **named: P.kwargs) -> list[R]:
        answers: list[R] = []
        for plugin, function in self.registry.everyone(spec):
            # A generator fails while it is read, so it is read here, where its plugin is known.
            answers += _attributed(plugin, spec, _listed(function), *arguments, **named)
        return answers

    def _actions(
        self, spec: Callable[[Layer, DeviceGraph], Sequence[Action]], layer: Layer, graph: DeviceGraph
    ) -> Sequence[Action]:
        found = self.registry.owner(spec, layer.kind)
        if found is None:
            owner = self.registry.owners.get(layer.kind, "no plugin")
            raise PluginError(f"{owner} cannot {spec.__name__} a {layer.kind}")
        plugin, function = found
        return _checked(plugin, spec, _attributed(plugin, spec, function, layer, graph), graph)


def _checked(plugin: str, spec: Callable[..., object], answer: object, graph: DeviceGraph) -> Sequence[Action]:
    """Give the actions a hook answered with, if they are any: each the arrow that was asked for, of a layer."""
    said = f"plugin {plugin} answered {spec.__name__} with"
    if isinstance(answer, Action):
        raise PluginError(f"{said} one action: return a list of them, [Action(...)]")
    if isinstance(answer, str) or not hasattr(answer, "__iter__"):
        raise PluginError(f"{said} {answer!r}: return a list of actions, [Action(...)]")
    several = cast("Iterable[object]", answer)
    # A generator fails while it is read, so it is read here, where its plugin is known.
    return [_one(each, said, spec, graph) for each in _attributed(plugin, spec, _listed(lambda: several))]


def _one(action: object, said: str, spec: Callable[..., object], graph: DeviceGraph) -> Action:
    if not isinstance(action, Action):
        raise PluginError(f"{said} {action!r} among its actions: return a list of actions, [Action(...)]")
    if action.verb != spec.__name__:
        raise PluginError(f"{said} an action to {action.verb}: write verb=Verb.{spec.__name__.upper()}")
    unknown = [each for each in (action.target, *action.makes) if each not in graph]
    if unknown:
        raise PluginError(f"{said} an action for {unknown[0]!r}, which is no layer there: write target=layer.id")
    return action


def _listed(function: Callable[P, Iterable[R]]) -> Callable[P, list[R]]:
    def listed(*arguments: P.args, **named: P.kwargs) -> list[R]:
        return list(function(*arguments, **named))

    return listed


def _attributed(
    plugin: str, spec: Callable[..., object], function: Callable[P, R], *arguments: P.args, **named: P.kwargs
) -> R:
    try:
        answer = function(*arguments, **named)
    except PluginError:
        raise
    except Exception as error:
        raise PluginError(f"plugin {plugin} failed in {spec.__name__}: {type(error).__name__}: {error}") from error
    if answer is None:
        raise PluginError(f"plugin {plugin} answered {spec.__name__} with nothing at all")
    return answer
