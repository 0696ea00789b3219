"""What has its room from others goes with all that is on it: clearing that first would take from those that stay."""

from __future__ import annotations

import pytest

from pre_nixos.flow.apply import apply
from pre_nixos.flow.journal import JOURNAL
from pre_nixos.flow.outcome import Failed, Refused, Report
from pre_nixos.flow.patience import Patience
from pre_nixos.flow.probe import probe
from pre_nixos.flow.schedule import schedule
from pre_nixos.host.questions import Content, Signature, User, Users, Verdict
from pre_nixos.model.draft import Draft, Wanted
from pre_nixos.model.identity import Found, Ref
from pre_nixos.model.layer import State
from pre_nixos.model.plan import Plan
from tests.unit.flow.test_resumed import put
from tests.unit.flow.world import World, as_host
from tests.unit.toys import Pool, Slot, Stuff, Use, disk, machine, slot_device, toys

TOYS = toys()
HASTE = Patience(tries=2, pause=0.0)
POOL = "toy.pool:main"
GOES = f"{POOL}/goes"
DEVICE = "250:2"
NEWS = Content(number=DEVICE, verdict=Verdict.KNOWN, size=1 << 30, signatures=(Signature(type="ext4"),))


def world(*, lent: bool, used: bool = True) -> tuple[World, Plan]:
    """A pool with a slot that stays and one that goes, with stuff in it, which may be in use."""
    there = machine(
        Found(disk("a")),
        Found(Pool(name="main", uuid="p", state=State.ACTIVE), on=["8:0"]),
        Found(Slot(name="stays", state=State.ACTIVE, device=slot_device(1)), on=[Ref(kind="toy.pool", uuid="p")]),
        Found(
            Slot(name="goes", lent=lent, state=State.ACTIVE, device=slot_device(2)),
            on=[Ref(kind="toy.pool", uuid="p")],
        ),
        Found(Stuff(state=State.ACTIVE), on=[DEVICE]),
        *([Found(Use(at="/x", state=State.ACTIVE), on=[Ref(number=DEVICE, content="toystuff")])] if used else []),
    )
    draft = Draft(there, take=there.disks)
    draft.add(Slot(name="stays"), on=[draft.add(Pool(name="main"), on=list(there.disks))])
    wanted = draft.wanted()
    made = World(there, wanted)
    return made, schedule(probe(as_host(made), registry=TOYS), wanted, registry=TOYS)


def carry_out(made: World, plan: Plan) -> Report:
    return apply(plan, consent=plan.digest, host=as_host(made), registry=TOYS, patience=HASTE)


def test_what_is_on_it_is_only_released_and_goes_with_it() -> None:
    made, plan = world(lent=True)
    assert [each.id for each in plan.actions] == [f"deactivate {GOES}/toy.stuff//x", f"modify {POOL}"]
    assert plan.actions[1].destroys == (GOES, f"{GOES}/toy.stuff")
    assert {each.id for lost in plan.losses().values() for each in lost} >= {GOES, f"{GOES}/toy.stuff"}
    assert f"modify {POOL}" in plan.explain(f"{GOES}/toy.stuff")
    carry_out(made, plan)
    assert GOES not in made.graph
    assert f'"gone":["{GOES}","{GOES}/toy.stuff"]' in made.files[JOURNAL]


def test_what_has_room_of_its_own_is_cleared() -> None:
    _, plan = world(lent=False)
    assert f"teardown {GOES}/toy.stuff" in [each.id for each in plan.actions]
    assert plan.actions[-1].destroys == (GOES,)


def test_what_stays_is_cleared_for_something_else() -> None:
    made, _ = world(lent=True, used=False)
    there = probe(as_host(made), registry=TOYS)
    draft = Draft(there, take=there.disks)
    pool = draft.add(Pool(name="main"), on=list(there.disks))
    draft.add(Slot(name="stays"), on=[pool])
    draft.add(Stuff(label="other"), on=[draft.add(Slot(name="goes"), on=[pool])])
    wanted = Wanted(graph=draft.wanted().graph, takes=draft.wanted().takes, replaces=(GOES,))
    plan = schedule(there, wanted, registry=TOYS)
    assert f"teardown {GOES}/toy.stuff" in [each.id for each in plan.actions]


@pytest.mark.parametrize("used", [True, False])
def test_it_is_read_again_before_it_goes(*, used: bool) -> None:
    made, plan = world(lent=True, used=used)
    made.holds[DEVICE] = [NEWS]
    with pytest.raises((Failed, Refused), match=r"holds .*ext4.* now, which was not there"):
        carry_out(made, plan)
    assert GOES in made.graph


def test_nothing_is_begun_while_somebody_has_it_open() -> None:
    made, plan = world(lent=True, used=False)
    made.users = Users(users=(User(how="open", what="dd", pid=7),))
    with pytest.raises(Refused, match="has the device open"):
        carry_out(made, plan)
    assert made.did == []


def test_the_machine_is_looked_at_once_more_when_all_is_released() -> None:
    made, plan = world(lent=True)

    def meanwhile() -> None:
        """Somebody puts something into the other slot."""
        put(made, Found(Stuff(state=State.ACTIVE), on=["250:1"]))

    made.broken[f"deactivate {GOES}/toy.stuff//x"] = meanwhile
    first, second = carry_out(made, plan).rounds
    assert "which was not so before" in first.problem
    assert [each.action for each in second.done] == [f"modify {POOL}"]  # it is nothing that would be lost
