"""schedule: the difference between two graphs, turned into actions in an order that is safe.

Three phases, each a barrier: everything that must go is released (nothing is lost); then it is removed, from the leaves
to the root, and disks that are to be blank are erased if that was asked for; then what is missing is made, changed or
activated, from the root to the leaves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pre_nixos.flow.blank import erasures
from pre_nixos.flow.engine import about_bystanders, about_secrets, all_or_nothing, handed_over
from pre_nixos.flow.objections import about_owner, core_objections
from pre_nixos.flow.restraint import restrained, still_used, to_release
from pre_nixos.flow.scripts import with_scripts
from pre_nixos.hooks import specs
from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import PluginError, installed
from pre_nixos.model.action import Action, Objection, Replace, Verb
from pre_nixos.model.difference import Difference, Fate, clashes, difference, only_use
from pre_nixos.model.layer import Disk, Layer, Role, State, roles
from pre_nixos.model.plan import Plan, before_of, consent_digest, fingerprint
from pre_nixos.model.step import Zero

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from pre_nixos.hooks.registry import Registry
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.machine import Machine


def schedule(
    machine: Machine,
    wanted: Wanted,
    *,
    only: Collection[Verb] = tuple(Verb),
    follows: bool = False,
    registry: Registry | None = None,
) -> Plan:
    """Plan the way from what is there to what is wanted.

    One that `follows` another, on the way to the same, does not object to losing what that did not know of: it is held
    to the consent instead.

    With `only={Verb.ACTIVATE}` nothing but activation is planned, which cannot destroy, unless by a script of what is
    wanted; with `only={Verb.DEACTIVATE}` and `released(wanted)` nothing but the way back. A plan that must not be
    carried out says so in its `objections`.
    """
    calls = Calls(registry or installed())
    machine = machine.against(wanted)
    found, changes = _decide(machine, wanted, calls, only)
    there = machine.graph
    leaving = found.going
    going = [layer for layer in there.layers() if layer.id in leaving]
    releases = _Releases(there, [*going, *to_release(there, wanted)], found, calls)
    removals = _Removals(there, going, calls, releases, changes)
    ours = [removals.complete(each) for each in _makings(there, wanted.graph, found, calls, changes)]
    makings = handed_over(ours, wanted)
    actions, edges = _chosen(
        [*releases.actions, *removals.actions, *erasures(machine, wanted), *makings], only, there, wanted.graph
    )
    before = before_of(there, wanted.takes)
    draft = Plan(
        before=before,
        wanted=wanted,
        only=tuple(each for each in Verb if each in only),
        actions=tuple(with_scripts(actions, wanted, found)),
        edges=tuple(edges),
        reasons=found.verdicts,
        fingerprint=fingerprint(before),
    )
    stuck = [*releases.stuck, *removals.stuck] if Verb.TEARDOWN in only else still_used(draft, there)
    said = [
        *core_objections(machine, draft, found, calls, follows=follows),
        *stuck,
        *calls.objections(draft),
        *about_secrets(there, releases.actions, ours, wanted),
        *about_bystanders(machine, ours, wanted),
    ]
    return msgspec.structs.replace(
        draft, objections=tuple(dict.fromkeys(said)), digest=consent_digest(wanted, draft.losses(), draft.only)
    )


def _decide(
    machine: Machine, wanted: Wanted, calls: Calls, only: Collection[Verb]
) -> tuple[Difference, Mapping[str, Sequence[Action]]]:
    """Ask the owners of what changed, until nobody declines; whatever was declined is made anew."""
    declined: dict[str, str] = {}
    while True:
        found = difference(machine.graph, wanted, distrusted=machine.suspects, replace=declined)
        changes: dict[str, Sequence[Action]] = {}
        refused: dict[str, str] = {}
        for id_ in found.ids(Fate.CHANGED):
            old, new = machine.graph[id_], wanted.graph[id_]
            if wanted.graph.container(new) is not None:
                continue  # its container was made a change of it, and answers for it
            answer = calls.modify(old, new, machine.graph, wanted.graph)
            if isinstance(answer, Replace):
                refused[id_] = answer.why
            else:
                changes[id_] = answer
        if not only_use(only):
            refused |= clashes(found, machine.graph)
            refused |= all_or_nothing(found, machine.graph, wanted, declined)
        if not refused:
            if only_use(only):
                return restrained(found, machine.graph, wanted.graph), {}
            return found, changes
        declined |= refused


def _active(layer: Layer, graph: DeviceGraph) -> bool:
    return layer.state is State.ACTIVE or any(each.state is State.ACTIVE for each in graph.parts(layer))


class _Releases:
    """First phase: end every use of what must go, from the top down."""

    def __init__(self, there: DeviceGraph, going: Sequence[Layer], found: Difference, calls: Calls) -> None:
        self.actions: list[Action] = []
        self.stuck: list[Objection] = []
        self.dark: set[str] = set()
        """Layers whose device is no longer there once this phase is over."""
        for layer in _leaves_first(going, there):
            container = there.container(layer)
            if container is not None and ((fate := found.fate(container.id)) is None or fate.removes):
                continue
            if container is not None or not _active(layer, there):
                continue
            if calls.can(specs.deactivate, layer):
                self.actions += calls.deactivate(layer, there)
                self.dark.update(each.id for each in [layer, *there.parts(layer)])
            elif layer.ephemeral:
                self.stuck.append(_cannot(layer, "released", calls))


class _Removals:
    """Second phase: remove what was released, from the leaves to the root, where it can be reached and has to be."""

    def __init__(
        self,
        there: DeviceGraph,
        going: Sequence[Layer],
        calls: Calls,
        releases: _Releases,
        changes: Mapping[str, Sequence[Action]],
    ) -> None:
        self.actions: list[Action] = []
        self.stuck: list[Objection] = []
        self._there = there
        self._alone: dict[str, Layer] = {}
        hidden = _hidden(there, releases.dark)
        lent = _lent(there, going, changes)
        for layer in going:
            if layer.ephemeral or layer.id in hidden or there.container(layer) is not None:
                continue
            if _is_on(lent, layer, there):
                continue  # goes with that
            if calls.can(specs.teardown, layer):
                self._alone[layer.id] = layer
            else:
                self.stuck.append(_cannot(layer, "removed", calls))
        # Of two contents of one device, the one with parts first: while they are there, the device is not free.
        for id_, layer in sorted(self._alone.items(), key=lambda it: (-there.depth(it[0]), not there.parts(it[1]))):
            for action in calls.teardown(layer, there):
                steps = tuple(
                    each for each in action.steps if not (isinstance(each, Zero) and each.target.layer in lent)
                )
                self.actions.append(self.complete(msgspec.structs.replace(action, steps=steps, destroys=(id_,))))

    def complete(self, action: Action) -> Action:
        """Name also what goes with what an action destroys, by no action of its own."""
        above = [each for id_ in action.destroys for each in self._there.above(id_)]
        swept = [each for each in above if each not in self._alone and not self._there[each].ephemeral]
        return msgspec.structs.replace(action, destroys=tuple(dict.fromkeys((*action.destroys, *swept))))


def _lent(there: DeviceGraph, going: Sequence[Layer], changes: Mapping[str, Sequence[Action]]) -> Collection[str]:
    """Find what goes and whose device has its room from others; clearing anything on it would take from these.

    Nothing old comes back for that: wherever something is made, the places it could show up in are cleared first.
    """
    leaving = {each.id for each in going}
    taken_out = {id_ for actions in changes.values() for action in actions for id_ in action.destroys}
    lent: set[str] = set()

    def is_removed(layer: Layer) -> bool:
        container = there.container(layer)
        return container is None or container.id in leaving or layer.id in taken_out

    for layer in going:
        if _is_on(lent, layer, there) or (layer.borrows(there) and there.standing_on(layer.id) and is_removed(layer)):
            lent.add(layer.id)
    return lent


def _is_on(devices: Collection[str], layer: Layer, there: DeviceGraph) -> bool:
    """Whether all it stands on is among these devices."""
    below = there.devices(layer) if devices else ()
    return bool(below) and all(each.id in devices for each in below)


def _hidden(there: DeviceGraph, dark: set[str]) -> set[str]:
    """Find what cannot be reached, because a device below it is not there: it goes with what it stands on."""
    away = [*(each for each in there.layers() if each.state is State.INACTIVE), *(there[each] for each in dark)]
    queue = [each.id for each in away if each.mark() is not None]
    hidden: set[str] = set()
    for id_ in queue:
        above = [each for each in there.standing_on(id_) if each not in hidden]
        hidden.update(above)
        queue += above
    return hidden


def _cannot(layer: Layer, what: str, calls: Calls) -> Objection:
    unable, remedy = about_owner(layer, calls, "do that")
    return Objection(
        subject=layer.id,
        text=f"{layer.title} ({layer.describe() or layer.kind}) would have to be {what}, and {unable}.",
        remedy=" ".join(filter(None, (remedy, "Remove it with its own tools, or leave its disk out."))),
    )


def _leaves_first(layers: Sequence[Layer], graph: DeviceGraph) -> Iterable[Layer]:
    """Order for release: uses that nothing stands on first, the deepest path first among them; then from the top.

    What offers a device out of a file goes, with all that stands on it, before the mount through which it has the file.
    """
    going = {layer.id: layer for layer in layers}
    given: set[str] = set()

    def with_what_is_above(id_: str) -> Iterator[Layer]:
        for each in graph.standing_on(id_):
            yield from with_what_is_above(each)
        if id_ in going and id_ not in given:
            given.add(id_)
            yield going[id_]

    leaves = sorted(
        (each for each in layers if _leaf(each, graph)),
        key=lambda layer: (-layer.buried, layer.segment, layer.since),
        reverse=True,
    )
    for leaf in leaves:
        beside = (each for support in graph.on(leaf.id) for each in graph.standing_on(support))
        for each in beside if leaf.mark() is None else ():
            if graph[each].ephemeral and graph[each].mark() is not None:
                yield from with_what_is_above(each)
        yield from with_what_is_above(leaf.id)
    for layer in reversed(layers):
        if layer.id not in given:
            yield layer


def _leaf(layer: Layer, graph: DeviceGraph) -> bool:
    return layer.ephemeral and not graph.standing_on(layer.id)


def _makings(
    there: DeviceGraph,
    wanted: DeviceGraph,
    found: Difference,
    calls: Calls,
    changes: Mapping[str, Sequence[Action]],
) -> Sequence[Action]:
    """Third phase: make, change and activate, from the root to the leaves; mounts last, the shortest path first."""
    actions: list[Action] = []
    leaves = sorted((each for each in wanted.layers() if _leaf(each, wanted)), key=lambda layer: layer.segment)
    inactive = {layer.id for layer in there.layers() if layer.state is State.INACTIVE}
    awaited: set[str] = set()
    """What leaves will occupy once it can be told whether they are there: nothing is put inside before."""
    for layer in [*(each for each in wanted.layers() if not _leaf(each, wanted)), *leaves]:
        fate = found.fate(layer.id)
        if isinstance(layer, Disk):
            continue  # a disk that is not there is objected to; nobody can make one
        if layer.ephemeral and (fate is Fate.UNSEEN or not awaited.isdisjoint(layer.within())):
            awaited |= layer.occupies()
            continue
        if fate is None or fate in {Fate.UNSEEN, Fate.STRADDLING, Fate.LEFT} or wanted.container(layer) is not None:
            continue
        if fate.makes:
            if not calls.can(specs.activate if layer.ephemeral else specs.format, layer):
                continue  # objected to, see `objections`
            actions += calls.activate(layer, wanted) if layer.ephemeral else _proven(layer, wanted, calls)
            continue
        actions += changes.get(layer.id, ())
        if inactive and _asleep(layer, inactive, wanted) and calls.can(specs.activate, layer):
            actions += calls.activate(_known(layer, there), wanted)
    return actions


def _known(layer: Layer, there: DeviceGraph) -> Layer:
    """Give a wanted layer with what only probing knows of it, such as the UUID to address it by."""
    facts = {field: getattr(there[layer.id], field) for field, role in roles(type(layer)).items() if role is Role.FACT}
    return msgspec.structs.replace(layer, **{**facts, "state": layer.state})


def _asleep(layer: Layer, inactive: Collection[str], wanted: DeviceGraph) -> bool:
    """Whether it, or a part of it that stays, is inactive and should not be."""
    return any(each.state is State.ACTIVE and each.id in inactive for each in [layer, *wanted.parts(layer)])


def _proven(layer: Layer, wanted: DeviceGraph, calls: Calls) -> Sequence[Action]:
    """Take an owner's actions for making a layer, provided they prove every device below it blank first."""
    actions = calls.format(layer, wanted)
    for device in wanted.devices(layer):
        if not any(action.proves_blank(device.id) for action in actions):
            owner = calls.registry.owners.get(layer.kind, "its owner")
            raise PluginError(f"plugin {owner} would make {layer.id} without proving {device.id} blank first")
    return actions


