"""The journal: what was consented to, what was begun and what was finished, written before each step it speaks of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pre_nixos.host.questions import ReadFile
from pre_nixos.model.action import Verb
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pre_nixos.host.api import Reader
    from pre_nixos.model.action import Action
    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.plan import Plan

STATE_DIRECTORY = "/run/pre-nixos"
JOURNAL = f"{STATE_DIRECTORY}/journal"


class Agreed(Data):
    """What somebody who agreed was shown, as far as it takes to know what they were not shown."""

    losing: dict[str, str] = {}
    """What was to go, by id: the UUID by which it is known, if it has one."""
    seen: tuple[str, ...] = ()
    """Whatever was on the disks and could be looked at: what turns up on it later was not there."""


class Consented(Data, tag="consented", tag_field="entry"):
    """A person, or a program on their behalf, agreed."""

    digest: str
    purpose: str
    """What the consent was for: the wanted graph and the disks, without what was lost on them then."""
    takes: tuple[str, ...]
    suspects: tuple[str, ...] = ()
    """What earlier runs had left unfinished."""
    agreed: Agreed = Agreed()


class Began(Data, tag="began", tag_field="entry"):
    """An action is about to run."""

    verb: Verb
    target: str
    parts: tuple[str, ...] = ()
    """Whatever is made or changed with it."""
    touches: tuple[str, ...] = ()
    """The disks it may write to."""
    on: tuple[str, ...] = ()
    """What its target stands on."""
    again: bool = False
    """Whether half of it done is to be undone and done again, although it loses nothing: scripts are part of it."""


class Ended(Data, tag="ended", tag_field="entry"):
    """An action ran to its end."""

    verb: Verb
    target: str
    parts: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    again: bool = False
    """What was said of that when it began, as was what is above."""
    gone: tuple[str, ...] = ()
    """What was lost by it."""


class Withdrawn(Data, tag="withdrawn", tag_field="entry"):
    """An action that began was refused before any of its steps wrote: all it was to work on is as it was."""

    target: str


class Audited(Data, tag="audited", tag_field="entry"):
    """A guard was asked more than once, or said no."""

    action: str
    text: str


class Closed(Data, tag="closed", tag_field="entry"):
    """Everything was as wanted: the consent is used up."""

    settled: tuple[str, ...] = ()
    """What had been left unfinished, and is either as wanted now or no longer there."""


Entry = Consented | Began | Ended | Withdrawn | Audited | Closed


class Journal:
    """What the entries add up to."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.open: Consented | None = None
        """The consent a stopped run was acting on."""
        self._unfinished: dict[str, tuple[str, ...]] = {}
        """With the disks it was on; none if that was not said."""
        self.leaving: set[str] = set()
        """What of that was whole before, and was only to be removed."""
        self._latest: dict[str, Sequence[str]] = {}
        """What came under suspicion with the action that began last, by its target."""
        self._erased: dict[str, None] = {}
        self.removed: set[str] = set()
        """What was removed under the consent that was given last."""
        self._at_work: dict[str, tuple[Verb, Sequence[str]]] = {}
        """What that left half made or half removed, by which of the two, and what it stands on."""
        for entry in entries:
            self._take(entry)

    @property
    def unfinished(self) -> Sequence[str]:
        """What was begun to be made or changed, and not finished."""
        return tuple(self._unfinished)

    def suspects(self, there: DeviceGraph) -> tuple[str, ...]:
        """Give what of that is not to be trusted: what has its name on other disks by now is something else."""
        return tuple(
            each
            for each, disks in self._unfinished.items()
            if not disks or each not in there or not there.disks(each).isdisjoint(disks)
        )

    def at_work_on(self, verb: Verb) -> Collection[str]:
        """Give what that stands on which was left half made, or half removed: nobody knows what is there now."""
        return frozenset(on for was, supports in self._at_work.values() if was is verb for on in supports)

    @property
    def erased(self) -> Sequence[str]:
        """The disks that were erased under the consent that is open."""
        return tuple(self._erased)

    def _take(self, entry: Entry) -> None:
        self._follow(entry)
        match entry:
            case Consented():
                if self.open is None or self.open.purpose != entry.purpose:
                    self._erased.clear()
                self.open = entry
                self._unfinished.update({each: () for each in entry.suspects if each not in self._unfinished})
            case Ended(verb=Verb.ERASE, target=target):
                self._erased[target] = None
            case Began(verb=verb, target=target, parts=parts, touches=touches, again=again) if again or _leaves_traces(
                verb
            ):
                for disk in touches:
                    self._erased.pop(disk, None)  # somebody had put something there since
                # What is changed in place was whole before, and holds what nobody agreed to losing: only what is new
                # in it is not to be trusted, and the next look tells how far the change has come.
                own = () if verb is Verb.MODIFY else (target,)
                self._latest[target] = [each for each in (*own, *parts) if each not in self._unfinished]
                self._unfinished.update(dict.fromkeys(self._latest[target], touches))
                if verb is Verb.TEARDOWN:
                    self.leaving.update(self._latest[target])
                else:
                    self.leaving.difference_update((*own, *parts))
            case Withdrawn(target=target):
                self._drop(self._latest.pop(target, ()))
            case Ended(verb=verb, target=target, parts=parts, on=on, again=again) if again or not verb.loses_nothing:
                # Whatever it was made on was proven to hold nothing, however far the making of that had come.
                self._drop((target, *parts, *(on if verb is Verb.FORMAT else ())))
            case Closed(settled=settled):
                self.open = None
                self._erased.clear()
                self._drop(settled)
            case _:
                pass

    def _follow(self, entry: Entry) -> None:
        """Keep account of what was done under the consent that was given last."""
        match entry:
            case Consented():
                self.removed.clear()
                self._at_work.clear()
            case Began(verb=verb, target=target, on=on) if verb in {Verb.FORMAT, Verb.TEARDOWN}:
                self._at_work[target] = (verb, on)
            case Withdrawn(target=target):
                self._at_work.pop(target, None)
            case Ended(target=target, gone=gone):
                self._at_work.pop(target, None)
                self.removed.update(gone)
            case _:
                pass

    def _drop(self, settled: Iterable[str]) -> None:
        for each in settled:
            self._unfinished.pop(each, None)
            self.leaving.discard(each)

    @property
    def erased_for(self) -> str:
        """What the consent that is open is for: an erasure for another purpose is none for this."""
        return self.open.purpose if self.open is not None else ""

    def covers(self, plan: Plan, digest: str) -> bool:
        """Whether a stopped run had this very consent, for this very purpose."""
        return self.open is not None and self.open.digest == digest and self.open.purpose == purpose(plan)


