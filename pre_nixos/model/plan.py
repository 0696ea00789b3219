"""Plans: the actions that lead from what is there to what is wanted, and what they cost."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from pre_nixos.model.action import Action, Objection, Verb
from pre_nixos.model.data import Data
from pre_nixos.model.difference import Fate, Verdict, only_use
from pre_nixos.model.draft import Wanted
from pre_nixos.model.graph import DeviceGraph
from pre_nixos.model.layer import Disk, Layer, State, anonymous, without_passing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

PLAN_VERSION = 1


class BrokenPlan(ValueError):
    """An action of a plan whose preconditions do not hold when its turn comes."""


class Plan(Data):
    """What will be done, in order, to these disks, and why; nothing else will."""

    version: int = PLAN_VERSION
    before: DeviceGraph
    """What stands on the disks it speaks for."""
    wanted: Wanted
    only: tuple[Verb, ...] = tuple(Verb)
    """The verbs it was to make do with."""
    actions: tuple[Action, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()
    """Pairs of positions in `actions`: the second needs the first."""
    reasons: dict[str, Verdict] = {}
    """The fate of every layer the plan speaks of, by id."""
    objections: tuple[Objection, ...] = ()
    """Reasons not to go on; a plan that has any is never applied."""
    fingerprint: str = ""
    """Of what stands on the disks: a machine with another fingerprint is not the one this plan was made for."""
    digest: str = ""
    """What a person consents to: the wanted graph, the disks, the content that goes, and every byte of a script."""

    @property
    def looks_again(self) -> bool:
        """Whether something can be told only after part of it is done; what follows then needs no less consent."""
        # Nothing comes to light by what only ends a use.
        return Verb.ACTIVATE in self.only and any(each.fate is Fate.UNSEEN for each in self.reasons.values())

    @property
    def is_harmless(self) -> bool:
        """Whether it is only about what is in use: then it cannot lose anything, unless by what is wanted to be run."""
        return only_use(self.only)

    def meant(self, word: str) -> Sequence[str]:
        """Find the layers the plan speaks of by an id, by how ids end, or else by what is anywhere in them."""
        if word in self.reasons:
            return [word]
        ending = [each for each in self.reasons if each.endswith((f"/{word}", f":{word}"))]
        return ending or [each for each in self.reasons if word in each]

    def explain(self, layer: str) -> str:
        """Say what becomes of a layer, or of all that are meant by a part of an id, and why.

        Raises LookupError, with all the layers the plan speaks of, if it is none of them.
        """
        found = self.meant(layer)
        if not found:
            there = ", ".join(self.reasons) or "none at all"
            raise LookupError(f"this plan does not speak of a layer {layer!r}; it speaks of: {there}")
        return "\n".join(self._explained(each) for each in found)

    def _explained(self, layer: str) -> str:
        verdict = self.reasons[layer]
        acts = [action.summary for action in self.actions if action.target == layer or layer in action.destroys]
        return f"{layer}: {verdict.fate}, because {verdict.why}." + "".join(f"\n  {each}" for each in acts)

    def losses(self) -> Mapping[str, Sequence[Layer]]:
        """Give, for every disk, the layers on it that will be gone."""
        going = [self.before[id_] for id_, verdict in self.reasons.items() if verdict.fate.removes]
        lost: dict[str, list[Layer]] = {each: [] for each in self.wanted.takes}
        for layer in going:
            for disk in self.before.disks(layer.id):
                lost.setdefault(disk, []).append(layer)
        return lost

    def simulate(self) -> Iterator[tuple[Action, DeviceGraph]]:
        """Give the graph after each action, checking that each one's preconditions hold when its turn comes."""
        graph = self.before
        for action in self.actions:
            graph = after(action, graph, self.wanted.graph)
            yield action, graph

    def result(self) -> DeviceGraph:
        """Give the graph after all actions."""
        graph = self.before
        for _, graph in self.simulate():  # noqa: B007 - the last one is the result
            pass
        return graph


def fingerprint(before: DeviceGraph) -> str:
    """Digest what stands on a plan's disks: identity, topology, UUIDs, signatures; nothing that passes."""
    return _digest(_written(before))


def consent_digest(wanted: Wanted, losses: Mapping[str, Sequence[Layer]], only: Collection[Verb] = tuple(Verb)) -> str:
    """Digest what a person is asked: the wanted graph, the disks by identity, the content that goes, the scripts."""
    rest: dict[str, object] = {
        **({} if set(only) == set(Verb) else {"only": sorted(only)}),
        **({"replaces": list(wanted.replaces)} if wanted.replaces else {}),
        "takes": list(wanted.takes),
        "named": list(wanted.named),
        "erase": wanted.erase,
        "losses": {disk: sorted(_naming(each) for each in lost) for disk, lost in losses.items()},
    }
    if wanted.scripts:
        rest["scripts"] = wanted.scripts
    if wanted.engine is not None:
        rest["engine"] = wanted.engine
    beginning = msgspec.json.encode(rest, order="deterministic").removesuffix(b"}")
    return _digest(chain([beginning, b',"wanted":'], _written(wanted.graph), [b"}"]))