def _chosen(
    actions: Sequence[Action], only: Collection[Verb], there: DeviceGraph, wanted: DeviceGraph
) -> tuple[Sequence[Action], Sequence[tuple[int, int]]]:
    """Keep the verbs that were asked for, and of those only what does not need one that was not."""
    needs = _needs(actions, there, wanted)
    kept: dict[int, int] = {}
    for position, action in enumerate(actions):
        if action.verb in only and all(each in kept for each in needs[position]):
            kept[position] = len(kept)
    edges = [(kept[need], kept[position]) for position in kept for need in needs[position]]
    return [_complete(actions[position], there, wanted) for position in kept], edges


def _needs(actions: Sequence[Action], there: DeviceGraph, wanted: DeviceGraph) -> Sequence[Sequence[int]]:
    """Say for every action which earlier ones it needs: what stands above it gone, what it stands on made."""
    latest: dict[str, int] = {}
    needs: list[Sequence[int]] = []
    for position, action in enumerate(actions):
        target = action.target
        if action.verb.looks_back:
            related = [target, *(there.standing_on(target) if target in there else ())]
        else:
            layer = wanted.get(target)
            parts = [each.id for each in wanted.parts(layer)] if layer is not None else []
            supports = wanted.on(target) if layer is not None else ()
            related = [target, *supports, *(_containers_of(supports, wanted)), *parts, *action.makes]
        needs.append(sorted({latest[each] for each in related if each in latest}))
        latest[target] = position
    return needs


def _containers_of(ids: Sequence[str], graph: DeviceGraph) -> Iterable[str]:
    for id_ in ids:
        container = graph.container(graph[id_])
        if container is not None:
            yield container.id


def _complete(action: Action, there: DeviceGraph, wanted: DeviceGraph) -> Action:
    # An id may also be that of something on disks outside the plan, so each verb looks in its own graph.
    graph = there if action.verb.looks_back else wanted
    disks = graph.disks(action.target).union(*(graph.disks(each) for each in action.makes))
    return msgspec.structs.replace(action, touches=tuple(sorted(disks)))
