"""Types of layouts belong to plugins: the core knows none of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.hooks.registry import PluginError, Registry
from pre_nixos.layouts.select import KERNELS
from pre_nixos.model.identity import Found
from pre_nixos.plugin import Backend, Disk, Fragment, Handle, Layer, Name, Sheet, for_kind, for_type, hooks, implements
from tests.unit.toys import disk, machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Shelf(Layer, tag="shelf"):
    gathers = True
    name: Name[str]
    colour: str | None = None

    def occupies(self) -> frozenset[str]:
        return frozenset({f"shelf:{self.name}"})

    def mark(self) -> Mapping[str, str]:
        return {"shelf/name": self.name}


class Box(Layer, tag="box"):
    """What is in a shelf."""


class Joiner:
    @staticmethod
    @implements(hooks.backend)
    def backend() -> Backend:
        return Backend(
            kinds=[Disk, Shelf, Box],
            disko_types=["plank", "box", "twofold"],
            disko_sections=["shelf"],
            disko_refused={"attic": "nobody goes up there"},
        )

    @staticmethod
    @for_type(hooks.from_disko, "plank")
    def read_plank(content: Fragment, on: Sequence[Handle]) -> None:
        content.join("shelf", content.text("of", needed=True) or "", on)

    @staticmethod
    @for_type(hooks.from_disko, "shelf")
    def read_shelf(entry: Fragment, on: Sequence[Handle]) -> None:
        colour = entry.choice("colour", ["red", "blue"])
        handle = entry.add(on, Shelf, name=entry.name, colour=colour) if entry.members else entry.fault("no planks")
        entry.content(handle)

    @staticmethod
    @for_type(hooks.from_disko, "box")
    def read_box(content: Fragment, on: Sequence[Handle]) -> None:
        content.add(on, Box)

    @staticmethod
    @for_type(hooks.from_disko, "twofold")
    def read_both(content: Fragment, on: Sequence[Handle]) -> None:
        box = content.add(on, Box)
        content.add(on, Shelf, name=content.name)
        content.add([box], Shelf, name="on-a-box")

    @staticmethod
    @for_kind(hooks.to_disko, Shelf)
    def write_shelf(layer: Shelf, sheet: Sheet) -> Mapping[str, object]:
        colour = {"colour": layer.colour} if layer.colour else {}
        sheet.entry("shelf", layer.name, {"type": "shelf", **colour, **sheet.content(layer)})
        return {"type": "plank", "of": layer.name}


REGISTRY = Registry({"joiner": Joiner()})


def layout(tmp_path: Path, **sections: object) -> str:
    path = tmp_path / "layout.json"
    path.write_text(json.dumps(sections))
    return str(path)


def plank(serial: str, of: str = "big") -> dict[str, object]:
    return {"device": serial, "content": {"type": "plank", "of": of}}


def two_disks() -> pn.Machine:
    return machine(Found(disk("a")), Found(disk("b")))


def test_members_are_gathered_from_wherever_they_are(tmp_path: Path) -> None:
    path = layout(
        tmp_path,
        disk={"one": plank("SERIAL-A"), "two": plank("SERIAL-B")},
        shelf={"big": {"colour": "red", "content": {"type": "box"}}},
    )
    graph = pn.read_layout(two_disks(), path, registry=REGISTRY).graph
    (shelf,) = graph.of(Shelf)
    assert shelf.colour == "red"
    assert {each.id for each in graph.under(shelf)} == {each.id for each in two_disks().disks}
    assert graph.on(graph.of(Box)[0].id) == (shelf.id,)


def test_what_is_written_is_read_again_and_what_has_no_words_is_named(tmp_path: Path) -> None:
    path = layout(tmp_path, disk={"one": plank("SERIAL-A")}, shelf={"big": {"content": {"type": "box"}}})
    graph = pn.read_layout(two_disks(), path, registry=REGISTRY).graph
    written = pn.write_layout(graph, names={graph.of(Disk)[0].id: "one"}, registry=REGISTRY)
    wwn = graph.of(Disk)[0].wwn
    assert written.devices == {
        "disk": {"one": {"type": "disk", "select": {"wwn": wwn}, "content": {"type": "plank", "of": "big"}}},
        "shelf": {"big": {"type": "shelf"}},
    }
    assert written.left_out == ("box (shelf:big/box) cannot be said in a layout",)


def test_what_cannot_be_where_its_owner_puts_it_is_said_with_its_path(tmp_path: Path) -> None:
    entry = {"select": {"serial": "SERIAL-A"}, "content": {"type": "twofold"}}
    path = layout(tmp_path, disk={"one": entry})
    problems = pn.check_layout(path, registry=REGISTRY)
    said = "disk.one.content: shelf on-a-box stands on box; it needs a device, and that offers none"
    assert [each for each in problems if each.startswith(said)]
    assert [each for each in problems if each.startswith("disk.one.content: ") and "a device has one content" in each]
    with pytest.raises(pn.InvalidLayout, match="a device has one content"):
        pn.read_layout(two_disks(), path, registry=REGISTRY)


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    path = layout(
        tmp_path,
        disk={
            "one": plank("SERIAL-A", of="bgi"),
            "two": {"device": "/dev/sdb", "content": {"type": "attic", "whatever": 1}, "contnet": {}},
        },
        shelf={"big": {"color": "red"}},
        shelves={"x": {}},
    )
    with pytest.raises(pn.InvalidLayout) as raised:
        pn.read_layout(two_disks(), path, registry=REGISTRY)
    assert [each for each in raised.value.problems if each in pn.check_layout(path, registry=REGISTRY)] == [
        f"disk.two.device: '/dev/sdb' {KERNELS}",
        "disk.two.content: nobody goes up there",
        "disk.two.contnet: this is unknown here; did you mean 'content'?",
        "shelf.big: no planks",
        "shelf.big.color: this is unknown here; did you mean 'colour'?",
        "shelves: there is no such section; did you mean 'shelf'?",
        "disk.one.content: there is no shelf.bgi; did you mean 'big'?",
    ]


def test_a_type_has_one_owner() -> None:
    class Other:
        @staticmethod
        @implements(hooks.backend)
        def backend() -> Backend:
            return Backend(disko_types=["plank"])

    with pytest.raises(PluginError, match="the type plank of layouts has two owners: joiner and other"):
        Registry({"joiner": Joiner(), "other": Other()})


def test_nobody_reads_what_is_not_his() -> None:
    class Thief:
        read_plank = staticmethod(Joiner.read_plank)

    with pytest.raises(PluginError, match="plugin thief reads plank, which is not among the types"):
        Registry({"thief": Thief()})


def test_a_fault_is_attributed(tmp_path: Path) -> None:
    class Clumsy:
        @staticmethod
        @implements(hooks.backend)
        def backend() -> Backend:
            return Backend(kinds=[Disk], disko_types=["vase"])

        @staticmethod
        @for_type(hooks.from_disko, "vase")
        def read(content: Fragment, on: Sequence[Handle]) -> None:
            raise ZeroDivisionError(content.path, len(on))

    path = layout(tmp_path, disk={"one": {"device": "x", "content": {"type": "vase"}}})
    with pytest.raises(PluginError, match=r"plugin clumsy failed to read disk\.one\.content: ZeroDivisionError"):
        pn.check_layout(path, registry=Registry({"clumsy": Clumsy()}))