def _naming(layer: Layer) -> str:
    # An ephemeral layer ends without a loss: that it is in use is no part of what is consented to.
    return "" if layer.ephemeral else f"{layer.id} {layer.state} {layer.label_for_uuid()}"


def _with_supports(graph: DeviceGraph, disks: frozenset[str]) -> set[str]:
    standing = {layer.id for layer, _, its in graph.entries() if not disks.isdisjoint(its)}
    return (
        standing
        | {below for id_ in standing for below in graph.on(id_)}
        | set[str]().union(*(graph.below(id_) for id_ in standing if not graph.disks(id_) <= disks))
    )


def before_of(graph: DeviceGraph, takes: Iterable[str]) -> DeviceGraph:
    """Give the part of a machine's graph that stands on these disks, with what else it stands on."""
    disks = frozenset(takes)
    aside = any(disks.isdisjoint(its) for _, _, its in graph.entries())
    return (graph.only(_with_supports(graph, disks)) if aside else graph).with_each(anonymous)


def _written(graph: DeviceGraph) -> Iterator[bytes]:
    """Write what identifies each layer, and what it stands on, as one JSON object; in pieces, for there may be many."""
    between = b"{"
    for id_, layer, on in graph.by_id():
        content = [without_passing(layer), on]
        yield between + msgspec.json.encode(id_) + b":" + msgspec.json.encode(content, order="deterministic")
        between = b","
    yield b"}" if between == b"," else b"{}"


def _digest(pieces: Iterable[bytes]) -> str:
    import hashlib

    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()[:16]


def after(action: Action, graph: DeviceGraph, wanted: DeviceGraph) -> DeviceGraph:
    """Give the graph after an action. Raises BrokenPlan if its preconditions do not hold."""
    target = action.target
    match action.verb:
        case Verb.DEACTIVATE:
            return _deactivated(_present(graph, target), graph)
        case Verb.TEARDOWN:
            layer = _present(graph, target)
            in_use = [each for each in graph.above(target) if _in_use(graph[each])]
            if in_use:
                raise BrokenPlan(f"{layer.id} cannot go: {in_use[0]} is still in use on it")
            return graph.without([target])
        case Verb.ERASE:
            _present(graph, target)
            if graph.standing_on(target):
                raise BrokenPlan(f"{target} cannot be erased: {graph.standing_on(target)[0]} is still on it")
            return graph
        case Verb.FORMAT:
            there = [each for each in (target, *action.makes) if each in graph]
            if there:
                raise BrokenPlan(f"{there[0]} cannot be made: it is already there")
            made = graph.plus(_made(target, graph, wanted))
            return made.plus((wanted[each], wanted.on(each)) for each in action.makes)
        case Verb.ACTIVATE:
            return graph.plus(_activated(target, graph, wanted))
        case Verb.MODIFY:
            return _modified(target, graph, wanted)


def _modified(target: str, graph: DeviceGraph, wanted: DeviceGraph) -> DeviceGraph:
    if target not in graph and wanted[target].ephemeral and not wanted.on(target):
        return graph.plus(_made(target, graph, wanted))  # it stands on none of the plan's disks
    container = _present(graph, target)
    gone = [each.id for each in graph.parts(container) if each.id not in wanted and not each.incidental]
    return graph.without(gone).plus(_made(target, graph, wanted))


def _present(graph: DeviceGraph, target: str) -> Layer:
    layer = graph.get(target)
    if layer is None:
        raise BrokenPlan(f"{target} is not there when its turn comes")
    return layer


def _in_use(layer: Layer) -> bool:
    return layer.ephemeral and layer.state is not State.ABSENT


def _deactivated(layer: Layer, graph: DeviceGraph) -> DeviceGraph:
    in_use = [each for each in graph.above(layer.id) if _in_use(graph[each])]
    if in_use:
        raise BrokenPlan(f"{layer.id} cannot be released: {in_use[0]} is still in use on it")
    if layer.ephemeral:
        return graph.without([layer.id])
    return graph.plus(_in_state(graph, [layer, *graph.parts(layer)], State.INACTIVE))


def _in_state(graph: DeviceGraph, layers: Sequence[Layer], state: State) -> Sequence[tuple[Layer, tuple[str, ...]]]:
    return [(msgspec.structs.replace(each, state=state), graph.on(each.id)) for each in layers]


def _made(target: str, graph: DeviceGraph, wanted: DeviceGraph) -> Sequence[tuple[Layer, tuple[str, ...]]]:
    layer = wanted[target]
    for support in wanted.on(target):
        if _present(graph, support).state is State.INACTIVE:
            raise BrokenPlan(f"{target} cannot be made: {support} is not active")
    return [(each, wanted.on(each.id)) for each in [layer, *wanted.parts(layer)]]


def _activated(target: str, graph: DeviceGraph, wanted: DeviceGraph) -> Sequence[tuple[Layer, tuple[str, ...]]]:
    layer = graph.get(target)
    if layer is None:
        made = wanted[target]
        if not made.ephemeral:
            raise BrokenPlan(f"{target} cannot be activated: it was never made")
        return _made(target, graph, wanted)
    return _in_state(graph, [layer, *graph.parts(layer)], State.ACTIVE)


__all__ = ["PLAN_VERSION", "BrokenPlan", "Disk", "Plan", "before_of", "consent_digest", "fingerprint"]
