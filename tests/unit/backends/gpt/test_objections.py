"""Partitions whose numbers have shifted are not taken for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.gpt import Partition, Table
from pre_nixos.backends.mounts import Mount
from pre_nixos.model.layer import Health, State
from tests.unit.layouts.cases import disk, with_disks

if TYPE_CHECKING:
    from collections.abc import Mapping

UUID = "11111111-1111-4111-8111-111111111111"


def wanted(machine: pn.Machine, **partitions: Mapping[str, object]) -> pn.Wanted:
    """Partitions in this order, each with a filesystem that is mounted at its name."""
    draft = pn.Draft(machine, take=machine.disks)
    table = draft.add(Table(), on=list(machine.disks))
    for number, (name, more) in enumerate(partitions.items(), 1):
        fields = {"number": number, "label": f"disk-a-{name}", "size": "1GiB"} | dict(more)
        part = draft.add(msgspec.convert(fields, Partition, strict=False), on=[table])
        draft.add(Mount(at=f"/{name}"), on=[draft.add(Filesystem(type="ext4"), on=[part])])
    return draft.wanted()


def after(machine: pn.Machine, there: pn.Wanted) -> pn.Machine:
    """The machine once this is on it."""
    graph = pn.schedule(machine, there).result()
    seen = graph.with_each(lambda each: machine.graph.get(each.id) or msgspec.structs.replace(each, state=State.ACTIVE))
    return msgspec.structs.replace(machine, graph=seen)


@pytest.fixture
def blank() -> pn.Machine:
    return with_disks(disk("a"))


@pytest.mark.parametrize("only", [tuple(pn.Verb), (pn.Verb.ACTIVATE,)])
def test_one_that_is_taken_out_does_not_make_another_its_heir(blank: pn.Machine, only: tuple[pn.Verb, ...]) -> None:
    there = after(blank, wanted(blank, a={}, b={}))
    plan = pn.schedule(there, wanted(there, b={}), only=only)
    assert any("is number 2, and wanted as number 1" in each.text for each in plan.objections)
    where_it_is = {"number": 2, "start": 1025 << 20}
    assert not pn.schedule(there, wanted(there, b=where_it_is), only=only).objections


def test_one_that_is_put_in_front_moves_nobody(blank: pn.Machine) -> None:
    there = after(blank, wanted(blank, b={}, c={}))
    plan = pn.schedule(there, wanted(there, a={}, b={}, c={}))
    assert [each.subject.rpartition("/")[2] for each in plan.objections if "wanted as number" in each.text] == [
        "2",
        "3",
    ]
    (table,) = plan.wanted.graph.of(Table)
    assert not any(
        "wanted as number" in each.text for each in pn.schedule(there, plan.wanted.replacing(table.id)).objections
    )


def test_a_uuid_says_which_one_it_is(blank: pn.Machine) -> None:
    there = after(blank, wanted(blank, a={}, b={"uuid": UUID}))
    plan = pn.schedule(there, wanted(there, c={"uuid": UUID.upper(), "label": None}))
    assert any(UUID in each.text.lower() for each in plan.objections)


def test_another_label_is_a_change_like_others(blank: pn.Machine) -> None:
    there = after(blank, wanted(blank, a={}, b={}))
    plan = pn.schedule(there, wanted(there, a={"label": "new"}, b={}))
    assert not plan.objections
    assert not any(plan.losses().values())


FEW = "has room for 56 partitions, not for 128"
OFF = {"unusual": FEW, "lasting": False, "health": Health.DEGRADED, "remark": "it is off"}


def with_table(machine: pn.Machine, **facts: object) -> pn.Machine:
    """The machine with a table of which this is known."""
    graph = machine.graph.with_each(
        lambda each: msgspec.structs.replace(each, **facts) if isinstance(each, Table) else each
    )
    return msgspec.structs.replace(machine, graph=graph)


def about_the_table(plan: pn.Plan) -> str:
    """What is said against changing it."""
    return "".join(each.text for each in plan.objections if isinstance(plan.before.get(each.subject), Table))


@pytest.mark.parametrize(
    ("facts", "then", "said"),
    [
        ({"unusual": FEW}, {"a": {}, "b": {}}, ""),
        ({"lasting": False}, {"a": {}, "b": {}}, ""),
        ({"unusual": FEW, "lasting": False}, {"a": {}}, ""),
        ({"unusual": FEW, "lasting": False}, {"a": {}, "b": {}}, f"{FEW}, and cannot stay like that (libparted cannot"),
        (
            {"unusual": FEW, "lasting": False},
            {"a": {"label": "new"}},
            "boot loader of a board, would be overwritten",
        ),
        (
            {"unusual": FEW, "lasting": False, "health": Health.DEGRADED, "remark": "it is off"},
            {"a": {}},
            "(it is off)",
        ),
        ({"unusual": FEW}, {"b": {"number": 2, "label": None}}, "(no partition of it stays)"),
    ],
)
def test_a_list_of_partitions_is_not_written_over_a_boot_loader(
    blank: pn.Machine, facts: Mapping[str, object], then: Mapping[str, Mapping[str, object]], said: str
) -> None:
    there = with_table(after(blank, wanted(blank, a={})), **facts)
    about = about_the_table(pn.schedule(there, wanted(there, **then)))
    assert said in about
    assert bool(said) is bool(about)
    assert not pn.schedule(there, pn.blank(there, there.disks)).objections
    elsewhere = wanted(there, a={"start": 2 << 30})
    assert "boot loader" not in about_the_table(pn.schedule(there, elsewhere.replacing(f"{there.disks[0].id}/gpt")))


@pytest.mark.parametrize("then", [{"a": {}, "b": {}}, {"a": {"label": "new"}}])
def test_a_hybrid_mbr_does_not_lose_its_partitions_in_passing(
    blank: pn.Machine, then: Mapping[str, Mapping[str, object]]
) -> None:
    there = with_table(after(blank, wanted(blank, a={})), beside=("83", "0c"))
    assert not pn.schedule(there, wanted(there, a={})).objections
    about = about_the_table(pn.schedule(there, wanted(there, **then)))
    assert "is a hybrid: it has partitions of its own beside the GPT (of type 83, 0c)" in about
    assert not pn.schedule(there, pn.blank(there, there.disks)).objections
    elsewhere = wanted(there, a={"start": 2 << 30})
    assert "hybrid" not in about_the_table(pn.schedule(there, elsewhere.replacing(f"{there.disks[0].id}/gpt")))
