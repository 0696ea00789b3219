"""What must happen to each layer for one graph to become the other, and why."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pre_nixos.model.action import Verb
from pre_nixos.model.data import Data
from pre_nixos.model.layer import Disk, Layer, State
from pre_nixos.model.standing import is_content
from pre_nixos.model.twins import told_apart

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.graph import DeviceGraph


class Fate(StrEnum):
    """What becomes of a layer."""

    KEPT = "kept"
    CHANGED = "changed"
    """Stays, and is asked to change in place."""
    REPLACED = "replaced"
    """Goes, and is made anew."""
    NEW = "new"
    GONE = "gone"
    UNSEEN = "unseen"
    """Stands on something that is there but inactive: whether it is there can be told only after activation."""
    PARTIAL = "partial"
    """Stays, but members of it are missing: making it anew would lose what the others still hold."""
    STRADDLING = "straddling"
    """Would go, but stands partly on disks the plan does not speak for."""
    LEFT = "left"
    """Is not as wanted, and stays so: the plan is one that makes, changes and removes nothing."""

    @property
    def removes(self) -> bool:
        """Whether what is there goes."""
        return self in {Fate.REPLACED, Fate.GONE}

    @property
    def makes(self) -> bool:
        """Whether something is made."""
        return self in {Fate.REPLACED, Fate.NEW}

    @property
    def stays(self) -> bool:
        """Whether what is there stays what it is."""
        return self in {Fate.KEPT, Fate.CHANGED, Fate.PARTIAL}


class Verdict(Data):
    """The fate of one layer, and the reason in words."""

    layer: str
    fate: Fate
    why: str


class Difference(Data):
    """The verdict on every layer the plan speaks of; layers wholly outside are not in it."""

    verdicts: dict[str, Verdict]

    def fate(self, id: str) -> Fate | None:  # noqa: A002 - it is the layer's id
        """Give the fate of a layer; None if the plan does not speak of it."""
        found = self.verdicts.get(id)
        return found.fate if found else None

    @property
    def going(self) -> Collection[str]:
        """The ids of what goes."""
        return {id_ for id_, verdict in self.verdicts.items() if verdict.fate.removes}

    @property
    def coming(self) -> Collection[str]:
        """The ids of what is made."""
        return {id_ for id_, verdict in self.verdicts.items() if verdict.fate.makes}

    def ids(self, *fates: Fate) -> Sequence[str]:
        """Give the ids of the layers with one of these fates."""
        return [id_ for id_, verdict in self.verdicts.items() if verdict.fate in fates]


def difference(
    there: DeviceGraph, wanted: Wanted, *, distrusted: Collection[str] = (), replace: Mapping[str, str] = {}
) -> Difference:
    """Compare what is there with what is wanted.

    `distrusted` are layers an interrupted run was making; `replace` are layers whose change in place was declined, with
    the reason. Both are made anew.
    """
    foreign, others = _apart(there, wanted)
    verdicts: dict[str, Verdict] = {}
    making: set[str] = set()
    said: dict[str, list[str]] = {}
    for layer, on, _ in wanted.graph.entries():
        present = there.get(layer.id) if layer.id not in foreign else None
        if present is None:
            fate, why = _fate_of_what_is_not_there(layer, on, there, verdicts)
        else:
            fate, why = _wanted_fate(layer, on, present, there, verdicts, distrusted, replace)
        verdicts[layer.id] = Verdict(layer=layer.id, fate=fate, why=why)
        if fate.makes and not layer.ephemeral:
            making.update(on)
        if fate not in _QUIET:
            _say(f"is {fate}", layer, on, wanted.graph, said)
    left = _left(others, there, wanted.graph, verdicts)
    others = [each for each in others if each[0].id not in left]
    for layer, on, _ in others:
        if not layer.incidental and layer.id not in wanted.graph:
            _say("is to go", layer, on, there, said)
    _change_containers(said, there, verdicts)
    for layer, on, is_partly_outside in others:
        verdict = verdicts.get(layer.id)
        if is_partly_outside and (verdict is None or verdict.fate is not Fate.KEPT):
            outside = ", ".join(there[each].title for each in sorted(there.disks(layer.id).difference(wanted.takes)))
            why = f"it stands partly on {outside}, which this plan does not speak for"
            verdicts[layer.id] = Verdict(layer=layer.id, fate=Fate.STRADDLING, why=why)
        elif verdict is None and not (_left_alone(layer, on, verdicts) and not _in_the_way(on, there, making)):
            verdicts[layer.id] = Verdict(layer=layer.id, fate=Fate.GONE, why="nobody asked for it")
    return Difference(verdicts=verdicts)


def _apart(there: DeviceGraph, wanted: Wanted) -> tuple[Collection[str], Sequence[tuple[Layer, tuple[str, ...], bool]]]:
    """Find what is not ours to compare with, even if it would have the same id; and what more than comparing decides.

    The first stands wholly on other disks. (What is used of nothing, such as memory that is mounted, is nobody's, and
    is what it is.) The second is not wanted, or stands partly on other disks: with what it stands on, and whether so.
    """
    takes = frozenset(wanted.takes)
    foreign: set[str] = set()
    others: list[tuple[Layer, tuple[str, ...], bool]] = []
    for layer, on, disks in there.entries():
        if takes.isdisjoint(disks):
            if on or not layer.ephemeral:
                foreign.add(layer.id)
        elif not isinstance(layer, Disk) and (layer.id not in wanted.graph or not disks <= takes):
            others.append((layer, on, not disks <= takes))
    return foreign, others


def _left(
    others: Iterable[tuple[Layer, tuple[str, ...], bool]],
    there: DeviceGraph,
    wanted: DeviceGraph,
    verdicts: Mapping[str, Verdict],
) -> Collection[str]:
    """Find what nobody asked for and nobody speaks against.

    That is what somebody put into something that was wanted for its own sake, with nothing in it, or into a file that
    is used as a disk; and what can be seen of something that will be seen whole once the rest it stands on is active.
    """
    unseen = {each: wanted[id_] for id_ in verdicts if verdicts[id_].fate is Fate.UNSEEN for each in wanted.on(id_)}
    left: set[str] = set()

    def is_free(support: str) -> bool:
        verdict = verdicts.get(support)
        is_kept = verdict is not None and verdict.fate.stays and not isinstance(there[support], Disk)
        return support in left or (is_kept and support in wanted and not wanted.standing_on(support))

    def is_used_file(layer: Layer, on: tuple[str, ...]) -> bool:
        return (
            layer.ephemeral
            and layer.mark() is not None
            and all(there[each].mark() is None and not isinstance(there[each], Disk) for each in on)
            and all(each in left or ((verdict := verdicts.get(each)) is not None and verdict.fate.stays) for each in on)
        )

    def is_seen_in_part(layer: Layer, on: tuple[str, ...]) -> bool:
        wholes = [unseen[each] for each in on if each in unseen]
        return len(wholes) == len(on) and all(
            type(each) is type(layer) and set(on) < set(wanted.on(each.id)) for each in wholes
        )

    for layer, on, is_partly_outside in others:
        if layer.id in wanted or not on or is_partly_outside:
            continue
        if all(map(is_free, on)) or is_used_file(layer, on) or is_seen_in_part(layer, on):
            left.add(layer.id)
    return left


def _fate_of_what_is_not_there(
    layer: Layer, supports: Sequence[str], there: DeviceGraph, verdicts: Mapping[str, Verdict]
) -> tuple[Fate, str]:
    if layer.ephemeral and layer.state is State.INACTIVE:
        return Fate.KEPT, "it is not in use, as wanted"
    hidden = next((each for each in supports if _hides(each, there, verdicts)), None)
    if hidden is not None:
        return Fate.UNSEEN, f"{hidden} must be active before it can be told whether this is there"
    return Fate.NEW, "it is not there"


def _wanted_fate(
    layer: Layer,
    supports: tuple[str, ...],
    present: Layer,
    there: DeviceGraph,
    verdicts: Mapping[str, Verdict],
    distrusted: Collection[str],
    replace: Mapping[str, str],
) -> tuple[Fate, str]:
    if isinstance(layer, Disk):
        return Fate.KEPT, "it is the disk itself"
    on = there.on(layer.id)
    unseen = next((each for each in supports if verdicts[each].fate is Fate.UNSEEN), None)
    if unseen is not None:
        return Fate.UNSEEN, f"{unseen} must be active before it can be told whether this is as wanted"
    if set(on) < set(supports) and all(verdicts[each].fate.stays for each in on):
        asleep = next((each for each in supports if each not in on and _hides(each, there, verdicts)), None)
        if asleep is not None:
            return Fate.UNSEEN, f"{asleep} must be active before it can be told whether this is whole"
        if _lacks_members(layer, present, on) and layer.id not in {*distrusted, *replace}:
            stands = ", ".join(on)
            return Fate.PARTIAL, f"it is {present.health}, and stands on {stands} only, wanted on {', '.join(supports)}"
    if fault := _fault(layer, supports, present, on, verdicts):
        return Fate.REPLACED, fault
    if layer.id in replace:
        return Fate.REPLACED, replace[layer.id]
    if distrusted and (doubt := _doubt(layer, supports, there, distrusted)):
        return Fate.REPLACED, doubt
    mismatches = layer.mismatches(present)
    if mismatches:
        return Fate.CHANGED, "; ".join(str(each) for each in mismatches)
    return Fate.KEPT, "it is as wanted"


def _fault(
    layer: Layer,
    supports: tuple[str, ...],
    present: Layer,
    on: Sequence[str],
    verdicts: Mapping[str, Verdict],
) -> str:
    """Say why it is another thing than what is wanted, whatever is wished of it; empty if it is not."""
    for support in supports:
        if not verdicts[support].fate.stays:
            return f"{support} below it is {verdicts[support].fate}"
    if on != supports:
        stands = ", ".join(on) or "nothing"
        return f"it stands on {stands}, wanted on {', '.join(supports)}"
    return "" if type(present) is type(layer) else f"it is a {present.kind}, wanted a {layer.kind}"


def _doubt(layer: Layer, supports: Sequence[str], there: DeviceGraph, distrusted: Collection[str]) -> str:
    """Say why something is not to be trusted because a run was stopped; empty if it is.

    A part of what stays is whole as soon as it is there; but what is in it may still be what was there before.
    """
    if there.container(layer) is not None:
        return ""
    if layer.id in distrusted:
        return "an earlier run was stopped while it was at work on this"
    below = None if layer.ephemeral else next((each for each in supports if each in distrusted), None)
    return f"an earlier run was stopped while it was at work on {below} below it" if below else ""


def _lacks_members(layer: Layer, present: Layer, on: Sequence[str]) -> bool:
    """Whether what is there is the very thing that is wanted, short of members that are missing."""
    return not present.health.satisfies and bool(on) and type(present) is type(layer) and not layer.mismatches(present)


def _hides(support: str, there: DeviceGraph, verdicts: Mapping[str, Verdict]) -> bool:
    """Whether what stands on this cannot be seen: it, or something below it, offers a device that is not there now."""
    if verdicts[support].fate is Fate.UNSEEN:
        return True
    layer = there.get(support)
    if layer is None or not verdicts[support].fate.stays:
        return False
    away = layer.state is State.INACTIVE or (layer.device is None and not isinstance(layer, Disk))
    return away and layer.mark() is not None


def _short_of(verdict: Verdict) -> str:
    match verdict.fate:
        case Fate.NEW:
            return "is not there"
        case Fate.GONE:
            return "is there, and nobody asked for it"
        case _:
            return f"is not as wanted: {verdict.why}"


def _left_alone(layer: Layer, on: Sequence[str], verdicts: Mapping[str, Verdict]) -> bool:
    """Whether it is merely a use of something that stays, such as a further mount, or content of it: let it be."""
    return (layer.ephemeral or layer.incidental) and all(
        each not in verdicts or verdicts[each].fate.stays for each in on
    )


def _in_the_way(on: Sequence[str], there: DeviceGraph, making: Collection[str]) -> bool:
    """Whether something is to be made on the very thing it uses."""
    return any(support in making and there[support].mark() is not None for support in on)


def clashes(found: Difference, there: DeviceGraph) -> Mapping[str, str]:
    """Find what would stay although something else on the very same device goes, and would be wiped with it."""
    caught: dict[str, str] = {}
    for device in there.crowded():
        standing = there.standing_on(device.id) if device.mark() is not None else ()
        contents = [each for each in standing if is_content(there[each])]
        fates = {each: fate for each in contents if (fate := found.fate(each))}
        goes = next((each for each, fate in fates.items() if fate.removes), None)
        for each, fate in fates.items() if goes is not None else ():
            if fate.stays:
                caught.setdefault(each, f"it shares {device.id} with {goes}, which goes")
    return caught


def _change_containers(said: Mapping[str, Sequence[str]], there: DeviceGraph, verdicts: dict[str, Verdict]) -> None:
    """Turn every change to a part into a change of its container, whose hooks make it."""
    for container, changes in said.items():
        verdict = verdicts.get(container)
        if verdict is not None and verdict.fate.stays and container in there:
            why = "; ".join([*([verdict.why] if verdict.fate is Fate.CHANGED else []), *changes])
            verdicts[container] = Verdict(layer=container, fate=Fate.CHANGED, why=why)


def _say(what: str, layer: Layer, on: Sequence[str], graph: DeviceGraph, said: dict[str, list[str]]) -> None:
    """Note under the id of its container what becomes of a part."""
    for each in on if layer.part_of is not None else ():
        if graph[each].kind == layer.part_of:
            said.setdefault(each, []).append(f"{layer.id} {what}")


_QUIET = frozenset({Fate.KEPT, Fate.UNSEEN})


class Shortcoming(Data):
    """One thing that is not as wanted."""

    layer: str
    text: str

    def __str__(self) -> str:
        """The whole of it."""
        return f"{self.layer}: {self.text}"


def shortcomings(
    there: DeviceGraph, wanted: Wanted, *, only: Collection[Verb] = tuple(Verb), distrusted: Collection[str] = ()
) -> Sequence[Shortcoming]:
    """List everything in which what is there is not what is wanted; empty when it is.

    With `only` it is what a plan of these verbs would be expected to reach.
    """
    found: list[Shortcoming] = []
    there = told_apart(there, wanted)
    for id_, verdict in difference(there, wanted, distrusted=distrusted).verdicts.items():
        if only_use(only) and not _is_of_use(id_, verdict, wanted, only):
            continue
        present, wish = there.get(id_), wanted.graph.get(id_)
        if wish is not None and wish.state is State.INACTIVE:
            if present is not None and present.state is State.ACTIVE:
                found.append(Shortcoming(layer=id_, text="is in use"))
        elif verdict.fate is not Fate.KEPT:
            found.append(Shortcoming(layer=id_, text=_short_of(verdict)))
        elif present is not None and wish is not None:
            if present.state is State.INACTIVE and wish.state is State.ACTIVE:
                found.append(Shortcoming(layer=id_, text="is there but not active"))
            if not present.health.satisfies and not only_use(only):
                found.append(
                    Shortcoming(layer=id_, text=f"is {present.health}: {present.remark or 'see its own tools'}")
                )
    return found


def only_use(verbs: Collection[Verb]) -> bool:
    """Whether these are only about what is in use: then nothing can be lost."""
    return all(each.loses_nothing for each in verbs)


def _is_of_use(id_: str, verdict: Verdict, wanted: Wanted, only: Collection[Verb]) -> bool:
    """Whether it matters to what is to be in use, or not to be."""
    wish = wanted.graph.get(id_)
    if wish is None or (wish.state is not State.INACTIVE and Verb.ACTIVATE not in only):
        return False
    return wish.ephemeral or verdict.fate not in {Fate.CHANGED, Fate.PARTIAL}
