"""Disks that somebody takes for each other: what is in one is not taken for what is wanted in the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.backends.btrfs import Btrfs
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.gpt import Partition, Table
from tests.unit.backends.gpt.test_objections import UUID, after
from tests.unit.layouts.cases import disk, layout, with_disks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BOTH = [tuple(pn.Verb), (pn.Verb.ACTIVATE,)]
DISKS = {"one": "a", "two": "b"}
EXCHANGED = {"one": "b", "two": "a"}


@pytest.fixture
def blank() -> pn.Machine:
    return with_disks(disk("a"), disk("b"), disk("c"))


def ext4(at: str) -> Mapping[str, object]:
    return {"size": "1G", "content": {"type": "filesystem", "format": "ext4", "mountpoint": at}}


def luks(at: str) -> Mapping[str, object]:
    inside = ext4(at)["content"]
    return {"size": "1G", "content": {"type": "luks", "name": "secret", "passwordFile": "/run/key", "content": inside}}


class Site:
    """Somebody's layout of disks with these partitions, or another content, and the machine it is for."""

    def __init__(self, folder: Path, **disks: Mapping[str, object]) -> None:
        self.folder, self.disks = folder, disks
        self.sections: Mapping[str, object] = {}

    def wanted(self, machine: pn.Machine, which: Mapping[str, str]) -> pn.Wanted:
        """What is wanted if these disks are meant."""
        disks: dict[str, Any] = {
            name: {
                "type": "disk",
                "device": which[name],
                "content": content if "type" in content else {"type": "gpt", "partitions": content},
            }
            for name, content in self.disks.items()
            if name in which
        }
        return pn.read_layout(machine, layout(self.folder, {"disko": {"devices": {"disk": disks, **self.sections}}}))

    def installed(self, blank: pn.Machine) -> pn.Machine:
        """The machine on which it is."""
        return installed(blank, self.wanted(blank, DISKS))


def installed(blank: pn.Machine, wanted: pn.Wanted) -> pn.Machine:
    """The machine on which that is, with the disks it does not speak of."""
    there = after(blank, wanted)
    others = [(each, ()) for each in blank.graph.layers() if each.id not in there.graph]
    return msgspec.structs.replace(there, graph=there.graph.plus(others))


def mistaken(plan: pn.Plan) -> list[str]:
    return [each.text for each in plan.objections if ", and wanted on " in each.text]


def tables(machine: pn.Machine) -> list[str]:
    return [each.id for each in machine.graph.of(Table)]


@pytest.mark.parametrize("only", BOTH)
@pytest.mark.parametrize("other", [ext4, luks])
def test_two_disks_are_not_taken_for_each_other(blank: pn.Machine, tmp_path: Path, only: Any, other: Any) -> None:
    site = Site(tmp_path, one={"p": ext4("/one")}, two={"p": other("/two")})
    there = site.installed(blank)
    assert not pn.schedule(there, site.wanted(there, DISKS), only=only).objections
    wanted = site.wanted(there, EXCHANGED)
    plan = pn.schedule(there, wanted, only=only)
    assert mistaken(plan) == [
        "Partition 'disk-two-p' is on disk Disk b, and wanted on disk Disk a: it would be lost, or taken for another.",
        "Partition 'disk-one-p' is on disk Disk a, and wanted on disk Disk b: it would be lost, or taken for another.",
    ]
    first, second = tables(there)
    loses = only != (pn.Verb.ACTIVATE,)
    assert any(f"(--replace): {first}" in each.remedy for each in plan.objections) is loses
    assert len(mistaken(pn.schedule(there, wanted.replacing(first), only=only))) == 1
    assert not mistaken(pn.schedule(there, wanted.replacing(first, second), only=only))


def test_all_that_is_on_the_other_disk_is_said_at_once(blank: pn.Machine, tmp_path: Path) -> None:
    site = Site(tmp_path, one={"p": ext4("/one"), "q": ext4("/q")}, two={"p": ext4("/two")})
    there = site.installed(blank)
    assert mistaken(pn.schedule(there, site.wanted(there, EXCHANGED)))[1] == (
        "Partitions 'disk-one-p', 'disk-one-q' are on disk Disk a, and wanted on disk Disk b: they would be lost, or "
        "taken for others."
    )


def test_what_is_asked_for_elsewhere_was_not_taken_out(blank: pn.Machine, tmp_path: Path) -> None:
    site = Site(tmp_path, one={"p": ext4("/one")}, two={"type": "swap"})
    there = site.installed(blank)
    wanted = site.wanted(there, EXCHANGED)
    assert len(mistaken(pn.schedule(there, wanted))) == 1
    assert not mistaken(pn.schedule(there, wanted.replacing(tables(there)[0])))
    assert not mistaken(pn.schedule(there, wanted, only=(pn.Verb.ACTIVATE,)))  # of which nothing is used


def test_a_blank_disk_does_not_make_the_first_the_second(blank: pn.Machine, tmp_path: Path) -> None:
    site = Site(tmp_path, one={"p": ext4("/one")}, two={"p": luks("/two")})
    there = installed(blank, site.wanted(blank, {"one": "a"}))
    assert not pn.schedule(there, site.wanted(there, DISKS)).objections
    assert len(mistaken(pn.schedule(there, site.wanted(there, EXCHANGED)))) == 1


