"""Disks that come and go beside a finished system: it stays where it is, and nothing of it is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import pre_nixos as pn
from pre_nixos.backends.gpt import Partition, Table
from pre_nixos.backends.lvm import Group
from pre_nixos.backends.mdraid import Array
from pre_nixos.backends.mounts import Mount
from pre_nixos.backends.swap import Use
from pre_nixos.model.identity import assemble
from pre_nixos.plugin import Disk, Draft, Health
from tests.unit.policies.finished import after, plugged_in
from tests.unit.policies.servers import GB, TB, disk, drawn, hdds, server, ssds

if TYPE_CHECKING:
    from pre_nixos.plugin import Machine


def groups(wanted: pn.Wanted) -> dict[str, str]:
    """Each volume group with the serials of its disks."""
    return {
        each.name: " ".join(sorted(id_.removeprefix("disk:Disk-") for id_ in wanted.graph.disks(each.id)))
        for each in wanted.graph.of(Group)
    }


def again(there: Machine, before: pn.Wanted, policy: str, options: dict[str, Any]) -> pn.Wanted:
    """Run a policy once more: what was wanted still is, as it was, and no plan loses anything."""
    now = pn.propose(there, policy, options)
    plan = pn.schedule(there, now)
    assert plan.objections == ()
    assert not any(plan.losses().values())
    wishes = now.graph.wishes()
    assert {each: wish for each, wish in wishes.items() if each in before.graph} == before.graph.wishes()
    assert not any(each in before.graph for action in plan.actions for each in action.destroys)
    return now


def later(disks: list[Disk], *more: Disk, **options: object) -> dict[str, str]:
    """Make what `tiered` wants on some disks, plug others in, and say what is wanted then."""
    machine = server(disks)
    before = pn.propose(machine, "tiered", options)
    return groups(again(plugged_in(after(machine, before), *more), before, "tiered", options))


NEW = disk("A0", 6 * TB, rotational=True)


@pytest.mark.parametrize(
    ("disks", "more", "options", "expected"),
    [
        pytest.param(
            [*ssds(TB), *hdds(4 * TB)],
            [NEW],
            {"lone": True},
            {"main": "S0", "large": "H0", "large_1": "A0"},
            id="a larger HDD",
        ),
        pytest.param([*ssds(TB), *hdds(4 * TB, 4 * TB)], [NEW], {}, {"main": "S0", "large": "H0 H1"}, id="a lone one"),
        pytest.param(
            [*ssds(TB), *hdds(4 * TB, 4 * TB)],
            [NEW, disk("A1", 6 * TB, rotational=True)],
            {},
            {"main": "S0", "large": "H0 H1", "large_1": "A0 A1"},
            id="a larger pair",
        ),
        pytest.param(
            [*ssds(TB), *hdds(4 * TB, 2 * TB)],
            [NEW],
            {"lone": True},
            {"main": "S0", "large": "H0", "large_1": "H1", "large_2": "A0"},
            id="a further number",
        ),
        pytest.param(
            [*ssds(TB), *hdds(4 * TB)],
            [disk("A0", 4 * TB, rotational=True)],
            {"lone": True},
            {"main": "S0", "large": "H0", "large_1": "A0"},
            id="an HDD of its size",
        ),
        pytest.param(
            [*ssds(TB), *hdds(4 * TB)],
            [disk("A0", 4 * TB - 8 * GB, rotational=True)],
            {"lone": True},
            {"main": "S0", "large": "H0", "large_1": "A0"},
            id="an HDD that is a little smaller",
        ),
        pytest.param(
            ssds(TB, TB),
            [disk("A0", TB), disk("A1", TB)],
            {"careful": True},
            {"main": "S0 S1", "main_1": "A0 A1"},
            id="SSDs of its size",
        ),
        pytest.param(ssds(TB), [disk("A0", 2 * TB)], {"lone": True}, {"main": "S0", "main_1": "A0"}, id="a larger SSD"),
        pytest.param(ssds(TB), [disk("A0", 2 * TB)], {}, {"main": "S0"}, id="a larger SSD that is alone"),
        pytest.param(ssds(TB), [disk("A0", TB)], {}, {"main": "S0"}, id="an SSD of its size"),
        pytest.param(
            ssds(TB, TB, 2 * TB),
            [disk("A0", 2 * TB)],
            {},
            {"main": "S0 S1", "main_1": "A0 S2"},
            id="a second bucket of SSDs, which has more bytes",
        ),
        pytest.param(
            [*ssds(TB), *hdds(8 * TB, 8 * TB)],
            hdds(8 * TB, 8 * TB, TB, TB)[2:],
            {},
            {"main": "S0", "large": "H0 H1", "large_1": "H2 H3"},
            id="a pair that would have been swap, where swap is already",
        ),
        pytest.param(
            ssds(TB),
            hdds(8 * TB, 8 * TB, TB, TB),
            {},
            {"main": "S0", "large": "H0 H1", "large_1": "H2 H3"},
            id="large and a small pair, beside swap on main",
        ),
        pytest.param(
            [*ssds(TB), *hdds(8 * TB, 8 * TB, TB, TB)],
            hdds(0, 0, 0, 0, GB * 500, GB * 500)[4:],
            {},
            {"main": "S0", "large": "H0 H1", "swap": "H2 H3", "large_1": "H4 H5"},
            id="a smaller pair than that of swap",
        ),
        pytest.param(hdds(TB, TB), ssds(TB), {}, {"main": "H0 H1"}, id="an SSD beside a system on HDDs"),
        pytest.param(
            hdds(TB, TB),
            ssds(TB, TB),
            {"careful": True},
            {"main": "H0 H1", "main_1": "S0 S1"},
            id="SSDs beside a system on HDDs",
        ),
        pytest.param(hdds(TB, TB), [NEW], {}, {"main": "H0 H1"}, id="a lone HDD beside a system on HDDs"),
        pytest.param(
            hdds(TB, TB), [NEW], {"lone": True}, {"main": "H0 H1", "large": "A0"}, id="the first one for data"
        ),
        pytest.param(
            hdds(TB, TB, 4 * TB, 4 * TB),
            hdds(0, 0, 0, 0, 2 * TB, 2 * TB)[4:],
            {},
            {"main": "H0 H1", "large": "H2 H3", "large_1": "H4 H5"},
            id="a better pair for the system",
        ),
    ],
)
def test_names_stay_with_the_disks_that_carry_them(
    disks: list[Disk], more: list[Disk], options: dict[str, object], expected: dict[str, str]
) -> None:
    assert later(disks, *more, **options) == expected


SIZES = st.sampled_from([32 * GB, 120 * GB, 240 * GB, 241 * GB, 480 * GB, TB, 2 * TB, 4 * TB])
DISKS = st.lists(st.tuples(SIZES, st.booleans(), st.just("sata"), st.just("")), min_size=1, max_size=7)
WHICH = st.sampled_from(["only", "smallest", "largest"])
OPTIONS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "tiered": st.fixed_dictionaries({"careful": st.booleans(), "lone": st.booleans()}),
    "single": st.fixed_dictionaries({"which": WHICH}),
    "impermanence": st.fixed_dictionaries({"which": WHICH, "mirror": st.integers(1, 3)}),
}
POLICIES = st.sampled_from([*OPTIONS]).flatmap(lambda name: st.tuples(st.just(name), OPTIONS[name]))


@settings(max_examples=150, deadline=None)
@given(DISKS, POLICIES, st.lists(st.tuples(st.sampled_from(["A", "Z"]), SIZES, st.booleans()), min_size=1, max_size=2))
def test_whatever_is_plugged_in_beside_a_finished_system(
    given: list[tuple[int, bool | None, str, str]],
    policy: tuple[str, dict[str, Any]],
    more: list[tuple[str, int, bool]],
) -> None:
    name, options = policy
    machine = server(drawn(given))
    try:
        before = pn.propose(machine, name, options)
    except pn.InvalidLayout:
        assume(False)  # noqa: FBT003 - its name says it
        return
    there = after(machine, before)
    for count, (letter, size, rotational) in enumerate(more):
        there = plugged_in(there, disk(f"{letter}{count}", size, rotational=rotational))
        before = again(there, before, name, options)
        there = after(there, before)
        assert pn.schedule(there, pn.propose(there, name, options)).actions == ()


@settings(max_examples=150, deadline=None)
@given(DISKS, st.booleans(), st.booleans(), st.sets(st.integers(0, 7)))
def test_a_run_that_was_stopped_goes_on_to_the_same(
    given: list[tuple[int, bool | None, str, str]],
    careful: bool,  # noqa: FBT001 - drawn
    lone: bool,  # noqa: FBT001 - drawn
    missing: set[int],
) -> None:
    """Whichever of the groups were made: what is still to come gets the disks and the name it was to have."""
    options = {"careful": careful, "lone": lone}
    machine = server(drawn(given))
    try:
        wanted = pn.propose(machine, "tiered", options)
    except pn.InvalidLayout:
        assume(False)  # noqa: FBT003 - its name says it
        return
    whole = after(machine, wanted)
    gone = [each.id for count, each in enumerate(whole.graph.of(Group)) if count in missing]
    there = pn.Machine(graph=whole.graph.without(gone), memory=whole.memory, firmware=whole.firmware)
    arrays = [support for each in gone for support in whole.graph.on(each) if support.startswith("mdraid")]
    for stopped in (there, pn.Machine(graph=there.graph.without(arrays), memory=there.memory, firmware=there.firmware)):
        assert pn.propose(stopped, "tiered", options) == wanted


def test_swap_stays_in_the_group_that_has_it() -> None:
    machine = server(ssds(TB))
    before = pn.propose(machine, "tiered", {})
    now = again(plugged_in(after(machine, before), *hdds(4 * TB, 4 * TB)), before, "tiered", {})
    assert [each.id for each in now.graph.of(Use)] == [each.id for each in before.graph.of(Use)]
    assert "/data" in {each.at for each in now.graph.of(Mount)}


def unplugged(machine: Machine, *serials: str) -> Machine:
    """Give the machine without these disks; of an array that loses some of its members, the others remain."""
    gone = {f"disk:Disk-{each}" for each in serials}
    graph = machine.graph
    left = graph.without(gone)
    dead = {each for each in graph if graph.disks(each) <= gone}
    for layer in graph.layers():
        on = tuple(each for each in graph.on(layer.id) if each not in dead)
        if layer.id not in left and on and layer.id not in dead:
            degraded = isinstance(layer, Array)
            there = (
                msgspec.structs.replace(layer, members=len(graph.on(layer.id)), health=Health.DEGRADED)
                if degraded
                else layer
            )
            left = left.plus([(there, on)])
    return msgspec.structs.replace(machine, graph=left)


@pytest.mark.parametrize("lone", [True, False])
@pytest.mark.parametrize(
    ("lost", "left"),
    [
        ("H0 H1", {"main": "S0 S1", "large_1": "H2 H3", "swap": "H4 H5"}),
        ("H2 H3", {"main": "S0 S1", "large": "H0 H1", "swap": "H4 H5"}),
        ("H4 H5", {"main": "S0 S1", "large": "H0 H1", "large_1": "H2 H3"}),
        ("H0", {"main": "S0 S1", "large": "H1", "large_1": "H2 H3", "swap": "H4 H5"}),
        ("H3", {"main": "S0 S1", "large": "H0 H1", "large_1": "H2", "swap": "H4 H5"}),
        ("S1 H5", {"main": "S0", "large": "H0 H1", "large_1": "H2 H3", "swap": "H4"}),
    ],
)
def test_no_name_moves_when_disks_are_gone(lost: str, left: dict[str, str], *, lone: bool) -> None:
    options = {"careful": True, "lone": lone}
    machine = server([*ssds(TB, TB), *hdds(8 * TB, 8 * TB, 6 * TB, 6 * TB, TB, TB)])
    less = unplugged(after(machine, pn.propose(machine, "tiered", options)), *lost.split())
    now = pn.propose(less, "tiered", options)
    assert groups(now) == left
    plan = pn.schedule(less, now)
    assert plan.objections == ()
    assert not any(plan.losses().values())
    more = plugged_in(less, disk("A0", 8 * TB, rotational=True), disk("A1", TB))
    assert groups(again(more, now, "tiered", options)).items() >= left.items()


def test_a_system_does_not_go_on_what_carries_data_because_its_own_disk_is_gone() -> None:
    machine = server([*ssds(TB), *hdds(8 * TB, 8 * TB)])
    less = unplugged(after(machine, pn.propose(machine, "tiered", {})), "S0")
    with pytest.raises(pn.InvalidLayout) as refused:
        pn.propose(less, "tiered", {})
    assert str(refused.value) == (
        "no disk is left for the system: those that may be used carry other volume groups already: large. Add a disk, "
        "or clear those first (pre-nixos wipe), which loses what is on them."
    )
    assert groups(pn.propose(plugged_in(less, *ssds(0, 2 * TB)[1:]), "tiered", {})) == {"main": "S1", "large": "H0 H1"}


def test_what_carries_a_name_twice_is_told_apart_by_a_person() -> None:
    disks = ssds(TB, 2 * TB)
    entries: list[tuple[pn.Layer, tuple[int, ...]]] = []
    for each in disks:
        machine = server([each])
        graph = after(machine, pn.propose(machine, "tiered", {})).graph
        places = {layer.id: len(entries) + count for count, layer in enumerate(graph.layers())}
        entries += [(layer, tuple(places[on] for on in graph.on(layer.id))) for layer in graph.layers()]
    both = server([])
    both = msgspec.structs.replace(both, graph=assemble(entries))
    with pytest.raises(pn.InvalidLayout) as refused:
        pn.propose(both, "tiered", {})
    assert str(refused.value) == (
        "there are several volume groups main, of several machines or runs: on disk Disk S0, and on disk Disk S1. Name "
        "the disks that are meant (option disks), or clear the others first (pre-nixos wipe), which loses what is on "
        "them."
    )
    assert pn.propose(both, "tiered", {"disks": ["S0"]}).takes == ("disk:Disk-S0",)


def test_a_group_of_somebody_elses_carries_nothing() -> None:
    machine = server([*ssds(TB), *hdds(4 * TB, 4 * TB)])
    disks = [each for each in machine.graph.of(Disk) if "H" in each.id]
    draft = Draft(machine, take=disks)
    parts = [
        draft.add(Partition(number=1, size="rest", type="lvm", label="old"), on=[draft.add(Table(), on=[each])])
        for each in disks
    ]
    draft.add(Group(name="main"), on=parts)
    fresh = pn.propose(machine, "tiered", {})
    assert pn.propose(after(machine, draft.wanted()), "tiered", {}) == fresh


def test_groups_that_share_a_disk_were_made_by_somebody_else() -> None:
    machine = server(ssds(TB, TB))
    disks = list(machine.graph.of(Disk))
    draft = Draft(machine, take=disks)
    tables = [draft.add(Table(), on=[each]) for each in disks]
    for number, name in enumerate(("main", "large"), 1):
        parts = [draft.add(Partition(number=number, size="100GiB", type="lvm", label=name), on=[on]) for on in tables]
        draft.add(Group(name=name), on=parts)
    assert pn.propose(after(machine, draft.wanted()), "tiered", {}) == pn.propose(machine, "tiered", {})


def test_a_named_disk_is_not_added_to_what_is_there() -> None:
    machine = server(ssds(TB))
    there = plugged_in(after(machine, pn.propose(machine, "tiered", {})), disk("A0", TB))
    with pytest.raises(pn.InvalidLayout, match=r"Disk A0 .* would be left alone: no other SSD .* no volume group yet"):
        pn.propose(there, "tiered", {"disks": ["S0", "A0"]})
