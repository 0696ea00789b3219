"""The typed way to ask plugins. Every exception that comes out of one is attributed to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

from pre_nixos.hooks import specs
from pre_nixos.hooks.registry import PluginError, Registry
from pre_nixos.model.draft import InvalidLayout
from pre_nixos.model.machine import NoSuchDisks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pre_nixos.hooks.fragment import Fragment
    from pre_nixos.hooks.sheet import Sheet
    from pre_nixos.host.api import Reader
    from pre_nixos.model.action import Action, Objection, Replace
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
        return self._owner(specs.format, layer, graph)

    def activate(self, layer: Layer, graph: DeviceGraph) -> Sequence[Action]:
        """Ask the owner how to activate a layer."""
        return self._owner(specs.activate, layer, graph)

    def deactivate(self, layer: Layer, graph: DeviceGraph) -> Sequence[Action]:
        """Ask the owner how to release a layer."""
        return self._owner(specs.deactivate, layer, graph)

    def teardown(self, layer: Layer, graph: DeviceGraph) -> Sequence[Action]:
        """Ask the owner how to remove a layer."""
        return self._owner(specs.teardown, layer, graph)

    def modify(self, old: Layer, new: Layer, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
        """Ask the owner how to change a layer in place, or why that cannot be."""
        found = self.registry.owner(specs.modify, old.kind)
        if found is None:
            from pre_nixos.model.action import Replace

            return Replace(why=f"a {old.kind} cannot be changed in place")
        plugin, function = found
        return _attributed(plugin, specs.modify, function, old, new, before, after)

    def guard(self, device: BlockDevice, reader: Reader) -> Sequence[Objection]:
        """Ask every plugin whether it objects to destroying what is on a device."""
        return self._everyone(specs.guard, device, reader)

    def objections(self, plan: Plan) -> Sequence[Objection]:
        """Ask every plugin whether it objects to a plan."""
        return self._everyone(specs.objections, plan)

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

    def propose(self, policy: specs.Policy, machine: Machine, options: specs.Options) -> Wanted:
        """Ask a policy what should be there. A wish that makes no sense comes through; a fault is attributed."""
        try:
            return policy.propose(machine, options)
        except (InvalidLayout, NoSuchDisks):
            raise
        except Exception as error:
            raise PluginError(f"policy {policy.name} failed: {type(error).__name__}: {error}") from error

    def _everyone(self, spec: Callable[P, Iterable[R]], *arguments: P.args, **named: P.kwargs) -> list[R]:
        answers: list[R] = []
        for plugin, function in self.registry.everyone(spec):
            # A generator fails while it is read, so it is read here, where its plugin is known.
            answers += _attributed(plugin, spec, _listed(function), *arguments, **named)
        return answers

    def _owner(self, spec: Callable[[Layer, DeviceGraph], R], layer: Layer, graph: DeviceGraph) -> R:
        found = self.registry.owner(spec, layer.kind)
        if found is None:
            owner = self.registry.owners.get(layer.kind, "no plugin")
            raise PluginError(f"{owner} cannot {spec.__name__} a {layer.kind}")
        plugin, function = found
        return _attributed(plugin, spec, function, layer, graph)


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
