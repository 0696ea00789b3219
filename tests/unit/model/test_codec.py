"""Documents: the same back as forth, and words for everything that is wrong with one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from pre_nixos.flow.documents import MACHINE, PLAN, dump_machine, dump_plan
from pre_nixos.flow.schedule import schedule
from pre_nixos.model.codec import Unreadable, decode
from pre_nixos.model.identity import Found
from pre_nixos.model.machine import Machine
from pre_nixos.model.plan import Plan
from tests.unit.flow.test_schedule import TOYS, disks_of, old_stack, wanted_pool, worlds
from tests.unit.toys import disk, machine

if TYPE_CHECKING:
    from pre_nixos.model.draft import Wanted


def document() -> dict[str, Any]:
    there = machine(Found(disk("a")), *old_stack())
    loaded: dict[str, Any] = json.loads(dump_machine(there, registry=TOYS))
    return loaded


def read(text: bytes | str) -> Machine:
    return decode(text.encode() if isinstance(text, str) else text, Machine, format=MACHINE, kinds=TOYS.kinds)


@given(worlds())
def test_machines_and_plans_come_back_as_they_went(world: tuple[Machine, Wanted]) -> None:
    there, wanted = world
    assert read(dump_machine(there, registry=TOYS)) == there
    plan = schedule(there, wanted, registry=TOYS)
    written = dump_plan(plan, registry=TOYS)
    assert decode(written, Plan, format=PLAN, kinds=TOYS.kinds) == plan
    assert dump_plan(schedule(there, wanted, registry=TOYS), registry=TOYS) == written


def test_documents_say_who_owns_each_kind() -> None:
    assert document()["written_by"]["toy.pool"] == "toys 1.0"


def changed(document: dict[str, Any], at: str) -> str:  # noqa: C901 - a list of small faults
    place = document["content"]["graph"]
    match at:
        case "unknown kind":
            place[1]["layer"]["kind"] = "zfs.pool"
            document["written_by"]["zfs.pool"] = "pre-nixos-zfs 0.3"
        case "nobody's kind":
            place[1]["layer"]["kind"] = "zfs.pool"
        case "no kind":
            del place[1]["layer"]["kind"]
        case "unknown field":
            place[1]["layer"]["colour"] = "red"
        case "wrong type":
            place[1]["layer"]["name"] = 7
        case "upside down":
            place.reverse()
        case "twice":
            place.append(place[-1])
        case "version":
            document["version"] = 99
        case "format":
            document["format"] = "shopping list"
        case "no format":
            del document["format"]
        case "unknown part":
            document["content"]["weather"] = "fine"
        case _:
            raise AssertionError(at)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("at", "says"),
    [
        ("unknown kind", "'zfs.pool', which is unknown: it was written by pre-nixos-zfs 0.3; install that plugin"),
        ("nobody's kind", "'zfs.pool', which is unknown: no plugin here knows it"),
        ("no kind", "a layer without a kind"),
        ("unknown field", "the toy.pool toy.pool:old: Object contains unknown field `colour`"),
        ("wrong type", "the toy.pool toy.pool:old: Expected `str`, got `int`"),
        ("upside down", "does not come before it"),
        ("twice", "given twice"),
        ("version", "has version 99, and this pre_nixos reads version 1"),
        ("format", "this is a shopping list, not a pre-nixos machine"),
        ("no format", "this is JSON, but no pre-nixos machine"),
        ("unknown part", "unknown field `weather`"),
    ],
)
def test_what_is_wrong_with_a_document_is_said_in_words(at: str, says: str) -> None:
    with pytest.raises(Unreadable, match=r"^this") as caught:
        read(changed(document(), at))
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "no json at all", '{"format": "pre-nixos machine"', "[]", "null"])
def test_what_is_no_document_is_said_to_be_none(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)


def test_a_plan_is_not_a_machine() -> None:
    there = machine(Found(disk("a")))
    plan = schedule(there, wanted_pool(there, *disks_of(there)), registry=TOYS)
    with pytest.raises(Unreadable, match="this is a pre-nixos plan, not a pre-nixos machine"):
        read(dump_plan(plan, registry=TOYS))
