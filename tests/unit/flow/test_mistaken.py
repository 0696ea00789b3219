"""Content is not taken for another of its kind: where nothing else does, its label tells which it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import pre_nixos as pn
from tests.unit.backends.gpt.test_exchanged import installed
from tests.unit.layouts.cases import disk, layout, with_disks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BOTH = [tuple(pn.Verb), (pn.Verb.ACTIVATE,)]


@pytest.fixture
def blank() -> pn.Machine:
    return with_disks(disk("a"), disk("b"))


def ext4(name: str, label: str | None = None) -> Mapping[str, object]:
    return {
        "type": "filesystem",
        "format": "ext4",
        "mountpoint": f"/{name}",
        "extraArgs": ["-L", name if label is None else label],
    }


def luks(name: str) -> Mapping[str, object]:
    inside = {"type": "filesystem", "format": "ext4", "mountpoint": f"/{name}"}
    return {"type": "luks", "name": f"c-{name}", "extraFormatArgs": ["--label", name], "content": inside} | {
        "passwordFile": "/run/key"
    }


def swap(name: str) -> Mapping[str, object]:
    return {"type": "swap", "extraArgs": ["-L", name]}


def on_disks(folder: Path, machine: pn.Machine, **disks: Mapping[str, object]) -> pn.Wanted:
    """Want this on these disks."""
    said = {name: {"type": "disk", "device": name, "content": content} for name, content in disks.items()}
    return pn.read_layout(machine, layout(folder, {"disko": {"devices": {"disk": said}}}))


def parts(content: Any, *names: str, **more: object) -> Mapping[str, object]:
    """Partitions with these names, and that in them, labelled so."""
    return {
        "type": "gpt",
        "partitions": {each: {"size": "1G", "label": "", "content": content(each)} | more for each in names},
    }


def mistaken(plan: pn.Plan) -> list[str]:
    return [each.text for each in plan.objections if "taken for the other" in each.text]


@pytest.mark.parametrize("only", BOTH)
@pytest.mark.parametrize(("content", "said"), [(ext4, "ext4 {}"), (luks, "LUKS {}, open as {}")])
def test_one_that_is_taken_out_does_not_make_another_its_heir(
    blank: pn.Machine, tmp_path: Path, only: Any, content: Any, said: str
) -> None:
    there = installed(blank, on_disks(tmp_path, blank, a=parts(content, "pa", "pb", "pc")))
    wanted = on_disks(tmp_path, there, a=parts(content, "pa", "pc"))
    plan = pn.schedule(there, wanted, only=only)
    here, there_is = said.format(repr("pc"), "c-pc"), said.format(repr("pb"), "c-pb")
    where = "on partition 3 of disk Disk a is wanted on partition 2 of disk Disk a"
    assert mistaken(plan) == [f"{here} {where}, and there is {there_is}: one would be taken for the other."]
    (remedy,) = [each.remedy for each in plan.objections if each.text in mistaken(plan)]
    assert ("--replace" in remedy) is (only != (pn.Verb.ACTIVATE,))
    lost = next(each.id for each in there.graph.layers() if getattr(each, "label", None) == "pc")
    assert not mistaken(pn.schedule(there, wanted.replacing(lost), only=only))


@pytest.mark.parametrize("only", BOTH)
def test_whole_disks_are_not_taken_for_each_other(blank: pn.Machine, tmp_path: Path, only: Any) -> None:
    there = installed(blank, on_disks(tmp_path, blank, a=ext4("one"), b=ext4("two")))
    assert not pn.schedule(there, on_disks(tmp_path, there, a=ext4("one"), b=ext4("two")), only=only).objections
    plan = pn.schedule(there, on_disks(tmp_path, there, a=ext4("two"), b=ext4("one")), only=only)
    assert len(mistaken(plan)) == 2


def test_another_label_is_a_change_like_others(blank: pn.Machine, tmp_path: Path) -> None:
    there = installed(blank, on_disks(tmp_path, blank, a=parts(ext4, "pa", "pb")))

    def anew(name: str) -> Mapping[str, object]:
        return ext4(name, f"{name}-new")

    assert not pn.schedule(there, on_disks(tmp_path, there, a=parts(anew, "pa", "pb"))).objections


@pytest.mark.parametrize(("was", "now"), [(("x", "b", "x"), ("a", "x")), (("a", "b", "x"), ("x", "x"))])
def test_one_label_of_several_tells_nothing(
    blank: pn.Machine, tmp_path: Path, was: tuple[str, ...], now: tuple[str, ...]
) -> None:
    def labelled(*labels: str) -> Mapping[str, object]:
        names = {f"p{number}": label for number, label in enumerate(labels)}

        def content(name: str) -> Mapping[str, object]:
            return ext4(name, names[name])

        return parts(content, *names)

    there = installed(blank, on_disks(tmp_path, blank, a=labelled(*was)))
    assert not mistaken(pn.schedule(there, on_disks(tmp_path, there, a=labelled(*now))))


def test_what_holds_nothing_may_be_any(blank: pn.Machine, tmp_path: Path) -> None:
    there = installed(blank, on_disks(tmp_path, blank, a=parts(swap, "pa", "pb", "pc")))
    assert not mistaken(pn.schedule(there, on_disks(tmp_path, there, a=parts(swap, "pa", "pc"))))


def test_an_earlier_installation_had_other_labels_below(blank: pn.Machine, tmp_path: Path) -> None:
    there = installed(blank, on_disks(tmp_path, blank, a=parts(ext4, "pa", "pb", "pc")))
    ours = {f"p{name}": {"size": "1G", "content": ext4(f"p{name}")} for name in "ac"}
    assert not mistaken(pn.schedule(there, on_disks(tmp_path, there, a={"type": "gpt", "partitions": ours})))
