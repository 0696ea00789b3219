"""Who may come in, and how faults are told to be whose."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING

import pluggy
import pytest

from pre_nixos import backends
from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import PluginError, Registry
from pre_nixos.model.identity import Found
from pre_nixos.model.layer import Disk, Layer
from pre_nixos.plugin import Action, Backend, DeviceGraph, Draft, Pieces, Reader, Replace, for_kind, hooks, implements
from tests.unit.toys import Pool, disk, machine, toys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


class Thing(Layer, tag="thing"):
    pass


class Owner:
    @staticmethod
    @implements(hooks.backend)
    def backend() -> Backend:
        return Backend(kinds=[Thing, Disk])

    @staticmethod
    @for_kind(hooks.format, Thing)
    def make(layer: Thing, graph: DeviceGraph) -> Sequence[Action]:
        del layer, graph
        raise ZeroDivisionError("oh")

    @staticmethod
    @implements(hooks.probe)
    def probe(reader: Reader) -> Iterable[Found]:
        del reader
        yield Found(disk("a"))
        raise KeyError("who")


def test_two_owners_of_a_kind_are_both_named() -> None:
    with pytest.raises(PluginError, match="thing has two owners: one and two"):
        Registry({"one": Owner(), "two": Owner()})


def test_only_the_owner_answers_for_a_kind() -> None:
    class Meddler:
        @staticmethod
        @for_kind(hooks.teardown, Thing)
        def remove(layer: Thing, graph: DeviceGraph) -> Sequence[Action]:
            del layer, graph
            return []

    with pytest.raises(PluginError, match="plugin meddler answers teardown for thing, which owner owns"):
        Registry({"owner": Owner(), "meddler": Meddler()})


@pytest.mark.parametrize("mark", [{"wrapper": True}, {"hookwrapper": True}, {"tryfirst": True}, {"trylast": True}])
def test_nobody_comes_around_or_before_another(mark: dict[str, bool]) -> None:
    def format(layer: Layer, graph: DeviceGraph) -> Iterable[object]:  # noqa: A001 - the hook's name
        yield layer, graph

    class Pushy:
        pass

    pushy = Pushy()
    vars(pushy)["format"] = pluggy.HookimplMarker("pre_nixos")(format, **mark)  # type: ignore[call-overload]  # any of the four

    with pytest.raises(PluginError, match="plugin pushy marks its format"):
        Registry({"pushy": pushy})


def test_a_hook_with_other_arguments_is_refused() -> None:
    class Odd:
        @staticmethod
        @pluggy.HookimplMarker("pre_nixos")
        def probe(reader: Reader, mood: str) -> Iterable[Found]:
            del reader, mood
            return []

    with pytest.raises(PluginError, match=r"(?s)plugin odd: .*mood"):
        Registry({"odd": Odd()})


def test_a_plugin_for_another_door_is_refused() -> None:
    class Tomorrow:
        @staticmethod
        @implements(hooks.backend)
        def backend() -> Backend:
            return Backend(api=99)

    with pytest.raises(PluginError, match="written for door 99"):
        Registry({"tomorrow": Tomorrow()})


def test_faults_are_attributed() -> None:
    calls = Calls(Registry({"owner": Owner()}))
    there = machine(Found(disk("a")))
    draft = Draft(there, take=there.disks)
    draft.add(Thing(), on=list(there.disks))
    graph = draft.wanted().graph
    (thing,) = graph.of(Thing)
    with pytest.raises(PluginError, match="plugin owner failed in format: ZeroDivisionError: oh"):
        calls.format(thing, graph)
    with pytest.raises(PluginError, match="plugin owner failed in probe: KeyError"):
        calls.probe(there)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - never looked at
    with pytest.raises(PluginError, match="owner cannot teardown a thing"):
        calls.teardown(thing, graph)


def test_what_nobody_changes_in_place_is_replaced() -> None:
    calls = Calls(Registry({"owner": Owner()}))
    assert isinstance(calls.modify(Thing(), Thing(), DeviceGraph(), DeviceGraph()), Replace)


def test_an_implementation_is_asked_for_its_own_kind_alone() -> None:
    from tests.unit.toys import make_pool

    assert make_pool(Thing(), DeviceGraph()) is None
    there = machine(Found(disk("a")), Found(Pool(name="x"), on=["8:0"]))
    assert make_pool(there.graph.of(Pool)[0], there.graph)


def test_a_registry_tells_what_it_has() -> None:
    registry = toys()
    assert registry.names == ["toys"]
    assert registry.writers["toy.pool"] == "toys 1.0"
    assert "modify" in registry.implementations("toys")


def test_every_plugin_says_what_of_bytes_others_may_see() -> None:
    class Knows:
        @staticmethod
        @implements(hooks.disguise)
        def disguise(pieces: Pieces, other: Callable[[str], str]) -> Mapping[int, bytes]:
            return {0: other(pieces.at(0, 4).decode()).encode()}

    class Fails:
        @staticmethod
        @implements(hooks.disguise)
        def disguise(pieces: Pieces, other: Callable[[str], str]) -> Mapping[int, bytes]:
            del other
            return {0: pieces[7]}

    pieces = Pieces({0: b"mine"})
    assert Calls(Registry({"knows": Knows(), "owner": Owner()})).disguise(pieces, str.upper) == [{0: b"MINE"}]
    with pytest.raises(PluginError, match="plugin fails failed in disguise: KeyError: 7"):
        Calls(Registry({"fails": Fails()})).disguise(pieces, str.upper)


@pytest.mark.parametrize(
    "package", [each.name for each in pkgutil.iter_modules(backends.__path__, "pre_nixos.backends.") if each.ispkg]
)
def test_what_answers_a_hook_is_where_the_plugin_is_looked_at(package: str) -> None:
    """A plugin is its package, and whatever is marked in a file of it and not brought there is never asked."""
    plugin = import_module(package)
    brought = {id(each) for each in vars(plugin).values()}
    forgotten = [
        f"{module.name}.{name}"
        for module in pkgutil.iter_modules(plugin.__path__, f"{package}.")
        for name, each in vars(import_module(module.name)).items()
        if hasattr(each, "pre_nixos_impl") and each.__module__ == module.name and id(each) not in brought
    ]
    assert not forgotten
