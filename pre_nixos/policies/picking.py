"""Which disk a system goes on, if nobody said so: the one that fits, and never one of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pre_nixos.plugin import Data, Disk, InvalidLayout, human
from pre_nixos.policies.selection import Bucket, is_local, is_rotational, size_of, sort_into_buckets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pre_nixos.plugin import Machine, Wanted


_SAY = "Name what is meant (option disks), or say more of it (options medium, at_least, at_most, which)."
_MORE = "Name what is meant (option disks), or ask for less."


class Demand(Data):
    """What is asked of the disks a system is to go on."""

    names: tuple[str, ...] = ()
    """What they are called; nobody looks for others then."""
    which: Literal["only", "smallest", "largest"] = "only"
    medium: Literal["any", "ssd", "hdd"] = "any"
    at_least: int = 0
    at_most: int = 0
    """Bytes; 0 is no limit."""
    count: int = 1
    """How many hold the same."""
    tolerance: float = 0
    """By how many percent their sizes may differ."""


def pick(machine: Machine, demand: Demand, build: Callable[[Sequence[Disk], Sequence[Disk]], Wanted]) -> Wanted:
    """Give what is wanted on the disks that fit.

    `build` says what that would be, on these disks, and which of them were named; it raises InvalidLayout if they are
    too small. Raises InvalidLayout where none fit, or several do, with all disks there are.
    """
    named = tuple(machine.all_disks.named(demand.names))
    if named:
        return _on_named(named, demand, build)
    picking = _Picking(machine, demand, build)
    return picking.answer()


def _on_named(
    named: Sequence[Disk], demand: Demand, build: Callable[[Sequence[Disk], Sequence[Disk]], Wanted]
) -> Wanted:
    problems = [f"option disks: {_told(disk)} {why}" for disk in named for why in _unlike(disk, demand)]
    if len(named) != demand.count:
        problems.append(f"option disks: {len(named)} disks are named, and {_as_many(demand.count)} to be used")
    elif len(sort_into_buckets(named, demand.tolerance)) > 1:
        sizes = ", ".join(map(_told, named))
        problems.append(f"option disks: these differ by more than {demand.tolerance:g}% (option tolerance): {sizes}")
    if problems:
        raise InvalidLayout(problems)
    ordered = sorted(named, key=lambda disk: disk.id)
    try:
        return build(ordered, ordered)
    except InvalidLayout as error:
        raise InvalidLayout([f"{', '.join(map(_told, ordered))}: {each}" for each in error.problems]) from error


class _Picking:
    """The disks of a machine, sorted into those that fit, and the others with the reason."""

    def __init__(
        self, machine: Machine, demand: Demand, build: Callable[[Sequence[Disk], Sequence[Disk]], Wanted]
    ) -> None:
        self._demand = demand
        self._others: dict[str, str] = {}
        self._there = machine.graph
        self._disks = tuple(machine.graph.of(Disk))
        self._build = build
        self._fitting: list[tuple[Bucket, Wanted]] = []
        usable: list[Disk] = []
        for disk in self._disks:
            why = _forbidden(machine, disk) or ", ".join(_unlike(disk, demand))
            if why:
                self._others[disk.id] = why
            else:
                usable.append(disk)
        for rotational in (False, True):
            mine = [disk for disk in usable if is_rotational(disk) is rotational]
            for bucket in sort_into_buckets(mine, demand.tolerance):
                self._look_at(bucket)
        self._holding = [*self._found(usable)]
        self._fitting.sort(key=lambda each: (each[0].smallest, each[0].disks[0].id))

    def _look_at(self, bucket: Bucket) -> None:
        count = self._demand.count
        if len(bucket.disks) < count:
            there = "it is alone" if len(bucket.disks) == 1 else f"there are {len(bucket.disks)}"
            why = f"{count} of one kind and size are needed, and of this {there}"
            self._others |= {disk.id: why for disk in bucket.disks}
            return
        smallest = sorted(bucket.disks, key=lambda disk: (size_of(disk), disk.id))[:count]
        try:
            self._fitting.append((bucket, self._build(sorted(smallest, key=lambda disk: disk.id), ())))
        except InvalidLayout as error:
            self._others |= {disk.id: "; ".join(error.problems) for disk in bucket.disks}

    def answer(self) -> Wanted:
        """Give what is wanted on the disks that fit, or say why nobody can tell which these are."""
        if len(self._holding) == 1:
            return self._holding[0]  # a disk that was plugged in later is no reason to make a system anew
        left = self._fitting
        if not left:
            text = f"no disk fits, and {_as_many(self._demand.count)} needed. {_MORE}"
            raise InvalidLayout([f"{text}\n{self._listed(self._disks)}"])
        if self._demand.which != "only":
            first = left[0 if self._demand.which == "smallest" else -1]
            left = [each for each in left if each[0].smallest == first[0].smallest]
        candidates = [disk for bucket, _ in left for disk in bucket.disks]
        if len(candidates) == self._demand.count:
            return left[0][1]
        rule = "" if self._demand.which == "only" else f" as the {self._demand.which}"
        others = [disk for disk in self._disks if disk not in candidates]
        text = f"{len(candidates)} disks fit{rule}, and {_as_many(self._demand.count)} to be used. {_SAY}"
        raise InvalidLayout([f"{text}\n{self._listed([*candidates, *others])}"])

    def _found(self, usable: Sequence[Disk]) -> Iterator[Wanted]:
        """Give what is wanted on each set of disks that has the system, whatever other disks are like them by now."""
        mine = {disk.id: disk for disk in usable}
        places = {self._there.disks(each.id) for each in self._there.layers() if not isinstance(each, Disk)}
        for place in sorted(map(sorted, places)):
            if len(place) == self._demand.count and mine.keys() >= set(place):
                try:
                    wanted = self._build([mine[each] for each in place], ())
                except InvalidLayout:
                    continue  # why disks do not fit is said of each kind of them
                if self._holds(wanted):
                    yield wanted

    def _holds(self, wanted: Wanted) -> bool:
        """Whether the system is on these disks already, by its labels; what is closed cannot tell."""
        labels = {each.id: label for each in wanted.graph.layers() if (label := getattr(each, "label", None))}
        found = [
            getattr(self._there[each], "label", None) == label for each, label in labels.items() if each in self._there
        ]
        return bool(found) and all(found)

    def _listed(self, disks: Sequence[Disk]) -> str:
        lines = [
            f"  {_told(disk)}: {disk.id}" + (f" ({why})" if (why := self._others.get(disk.id)) else "")
            for disk in disks
        ]
        return "\n".join(["The disks of this machine:", *(lines or ["  none"])])


def _forbidden(machine: Machine, disk: Disk) -> str:
    """Say why a disk is not taken without having been named."""
    device = disk.device
    if machine.may_take(disk):
        return "" if is_local(disk) else "on a network; taken only if named"
    if device is None or not device.size:
        return "not there"
    if disk.id in machine.boot_medium.disks:
        return "this system runs from it"
    return "read-only" if device.read_only else "removable, or attached as if it were; taken only if named"


def _unlike(disk: Disk, demand: Demand) -> Sequence[str]:
    """List what is asked for and this disk is not."""
    said: list[str] = []
    if demand.medium != "any" and is_rotational(disk) is not (demand.medium == "hdd"):
        said.append(f"is no {demand.medium.upper()} (option medium)")
    if size_of(disk) < demand.at_least:
        said.append(f"is smaller than {human(demand.at_least)} (option at_least)")
    if 0 < demand.at_most < size_of(disk):
        said.append(f"is larger than {human(demand.at_most)} (option at_most)")
    return said


def _told(disk: Disk) -> str:
    return f"{disk.title}, {human(size_of(disk))}"


def _as_many(count: int) -> str:
    return "one is" if count == 1 else f"{count} are"
