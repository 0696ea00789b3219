"""What a plan must and must not do, whatever the technology."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pre_nixos.flow.documents import dump_plan
from pre_nixos.flow.schedule import schedule
from pre_nixos.hooks.registry import PluginError, Registry
from pre_nixos.model.action import Verb
from pre_nixos.model.difference import Fate, shortcomings
from pre_nixos.model.draft import Draft, Wanted
from pre_nixos.model.identity import Found, Ref
from pre_nixos.model.layer import Disk, Layer, State, Unrecognised
from pre_nixos.model.machine import BootMedium, Machine
from pre_nixos.model.plan import BrokenPlan
from tests.unit.toys import Fixed, Pool, Slot, Stuff, Use, disk, machine, slot_device, toys

TOYS = toys()
A, B, C = "8:0", "8:16", "8:32"
ACTIVE, INACTIVE = State.ACTIVE, State.INACTIVE


def old_stack(
    *, on: tuple[str, ...] = (A,), state: State = ACTIVE, name: str = "old", minor: int = 1, uuid: str = ""
) -> list[Found]:
    """A pool with a slot with stuff that is in use."""
    uuid = uuid or f"uuid-{name}-{minor}"
    device = slot_device(minor) if state is ACTIVE else None
    pool = Found(Pool(name=name, level=1, uuid=uuid, state=state), on=on)
    slot = Found(Slot(name="s", state=state, device=device), on=[Ref(kind="toy.pool", uuid=uuid)])
    if device is None:
        return [pool, slot]
    return [
        pool,
        slot,
        Found(Stuff(label="precious", state=ACTIVE), on=[device.number]),
    ]


def wanted_pool(there: Machine, *disks: Disk, name: str = "new", level: int = 1, use: bool = True) -> Wanted:
    draft = Draft(there, take=disks)
    pool = draft.add(Pool(name=name, level=level), on=list(disks))
    slot = draft.add(Slot(name="s"), on=[pool])
    stuff = draft.add(Stuff(label="precious"), on=[slot])
    if use:
        draft.add(Use(at="/mnt"), on=[stuff])
    return draft.wanted()


def disks_of(there: Machine) -> list[Disk]:
    return list(there.graph.of(Disk))


def test_a_bystander_disk_is_in_no_plan() -> None:
    there = machine(Found(disk("a")), Found(disk("b")), *old_stack(on=(B,)))
    mine, bystander = disks_of(there)
    plan = schedule(there, wanted_pool(there, mine), registry=TOYS)
    text = dump_plan(plan, registry=TOYS).decode()
    assert not plan.objections
    assert bystander.id not in text
    assert "SERIAL-B" not in text
    assert "old" not in text
    assert all(action.touches == (mine.id,) for action in plan.actions)


def test_what_stands_wholly_outside_is_not_matched_even_under_the_wanted_id() -> None:
    there = machine(Found(disk("a")), Found(disk("b")), *old_stack(on=(B,), name="new"))
    plan = schedule(there, wanted_pool(there, disks_of(there)[0]), registry=TOYS)
    assert [each.verb for each in plan.actions] == [Verb.FORMAT, Verb.FORMAT, Verb.ACTIVATE]
    assert any("has the name new" in str(each) for each in plan.objections)


def test_the_second_plan_is_empty() -> None:
    there = machine(Found(disk("a")), *old_stack(name="new"))
    plan = schedule(there, wanted_pool(there, *disks_of(there), use=False), registry=TOYS)
    assert plan.actions == ()
    assert plan.objections == ()
    assert not plan.looks_again


def test_a_kept_layer_over_a_replaced_one_is_replaced() -> None:
    there = machine(Found(disk("a")), *old_stack(name="new"))
    plan = schedule(there, wanted_pool(there, *disks_of(there), level=5), registry=TOYS)
    assert plan.reasons["toy.pool:new"].why == "the level of a pool cannot be changed"
    assert plan.reasons["toy.pool:new/s/toy.stuff"].fate is Fate.REPLACED
    assert [each.id for each in plan.actions] == [
        "deactivate toy.pool:new",
        "teardown toy.pool:new",
        "format toy.pool:new",
        "format toy.pool:new/s/toy.stuff",
        "activate toy.pool:new/s/toy.stuff//mnt",
    ]
    assert "toy.pool:new/s/toy.stuff" in plan.actions[1].destroys


def test_everything_is_released_before_anything_is_removed() -> None:
    there = machine(
        Found(disk("a")),
        Found(disk("b")),
        *old_stack(on=(A,), name="one", minor=1),
        *old_stack(on=(B,), name="two", minor=2),
        Found(Use(at="/one", state=ACTIVE), on=[Ref(number="250:1", content="toystuff")]),
    )
    plan = schedule(there, Draft(there, take=disks_of(there)).wanted(), registry=TOYS)
    verbs = [each.verb for each in plan.actions]
    assert verbs == sorted(verbs, key=[Verb.DEACTIVATE, Verb.TEARDOWN].index)
    assert plan.actions[0].target.endswith("/one")


def test_a_layer_standing_half_outside_is_refused_by_the_name_of_the_disk() -> None:
    there = machine(Found(disk("a")), Found(disk("b")), *old_stack(on=(A, B)))
    plan = schedule(there, wanted_pool(there, disks_of(there)[0]), registry=TOYS)
    assert any("SERIAL-B" in str(each) and "does not speak for" in str(each) for each in plan.objections)
    assert len([each for each in plan.objections if "would have to go" in str(each)]) == 1


def test_two_pools_of_one_name_match_nothing_and_both_go() -> None:
    there = machine(
        Found(disk("a")),
        Found(disk("b")),
        *old_stack(on=(A,), name="new", minor=1),
        *old_stack(on=(B,), name="new", minor=2),
    )
    plan = schedule(there, wanted_pool(there, *disks_of(there)), registry=TOYS)
    gone = [action.target for action in plan.actions if action.verb is Verb.TEARDOWN]
    assert gone == ["toy.pool:new#uuid-new-1", "toy.pool:new#uuid-new-2"]
    assert plan.reasons["toy.pool:new"].fate is Fate.NEW
    assert not plan.objections


def test_two_disks_of_one_identity_cannot_be_planned_over() -> None:
    twin = {"wwn": "naa.1", "path": None}
    there = machine(Found(disk("a", **twin)), Found(disk("b", **twin)))
    plan = schedule(there, wanted_pool(there, disks_of(there)[0]), registry=TOYS)
    assert any("more than once" in str(each) for each in plan.objections)


def test_disks_of_one_serial_are_told_apart_by_their_unit_or_refused() -> None:
    same = {"wwn": None, "serial": "S1"}
    apart = machine(Found(disk("a", **same, unit="ns1")), Found(disk("b", **same, unit="ns2")))
    assert [each.id for each in disks_of(apart)] == ["disk:Toy-S1-ns1", "disk:Toy-S1-ns2"]
    alike = machine(Found(disk("a", **same, path="pci-1")), Found(disk("b", **same, path="pci-2")))
    plan = schedule(alike, wanted_pool(alike, disks_of(alike)[0]), registry=TOYS)
    assert any("more than once" in str(each) for each in plan.objections)


def test_what_stands_on_something_inactive_is_looked_at_before_it_is_judged() -> None:
    there = machine(Found(disk("a")), *old_stack(name="new", state=INACTIVE))
    plan = schedule(there, wanted_pool(there, *disks_of(there)), registry=TOYS)
    assert [each.id for each in plan.actions] == ["activate toy.pool:new"]
    assert plan.reasons["toy.pool:new/s/toy.stuff"].fate is Fate.UNSEEN
    assert plan.looks_again


def test_only_activation_cannot_destroy() -> None:
    there = machine(Found(disk("a")), *old_stack(name="old"))
    plan = schedule(there, wanted_pool(there, *disks_of(there)), only={Verb.ACTIVATE}, registry=TOYS)
    assert plan.actions == ()


def test_mounting_alone_mounts() -> None:
    there = machine(Found(disk("a")), *old_stack(name="new"))
    plan = schedule(there, wanted_pool(there, *disks_of(there)), only={Verb.ACTIVATE}, registry=TOYS)
    assert [each.target for each in plan.actions] == ["toy.pool:new/s/toy.stuff//mnt"]


def test_a_further_use_of_what_stays_is_left_alone() -> None:
    elsewhere = Found(Use(at="/elsewhere", state=ACTIVE), on=[Ref(number="250:1", content="toystuff")])
    there = machine(Found(disk("a")), *old_stack(name="new"), elsewhere)
    plan = schedule(there, wanted_pool(there, *disks_of(there), use=False), registry=TOYS)
    assert plan.actions == ()
    assert not shortcomings(there.graph, plan.wanted)


def test_a_place_that_something_else_keeps_is_refused() -> None:
    there = machine(
        Found(disk("a")),
        Found(disk("b")),
        *old_stack(on=(B,), name="other"),
        Found(Use(at="/mnt", state=ACTIVE), on=[Ref(number="250:1", content="toystuff")]),
    )
    plan = schedule(there, wanted_pool(there, disks_of(there)[0]), registry=TOYS)
    (said,) = [str(each) for each in plan.objections if "/mnt" in str(each)]
    assert "which stays, is mounted at /mnt. Unmount that, or choose another directory." in said
    assert "at:" not in said


class Vault(Layer, tag="vault"):
    """A kind whose plugin is not there."""


def test_a_kind_whose_plugin_is_not_there_says_what_to_install() -> None:
    there = machine(Found(disk("a")))
    draft = Draft(there, take=disks_of(there))
    draft.add(Vault(), on=disks_of(there))
    (objection,) = schedule(there, draft.wanted(), registry=TOYS).objections
    assert "is to be made, and no plugin that is in use knows this kind." in objection.text
    assert objection.remedy == (
        "Install the distribution that wrote it, with its plugin: it comes from the Python package tests."
    )


def test_what_its_own_plugin_cannot_make_is_said_of_that() -> None:
    there = machine(Found(disk("a")))
    draft = Draft(there, take=disks_of(there))
    draft.add(Fixed(), on=disks_of(there))
    (objection,) = schedule(there, draft.wanted(), registry=TOYS).objections
    assert "is to be made, and toys, whose kind this is, has no way to make it. Leave it out" in str(objection)


def test_what_no_plugin_can_remove_is_refused() -> None:
    there = machine(Found(disk("a")), Found(Fixed(state=ACTIVE), on=[A]))
    plan = schedule(there, wanted_pool(there, *disks_of(there)), registry=TOYS)
    assert any("toys, whose kind this is, has no way to do that" in str(each) for each in plan.objections)


def test_an_unknown_holder_is_refused_and_an_unknown_signature_is_named() -> None:
    holder = Found(Unrecognised(what="in use by dm-7", immovable=True, state=ACTIVE), on=[A])
    there = machine(Found(disk("a")), holder)
    assert any(
        "dm-7" in str(each) for each in schedule(there, wanted_pool(there, *disks_of(there)), registry=TOYS).objections
    )
    signature = machine(Found(disk("a")), Found(Unrecognised(what="vmfs", state=INACTIVE), on=[A]))
    plan = schedule(signature, wanted_pool(signature, *disks_of(signature)), registry=TOYS)
    assert not plan.objections
    assert [each.describe() for lost in plan.losses().values() for each in lost] == [
        "signature vmfs, which no backend claims"
    ]


def test_two_contents_of_one_device_stand_and_fall_together() -> None:
    there = machine(
        Found(disk("a")),
        Found(Stuff(label="precious", state=ACTIVE), on=[A]),
        Found(Unrecognised(what="vmfs", state=INACTIVE), on=[A]),
    )
    (mine,) = disks_of(there)
    draft = Draft(there, take=[mine])
    draft.add(Stuff(label="precious"), on=[mine])
    plan = schedule(there, draft.wanted(), registry=TOYS)
    assert plan.reasons[f"{mine.id}/toy.stuff"].fate is Fate.REPLACED
    assert "shares" in plan.explain(f"{mine.id}/toy.stuff")


def test_what_an_interrupted_run_was_making_is_made_again() -> None:
    found = [Found(disk("a")), *old_stack(name="new")]
    there = machine(*found, unfinished=["toy.pool:new/s/toy.stuff"])
    plan = schedule(there, wanted_pool(there, *disks_of(there), use=False), registry=TOYS)
    assert [each.id for each in plan.actions] == [
        "teardown toy.pool:new/s/toy.stuff",
        "format toy.pool:new/s/toy.stuff",
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"removable": True}, "was not named"),
        ({"transport": "usb"}, "was not named"),
        ({"transport": "mmc"}, "was not named"),
        ({"read_only": True}, "read-only"),
    ],
)
def test_disks_nobody_named_are_fixed_and_writable(change: dict[str, object], says: str) -> None:
    there = machine(Found(disk("a", **change)))
    assert len(there.disks) == 0
    plan = schedule(there, wanted_pool(there, *disks_of(there)), registry=TOYS)
    assert any(says in str(each) for each in plan.objections)


def test_the_medium_we_run_from_is_refused_even_if_named() -> None:
    there = machine(Found(disk("a")))
    (mine,) = disks_of(there)
    there = msgspec.structs.replace(there, boot_medium=BootMedium(disks=(mine.id,), how="/ is mounted from it"))
    plan = schedule(there, Draft(there, take=[mine], named=[mine]).wanted(), registry=TOYS)
    assert any("runs from" in str(each) for each in plan.objections)


def test_an_undetermined_boot_medium_needs_every_disk_named() -> None:
    there = machine(Found(disk("a")))
    (mine,) = disks_of(there)
    there = msgspec.structs.replace(there, boot_medium=BootMedium(determined=False))
    assert schedule(there, Draft(there, take=[mine]).wanted(), registry=TOYS).objections
    assert not schedule(there, Draft(there, take=[mine], named=[mine]).wanted(), registry=TOYS).objections


def test_a_format_that_proves_nothing_blank_is_a_fault_of_its_plugin() -> None:
    from pre_nixos.plugin import Action, Backend, DeviceGraph, for_kind, hooks, implements

    class Careless(Layer, tag="careless"):
        pass

    class Plugin:
        @staticmethod
        @implements(hooks.backend)
        def backend() -> Backend:
            return Backend(kinds=[Disk, Careless])

        @staticmethod
        @for_kind(hooks.format, Careless)
        def make(layer: Careless, graph: DeviceGraph) -> list[Action]:
            del graph
            return [Action(verb=Verb.FORMAT, target=layer.id, summary="", steps=())]

    there = machine(Found(disk("a")))
    draft = Draft(there, take=disks_of(there))
    draft.add(Careless(), on=disks_of(there))
    with pytest.raises(PluginError, match="without proving"):
        schedule(there, draft.wanted(), registry=Registry({"careless": Plugin()}))


def test_kernel_names_in_another_order_give_the_same_plan_byte_for_byte() -> None:
    def server(order: str) -> Machine:
        names = dict(zip("abcd", order, strict=True))

        def drive(letter: str) -> Disk:
            return disk(names[letter], wwn=f"naa.{letter}", serial=f"S{letter}", links=(f"/dev/{names[letter]}",))

        disks = {letter: drive(letter) for letter in "abcd"}
        numbers = [device.number for each in "ab" if (device := disks[each].device)]
        found = [*(Found(each) for each in disks.values()), *old_stack(on=tuple(numbers))]
        random.Random(order).shuffle(found)  # noqa: S311 - an order, not a secret
        return machine(*found)

    plans = set[bytes]()
    for order in ("abcd", "dcba", "badc"):
        there = server(order)
        chosen = there.disks.where(matching=lambda each: each.serial != "Sd")
        plans.add(dump_plan(schedule(there, wanted_pool(there, *chosen), registry=TOYS), registry=TOYS))
    assert len(plans) == 1


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Machine, Wanted]:
    """A machine with stacks on some of its disks, and a wish for some of them."""
    letters = "abcd"
    found = [Found(disk(letter)) for letter in letters]
    free = [f"8:{16 * position}" for position in range(len(letters))]
    for minor in range(1, draw(st.integers(0, 4)) + 1):
        on = tuple(free[: draw(st.integers(1, 2))])
        if not on:
            break
        free = free[len(on) :]
        name, state = draw(st.sampled_from(["new", "old"])), draw(st.sampled_from([ACTIVE, INACTIVE]))
        found += old_stack(on=on, name=name, minor=minor, state=state)
    there = machine(*found)
    taken = draw(st.lists(st.sampled_from(disks_of(there)), unique=True, min_size=1))
    name, level = draw(st.sampled_from(["new", "old"])), draw(st.sampled_from([1, 5]))
    return there, wanted_pool(there, *taken, name=name, level=level, use=draw(st.booleans()))


@given(worlds())
def test_carrying_out_a_plan_gives_what_was_wanted(world: tuple[Machine, Wanted]) -> None:
    there, wanted = world
    plan = schedule(there, wanted, registry=TOYS)
    if plan.objections:
        return
    after = plan.result()
    if not plan.looks_again:
        assert not shortcomings(after, wanted)
        assert {each for each in after if after.disks(each) <= set(wanted.takes)} == set(wanted.graph)
    assert all(first < second for first, second in plan.edges)
    assert set(plan.before) <= set(there.against(wanted).graph)
    for action in plan.actions:
        assert set(action.touches) <= set(wanted.takes)


@given(worlds())
def test_what_was_carried_out_needs_nothing_more(world: tuple[Machine, Wanted]) -> None:
    there, wanted = world
    plan = schedule(there, wanted, registry=TOYS)
    if plan.objections or plan.looks_again:
        return
    outside = [
        (layer, there.graph.on(layer.id))
        for layer in there.graph.layers()
        if not there.graph.disks(layer.id) & set(wanted.takes)
    ]
    after = msgspec.structs.replace(there, graph=plan.result().plus(outside))
    assert schedule(after, wanted, registry=TOYS).actions == ()


def test_a_plan_in_the_wrong_order_does_not_simulate() -> None:
    there = machine(Found(disk("a")), *old_stack())
    plan = schedule(there, wanted_pool(there, *disks_of(there)), registry=TOYS)
    backwards = msgspec.structs.replace(plan, actions=tuple(reversed(plan.actions)))
    with pytest.raises(BrokenPlan):
        backwards.result()