def _leaves_traces(verb: Verb) -> bool:
    """Whether half of it done may look like all of it."""
    return not verb.loses_nothing and verb is not Verb.ERASE


def read_journal(reader: Reader, path: str = JOURNAL) -> Journal:
    """Read the journal of this boot; a last line that was cut off by a crash is of no account."""
    content = reader.ask(ReadFile(path=path)).content or ""
    entries: list[Entry] = []
    for line in content.splitlines():
        try:
            entries.append(msgspec.json.decode(line, type=Entry))
        except msgspec.DecodeError:
            continue
    return Journal(entries)


def line(entry: Entry) -> str:
    """Write one entry."""
    return msgspec.json.encode(entry).decode()


def purpose(plan: Plan) -> str:
    """Digest what a consent is for: what is wanted and on which disks, whatever is on them now."""
    from pre_nixos.model.plan import consent_digest

    return consent_digest(plan.wanted, {})


def parts_of(action: Action, plan: Plan) -> tuple[str, ...]:
    """Name the layers that are made or removed together with an action's target; of one that stays, those it gets."""
    graph = plan.before if action.verb.looks_back else plan.wanted.graph
    layer = graph.get(action.target)
    parts = [*([each.id for each in graph.parts(layer)] if layer is not None else []), *action.makes]
    kept = plan.before if action.verb is Verb.MODIFY else ()
    return tuple(dict.fromkeys(each for each in parts if each not in kept))
