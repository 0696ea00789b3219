"""mount and unmount: nobody is asked, nothing is made, and what is missing is said."""

from __future__ import annotations

from pre_nixos.model.identity import Found
from pre_nixos.model.layer import State
from tests.unit.cli.desk import command
from tests.unit.flow.test_schedule import old_stack, wanted_pool
from tests.unit.flow.world import World
from tests.unit.toys import Use, disk, machine

MOUNTED = "activate toy.pool:new/s/toy.stuff//mnt"


def world(*found: Found) -> World:
    there = machine(Found(disk("a")), *found)
    return World(there, wanted_pool(there, *there.disks))


def test_what_is_there_is_mounted_without_a_question_and_only_once() -> None:
    there = world(*old_stack(name="new"))
    checked = command("mount", "--check", world=there)
    assert (checked.status, there.did) == (3, [])
    assert "mnt" in checked.out
    ran = command("mount", world=there)
    assert ran.status == 0
    assert there.did == [MOUNTED]
    assert "All of it is in use, after 1 action" in ran.out
    again = command("mount", "--json", world=there)
    assert (again.status, there.did) == (0, [MOUNTED])
    assert again.json()["format"] == "pre-nixos report"
    checked = command("mount", "--check", world=there)
    assert (checked.status, checked.out) == (0, "All of it is in use: there is nothing to do.\n")


def test_what_is_missing_is_said_and_not_made() -> None:
    there = world(*old_stack())
    for words in (["mount"], ["mount", "--yes"]):
        ran = command(*words, world=there)
        assert ran.status == 1
        assert "without making, changing or removing anything" in ran.complaint
        assert "toy.pool:new: is not there" in ran.complaint
    checked = command("mount", "--check", world=there)
    assert checked.status == 1
    assert checked.out.startswith("Left as it is, for `apply`:\npool new because it is not there\n")
    assert "as wanted" not in checked.out
    as_json = command("mount", "--check", "--json", world=there)
    assert (as_json.status, as_json.json()["format"]) == (1, "pre-nixos plan")
    assert there.did == []


def test_it_is_unmounted_and_stopped_and_only_that() -> None:
    there = world(*old_stack(name="new"))
    command("mount", world=there)
    there.did.clear()
    ran = command("unmount", world=there)
    assert ran.status == 0
    assert there.did == ["deactivate toy.pool:new/s/toy.stuff//mnt", "deactivate toy.pool:new"]
    there.did.clear()
    assert ran.out.endswith("Nothing of it is in use, after 2 actions and 0 s.\n")
    checked = command("unmount", "--check", world=there)
    assert (checked.status, checked.out) == (0, "Nothing of it is in use: there is nothing to do.\n")
    again = command("unmount", world=there)
    assert (again.status, again.out) == (0, "Nothing of it is in use: there was nothing to do.\n")
    assert there.did == []
    assert there.graph["toy.pool:new"].state is State.INACTIVE


def test_what_is_used_by_others_is_not_stopped() -> None:
    there = world(*old_stack(name="new"))
    command("mount", world=there)
    stuff = there.graph["toy.pool:new/s/toy.stuff"]
    other = Use(id=f"{stuff.id}//srv", at="/srv", state=State.ACTIVE)
    there.graph = there.graph.plus([(other, (stuff.id,))])
    there.did.clear()
    ran = command("unmount", world=there)
    assert ran.status == 1
    assert "/srv" in ran.complaint
    assert "Nothing was done." in ran.complaint
    assert there.did == []


def test_only_root_may() -> None:
    there = world(*old_stack(name="new"))
    there.root = False
    assert "Only root can mount and unmount" in command("mount", world=there).complaint


def test_a_root_is_an_absolute_path() -> None:
    ran = command("mount", "--root", "mnt", world=world())
    assert ran.status == 2
    assert "'mnt' is no absolute path" in ran.complaint
