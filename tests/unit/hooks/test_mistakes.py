"""Mistakes of authors are told with the plugin they are in, and with what to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import PluginError, Registry
from pre_nixos.model.identity import assemble
from pre_nixos.plugin import Action, Backend, DeviceGraph, Disk, Layer, Run, Verb, for_kind, hooks, implements

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Vault(Layer, tag="vault"):
    """What the plugin is about."""


GRAPH = assemble([(Disk(id="disk:a"), ()), (Vault(), (0,))])
(VAULT,) = GRAPH.of(Vault)
GOOD = Action(verb=Verb.FORMAT, target=VAULT.id, summary="make it", steps=())


def answering(answer: Callable[[], object]) -> Calls:
    """A plugin that answers `format` with this."""

    class Banker:
        @staticmethod
        @implements(hooks.backend)
        def backend() -> Backend:
            return Backend(kinds=[Disk, Vault])

        @staticmethod
        @for_kind(hooks.format, Vault)
        def make(layer: Vault, graph: DeviceGraph) -> Sequence[Action]:
            del layer, graph
            return cast("Sequence[Action]", answer())

    return Calls(Registry({"banker": Banker()}))


def other(**fields: object) -> Action:
    return Action(**{"verb": Verb.FORMAT, "target": VAULT.id, "summary": "make it", "steps": (), **fields})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - fields by name


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (GOOD, r"with one action: return a list of them, \[Action\(\.\.\.\)\]"),
        ("mkvault", r"with 'mkvault': return a list of actions"),
        (7, r"with 7: return a list of actions"),
        (["mkvault"], r"with 'mkvault' among its actions: return a list"),
        ([other(target="nope")], r"with an action for 'nope', which is no layer there: write target=layer\.id"),
        ([other(makes=("nope",))], r"with an action for 'nope'"),
        ([other(verb=Verb.ACTIVATE)], r"with an action to activate: write verb=Verb\.FORMAT"),
    ],
)
def test_answers_that_are_no_actions_are_told(answer: object, said: str) -> None:
    with pytest.raises(PluginError, match=f"plugin banker answered format {said}"):
        answering(lambda: answer).format(VAULT, GRAPH)


def test_any_iterable_of_actions_will_do_and_is_read_at_once() -> None:
    assert answering(lambda: iter([GOOD])).format(VAULT, GRAPH) == [GOOD]

    def failing() -> object:
        yield GOOD
        raise ZeroDivisionError("oh")

    with pytest.raises(PluginError, match="plugin banker failed in format: ZeroDivisionError: oh"):
        answering(failing).format(VAULT, GRAPH)


def test_a_command_line_is_no_string() -> None:
    wrong = cast("tuple[str, ...]", "mkvault -f")
    with pytest.raises(PluginError, match=r"plugin banker failed in format: .*write argv=\('mkvault', '-f'\)"):
        answering(lambda: [other(steps=(Run(argv=wrong),))]).format(VAULT, GRAPH)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kinds": Vault}, r"kinds are several, also if it is one: write kinds=\[Vault\]"),
        ({"kinds": ["vault"]}, r"kinds are classes, each a Layer, and 'vault' is none: write kinds=\[Vault\]"),
        ({"kinds": [int]}, r"kinds are classes, each a Layer, and <class 'int'> is none"),
        ({"tools": "mkvault"}, r"tools are several, also if it is one: write tools=\['mkvault'\]"),
        ({"tools": [Vault]}, r"tools are words, and .*Vault.* is none"),
        ({"disko_types": "vault"}, r"disko_types are several"),
    ],
)
def test_what_a_backend_says_of_itself_is_looked_at_when_it_is_loaded(fields: dict[str, object], said: str) -> None:
    class Banker:
        @staticmethod
        @implements(hooks.backend)
        def backend() -> Backend:
            return Backend(**fields)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - on purpose

    with pytest.raises(PluginError, match=f"plugin banker failed in backend: TypeError: {said}"):
        Registry({"banker": Banker()})


def test_a_backend_may_be_called_anything() -> None:
    class Banker:
        @staticmethod
        @implements(hooks.backend)
        def what_we_bring() -> Backend:
            return Backend(kinds=[Vault])

    assert Registry({"banker": Banker()}).owners == {"vault": "banker"}


def test_a_backend_that_says_nothing_is_told() -> None:
    class Banker:
        @staticmethod
        @implements(hooks.backend)
        def backend() -> Backend:
            return cast("Backend", None)

    with pytest.raises(PluginError, match="plugin banker answers backend with None: return Backend"):
        Registry({"banker": Banker()})


def test_answers_for_a_kind_that_nobody_owns_tell_what_is_missing() -> None:
    class Banker:
        @staticmethod
        @for_kind(hooks.format, Vault)
        def make(layer: Vault, graph: DeviceGraph) -> Sequence[Action]:
            del layer, graph
            return [GOOD]

    with pytest.raises(PluginError, match=r"plugin banker answers format for vault, .* no backend\(\) marked"):
        Registry({"banker": Banker()})

    class Forgetful(Banker):
        @staticmethod
        @implements(hooks.backend)
        def backend() -> Backend:
            return Backend(kinds=[Disk])

    with pytest.raises(PluginError, match=r"nobody owns: its backend\(\) must list it, Backend\(kinds=\[Vault\]\)"):
        Registry({"banker": Forgetful()})
