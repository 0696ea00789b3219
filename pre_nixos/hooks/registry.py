"""Who is there: the plugins, the kinds they own and the policies they offer."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import pluggy

from pre_nixos.hooks import specs
from pre_nixos.hooks.marks import KIND, TYPES
from pre_nixos.model.layer import Layer, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

P = ParamSpec("P")
R = TypeVar("R")

GROUP = specs.PROJECT
"""The entry point group. The built-ins are found in it like everyone else."""


class PluginError(RuntimeError):
    """A plugin that cannot be used, or that failed; names it."""


class Registry:
    """The plugins of this process, each by name."""

    def __init__(self, plugins: Mapping[str, object], distributions: Mapping[str, str] = {}) -> None:
        """Take plugins by name, and the distribution each came from. Raises PluginError for any that cannot be used."""
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(specs)
        self.distributions = dict(distributions)
        self.kinds: dict[str, type[Layer]] = {}
        self.owners: dict[str, str] = {}
        self.tools: dict[str, tuple[str, ...]] = {}
        self.types: dict[str, str] = {}
        """The owner of each type of layouts."""
        self.sections: dict[str, str] = {}
        """The owner of each section of layouts."""
        self.keys: dict[str, str] = {}
        """The owner of each set of keys that tables of layouts may share."""
        self.refused: dict[str, str] = {}
        """Types and sections that are known and not made, each with the reason."""
        for name, plugin in plugins.items():
            self._register(name, plugin)
        self._owned: dict[tuple[str, str], tuple[str, Callable[..., Any]]] = {
            (spec, kind): (plugin, function) for spec, kind, plugin, function in self._owned_hooks()
        }
        self._readers = dict(self._reading_hooks())

    def only(self, names: Iterable[str]) -> Registry:
        """Give a registry with these plugins alone."""
        return Registry({name: self._manager.get_plugin(name) for name in names}, self.distributions)

    @property
    def names(self) -> Sequence[str]:
        """The plugins' names, sorted."""
        return sorted(name for name, _ in self._manager.list_name_plugin())

    @property
    def writers(self) -> Mapping[str, str]:
        """For each kind, the distribution that owns it: what a document written now says of itself."""
        return {kind: self.distributions.get(owner, owner) for kind, owner in self.owners.items()}

    def everyone(self, spec: Callable[P, R]) -> Iterator[tuple[str, Callable[P, R]]]:
        """Give every plugin's answer to a hook that all are asked."""
        for impl in getattr(self._manager.hook, spec.__name__).get_hookimpls():
            yield impl.plugin_name, impl.function

    def owner(self, spec: Callable[P, R], kind: str) -> tuple[str, Callable[P, R]] | None:
        """Give the owning plugin's answer to a hook about a kind of layer; None if it has none."""
        return self._owned.get((spec.__name__, kind))

    def reader(self, type_: str) -> tuple[str, Callable[..., Any]] | None:
        """Give the function that reads a type or a section of layouts; None if nobody does."""
        return self._readers.get(type_)

    def implementations(self, plugin: str) -> Sequence[str]:
        """Name the hooks a plugin answers."""
        found = self._manager.get_plugin(plugin)
        callers = self._manager.get_hookcallers(found) if found is not None else None
        return sorted({caller.name for caller in callers or ()})

    def _register(self, name: str, plugin: object) -> None:
        try:
            self._manager.register(plugin, name=name)
            self._manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            raise PluginError(f"plugin {name}: {error}") from error
        for caller in self._manager.get_hookcallers(plugin) or ():
            for impl in caller.get_hookimpls():
                if impl.plugin_name == name and (impl.wrapper or impl.hookwrapper or impl.tryfirst or impl.trylast):
                    raise PluginError(
                        f"plugin {name} marks its {caller.name} as a wrapper or to be first or last; "
                        "what the plan shows is what runs, so no hook may come around another"
                    )
        # What its author calls the function is theirs; the mark says what it is.
        marked = (function for owner, function in self.everyone(specs.backend) if owner == name)
        declare: Callable[[], object] | None = next(marked, getattr(plugin, "backend", None))
        if declare is not None:
            self._own(name, self._declared(name, declare))

    def _declared(self, name: str, declare: Callable[[], object]) -> specs.Backend:
        try:
            backend = declare()
        except Exception as error:
            raise PluginError(f"plugin {name} failed in backend: {type(error).__name__}: {error}") from error
        if not isinstance(backend, specs.Backend):
            raise PluginError(f"plugin {name} answers backend with {backend!r}: return Backend(kinds=[...])")
        return backend

    def _own(self, name: str, backend: specs.Backend) -> None:
        if backend.api != specs.API:
            raise PluginError(f"plugin {name} was written for door {backend.api}, and this is door {specs.API}")
        self.tools[name] = backend.tools
        for cls in backend.kinds:
            kind = kind_of(cls)
            if kind in self.kinds:
                raise PluginError(f"the kind {kind} has two owners: {self.owners[kind]} and {name}; remove one of them")
            self.kinds[kind], self.owners[kind] = cls, name
        self._own_types(name, backend)

    def _own_types(self, name: str, backend: specs.Backend) -> None:
        for types, owners in (
            (backend.disko_types, self.types),
            (backend.disko_sections, self.sections),
            (backend.disko_keys, self.keys),
        ):
            for each in types:
                other = self.types.get(each) or self.sections.get(each) or self.keys.get(each)
                if other:
                    raise PluginError(f"the type {each} of layouts has two owners: {other} and {name}; remove one")
                owners[each] = name
        self.refused.update(backend.disko_refused)

    def _owned_hooks(self) -> Iterator[tuple[str, str, str, Callable[..., Any]]]:
        for spec in specs.OWNED:
            for plugin, function in self.everyone(spec):
                cls = getattr(function, KIND, None)
                if cls is None:
                    raise PluginError(f"plugin {plugin} answers {spec.__name__} for no kind: mark it @for_kind")
                kind = kind_of(cls)
                if self.owners.get(kind) != plugin:
                    raise PluginError(
                        f"plugin {plugin} answers {spec.__name__} for {kind}, which {self._who_owns(plugin, cls)}"
                    )
                yield spec.__name__, kind, plugin, function

    def _who_owns(self, plugin: str, cls: type[Layer]) -> str:
        owner = self.owners.get(kind_of(cls))
        if owner is not None:
            return f"{owner} owns"
        listed = f"Backend(kinds=[{cls.__name__}])"
        if plugin in self.tools:
            return f"nobody owns: its backend() must list it, {listed}"
        return f"nobody owns: it has no backend() marked @implements(hooks.backend), which must return {listed}"

    def _reading_hooks(self) -> Iterator[tuple[str, tuple[str, Callable[..., Any]]]]:
        for spec in specs.READING:
            for plugin, function in self.everyone(spec):
                for each in getattr(function, TYPES, ()) or (None,):
                    if each is None:
                        raise PluginError(f"plugin {plugin} answers {spec.__name__} for no type: mark it @for_type")
                    if plugin not in {self.types.get(each), self.sections.get(each), self.keys.get(each)}:
                        raise PluginError(
                            f"plugin {plugin} reads {each}, which is not among the types its backend() lists"
                        )
                    yield each, (plugin, function)


@cache
def installed() -> Registry:
    """Give the registry of everything that is installed, loaded once."""
    from pre_nixos.hooks.entrypoints import entry_points

    plugins: dict[str, object] = {}
    distributions: dict[str, str] = {}
    for point in sorted(entry_points(GROUP), key=lambda each: each.name):
        origin = point.origin
        if point.name in plugins:
            raise PluginError(
                f"two distributions bring a plugin {point.name}: {distributions[point.name]} and {origin}"
            )
        try:
            plugins[point.name] = point.load()
        except Exception as error:
            raise PluginError(f"plugin {point.name} of {origin} cannot be imported: {error}") from error
        distributions[point.name] = origin
    if not plugins:
        raise PluginError(
            "no plugins are installed, not even the built-in ones: install pre-nixos, do not only unpack it"
        )
    return Registry(plugins, distributions)


__all__ = ["GROUP", "PluginError", "Registry", "installed"]
