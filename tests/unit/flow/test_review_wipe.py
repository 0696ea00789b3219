"""What a hostile eye found about wiping, without a kernel: each of these says what must not happen."""

from __future__ import annotations

import pytest

from pre_nixos.flow.blank import blank
from pre_nixos.flow.journal import JOURNAL, Consented, Ended, line, purpose
from pre_nixos.flow.outcome import Refused
from pre_nixos.flow.probe import probe
from pre_nixos.flow.schedule import schedule
from pre_nixos.host.questions import User, Users
from pre_nixos.model.action import Verb
from pre_nixos.model.draft import Erasure
from pre_nixos.model.identity import Found, Ref
from pre_nixos.model.layer import State
from tests.unit.flow.test_apply import run
from tests.unit.flow.test_schedule import TOYS, old_stack
from tests.unit.flow.world import World, as_host
from tests.unit.toys import Pool, Slot, disk, machine


def test_what_stands_partly_on_no_disk_at_all_is_not_removed_with_a_disk() -> None:
    there = machine(
        Found(disk("a")),
        Found(Slot(name="elsewhere", state=State.ACTIVE)),
        Found(
            Pool(name="old", level=1, uuid="u", state=State.ACTIVE), on=["8:0", Ref(kind="toy.slot", name="elsewhere")]
        ),
    )
    plan = schedule(there, blank(there, ["SERIAL-A"]), registry=TOYS)
    assert plan.objections
    assert not [each for each in plan.actions if each.verb is Verb.TEARDOWN]


def test_a_consent_with_which_nothing_was_begun_does_not_cover_other_content_later() -> None:
    there = machine(Found(disk("a")), *old_stack())
    wanted = blank(there, ["SERIAL-A"])
    made = World(there, wanted)
    plan = schedule(probe(as_host(made), registry=TOYS), wanted, registry=TOYS)
    made.users = Users(users=(User(how="file", what="editor", pid=1),))
    with pytest.raises(Refused, match="is in use"):
        run(made, plan)
    made.users = Users()
    made.graft(machine(Found(disk("a")), Found(Pool(name="precious", uuid="p", state=State.ACTIVE), on=["8:0"])))
    later = schedule(probe(as_host(made), registry=TOYS), wanted, registry=TOYS)
    assert later.digest != plan.digest
    with pytest.raises(Refused, match="is not for this plan"):
        run(made, later, plan.digest)


@pytest.mark.parametrize("before", [Erasure.DISCARD, Erasure.OVERWRITE])
def test_what_was_erased_for_another_purpose_is_erased_for_this_one(before: Erasure) -> None:
    there = machine(Found(disk("a")), Found(disk("b")))
    earlier = schedule(there, blank(there, ["SERIAL-A", "SERIAL-B"], erase=before), registry=TOYS)
    wanted = blank(there, ["SERIAL-A"], erase=Erasure.OVERWRITE)
    made = World(there, wanted)
    (a,) = wanted.takes
    entries = (
        Consented(digest=earlier.digest, purpose=purpose(earlier), takes=earlier.wanted.takes),
        Ended(verb=Verb.ERASE, target=a),
    )
    made.files[JOURNAL] = "".join(f"{line(each)}\n" for each in entries)
    plan = schedule(probe(as_host(made), registry=TOYS), wanted, registry=TOYS)
    assert [each.verb for each in plan.actions] == [Verb.ERASE]
