"""A change in place that was stopped half way is no reason to make anew what held everything before it."""

from __future__ import annotations

from pre_nixos.backends.lvm import Group, Volume
from pre_nixos.flow.journal import Began, Ended, Journal, parts_of
from pre_nixos.model.action import Action, Verb
from pre_nixos.model.difference import Fate, difference
from pre_nixos.model.draft import Wanted
from pre_nixos.model.identity import assemble
from pre_nixos.model.layer import Disk
from pre_nixos.model.plan import Plan

GROUP = "lvm.group:main"


def graph(*names: str, size: str = "40MiB") -> Wanted:
    volumes = [(Volume(name=name, size=size, group="main"), (1,)) for name in names]
    made = assemble([(Disk(id="disk:a", serial="a"), ()), (Group(name="main"), (0,)), *volumes])
    return Wanted(graph=made, takes=("disk:a",))


def test_only_what_it_was_to_make_is_distrusted() -> None:
    before, wanted = graph("old"), graph("old", "new")
    plan = Plan(before=before.graph, wanted=wanted)
    change = Action(verb=Verb.MODIFY, target=GROUP, summary="", steps=())
    assert parts_of(change, plan) == (f"{GROUP}/new",)
    began = Began(verb=Verb.MODIFY, target=GROUP, parts=parts_of(change, plan))
    assert Journal([began]).unfinished == (f"{GROUP}/new",)
    assert Journal([began, Ended(verb=Verb.MODIFY, target=GROUP, parts=began.parts)]).unfinished == ()


def test_what_was_being_made_is_distrusted_whole() -> None:
    began = Began(verb=Verb.FORMAT, target=GROUP, parts=(f"{GROUP}/new",))
    assert Journal([began]).unfinished == (GROUP, f"{GROUP}/new")


def test_what_was_only_being_removed_was_whole_before() -> None:
    removing, making = Began(verb=Verb.TEARDOWN, target=GROUP), Began(verb=Verb.FORMAT, target=GROUP)
    assert Journal([removing]).leaving == {GROUP}
    assert Journal([making, removing]).leaving == set(), "half of it made"
    assert Journal([removing, making]).leaving == set()
    assert Journal([removing, Ended(verb=Verb.TEARDOWN, target=GROUP)]).leaving == set()


def test_a_group_whose_growth_was_stopped_is_kept() -> None:
    began = Began(verb=Verb.MODIFY, target=GROUP)
    verdicts = difference(graph("old").graph, graph("old", size="80MiB"), distrusted=Journal([began]).unfinished)
    assert verdicts.fate(GROUP) is Fate.CHANGED
    assert not verdicts.ids(Fate.REPLACED, Fate.GONE)