def test_a_disk_that_is_replaced_by_a_blank_one_is_missed_by_nobody(blank: pn.Machine, tmp_path: Path) -> None:
    site = Site(tmp_path, one={"p": ext4("/one")}, two={"p": ext4("/two")})
    there = site.installed(blank)
    assert not mistaken(pn.schedule(there, site.wanted(there, {"one": "c", "two": "b"})))


def test_another_name_for_every_disk_exchanges_nothing(blank: pn.Machine, tmp_path: Path) -> None:
    there = Site(tmp_path, one={"p": ext4("/one")}, two={"p": ext4("/two")}).installed(blank)
    site = Site(tmp_path, three={"p": ext4("/one")}, four={"p": ext4("/two")})
    assert not pn.schedule(there, site.wanted(there, {"three": "a", "four": "b"})).objections


def test_members_of_one_thing_are_as_good_as_each_other(blank: pn.Machine, tmp_path: Path) -> None:
    esp = {"size": "1G", "type": "EF00", "content": {"type": "filesystem", "format": "vfat"}}
    member = {"size": "1G", "content": {"type": "mdraid", "name": "main"}}
    site = Site(tmp_path, one={"p": member, "esp": esp}, two={"p": member, "esp": esp})
    inside = ext4("/")["content"]
    site.sections = {"mdadm": {"main": {"type": "mdadm", "level": 1, "metadata": "1.2", "content": inside}}}
    there = site.installed(blank)
    assert not mistaken(pn.schedule(there, site.wanted(there, EXCHANGED)))


def test_what_is_on_both_is_taken_for_nothing_else(blank: pn.Machine) -> None:
    def wanted(machine: pn.Machine, *labels: str) -> pn.Wanted:
        disks = list(machine.disks)[:2]
        draft = pn.Draft(machine, take=disks)
        parts = [
            draft.add(Partition(number=1, size="1GiB", label=label), on=[draft.add(Table(), on=[each])])
            for label, each in zip(labels, disks, strict=True)
        ]
        draft.add(Btrfs(), on=parts)
        return draft.wanted()

    there = installed(blank, wanted(blank, "one", "two"))
    assert not pn.schedule(there, wanted(there, "two", "one")).objections


def test_a_group_is_known_by_its_own_name(blank: pn.Machine, tmp_path: Path) -> None:
    site = Site(
        tmp_path, one={"p": {"size": "2G", "content": {"type": "lvm_pv", "vg": "main"}}}, two={"p": ext4("/two")}
    )
    site.sections = {"lvm_vg": {"main": {"type": "lvm_vg", "lvs": {"x": ext4("/one")}}}}
    there = site.installed(blank)
    plan = pn.schedule(there, site.wanted(there, EXCHANGED))
    assert len(mistaken(plan)) == 1
    assert any("would have to be made anew" in each.text and "ext4" in each.text for each in plan.objections)


def test_a_run_that_was_stopped_when_all_of_it_was_gone_goes_on(blank: pn.Machine, tmp_path: Path) -> None:
    site = Site(tmp_path, one={"p": ext4("/one")}, two={"p": ext4("/two")})
    there = site.installed(blank)
    gone = [each.id for each in there.graph.layers() if isinstance(each, Filesystem)]
    there = msgspec.structs.replace(there, graph=there.graph.without(gone))
    assert not pn.schedule(there, site.wanted(there, EXCHANGED)).objections


def labelled(machine: pn.Machine, *of_disks: tuple[dict[str, Any], ...]) -> pn.Wanted:
    """Disks with these partitions, in this order, each with a filesystem."""
    disks = list(machine.disks)[: len(of_disks)]
    draft = pn.Draft(machine, take=disks)
    for each, partitions in zip(disks, of_disks, strict=True):
        table = draft.add(Table(), on=[each])
        for number, fields in enumerate(partitions, 1):
            part = draft.add(Partition(number=number, size="1GiB", **fields), on=[table])
            draft.add(Filesystem(type="ext4"), on=[part])
    return draft.wanted()


def test_a_uuid_tells_which_disk_it_is_on(blank: pn.Machine) -> None:
    there = installed(blank, labelled(blank, ({"uuid": UUID},), ({"label": "b"},)))
    assert UUID in mistaken(pn.schedule(there, labelled(there, ({"label": "b"},), ({"uuid": UUID},))))[1]


@pytest.mark.parametrize(
    ("was", "then"),
    [
        (("esp", "main"), (("esp", "main"), ("esp", "main"))),  # alike on every disk, and one of them is new
        (("main",), (("fast",), ("main",), ("main",))),
        (("data",), ((), ("data",))),  # put in there, and not lost here
    ],
)
def test_labels_that_tell_nothing_are_no_reason(
    blank: pn.Machine, was: tuple[str, ...], then: tuple[tuple[str, ...], ...]
) -> None:
    there = installed(blank, labelled(blank, tuple({"label": each} for each in was)))
    new = (tuple({"label": each} for each in those) for those in then)
    assert not mistaken(pn.schedule(there, labelled(there, *new)))


def test_one_that_two_disks_have_says_nothing_of_a_third(blank: pn.Machine) -> None:
    old = ({"label": "root"},)
    there = installed(blank, labelled(blank, old, old, ({"label": "old"},)))
    now = labelled(there, ({"label": "x"},), ({"label": "y"},), ({"label": "root"},))
    assert not mistaken(pn.schedule(there, now))
