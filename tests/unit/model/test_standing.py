"""What cannot be is not wanted: it is said before there is a plan, all of it at once, whoever's kinds they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.backends import dmcrypt, filesystems, gpt, lvm, mdraid, mounts, swap
from pre_nixos.model.identity import Found
from tests.unit.toys import Pool, Slot, Stuff, Use, disk, machine

if TYPE_CHECKING:
    from collections.abc import Callable

    from pre_nixos.plugin import Layer

THERE = machine(Found(disk("a")), Found(disk("b")))
ONE, TWO = THERE.disks
EXT4 = filesystems.Filesystem(type="ext4")


def begun() -> tuple[pn.Draft, pn.Handle, pn.Handle]:
    """A draft with a table and a partition."""
    draft = pn.Draft(THERE, take=[ONE, TWO])
    table = draft.add(gpt.Table(), on=[ONE])
    return draft, table, draft.add(gpt.Partition(number=1, size="1GiB"), on=[table])


def problems_of(draft: pn.Draft) -> tuple[str, ...]:
    with pytest.raises(pn.InvalidLayout) as raised:
        draft.wanted()
    return raised.value.problems


PARTITION = "partition 1 of disk Toy SERIAL-A (gpt.partition)"


@pytest.mark.parametrize(
    ("layer", "below", "said"),
    [
        (EXT4, "table", "filesystem stands on gpt; it needs a device, and that offers none"),
        (EXT4, "nothing", "filesystem stands on nothing; it needs a device, and there is none"),
        (lvm.Group(name="g"), "nothing", "group g (lvm.group) stands on nothing; it needs a device"),
        (mdraid.Array(name="m", level=1), "nothing", "array m (mdraid.array) stands on nothing; it needs a device"),
        (gpt.Table(), "nothing", "gpt stands on nothing; it needs a device"),
        (
            gpt.Partition(number=2, size="1GiB"),
            "disk",
            "partition 2 (gpt.partition) stands on disk Toy SERIAL-B; a gpt.partition is part of a gpt, so put it on",
        ),
        (lvm.Volume(name="v", size="1GiB"), "partition", f"volume v (lvm.volume) stands on {PARTITION}; a lvm.volume"),
        (swap.Use(), "filesystem", "in use as swap (swap.use) stands on filesystem; only an area is used as swap"),
        (swap.Use(), "partition", f"in use as swap (swap.use) stands on {PARTITION}; only an area is used as swap"),
        (swap.File(path="/f", size="1GiB"), "partition", f"stands on {PARTITION}; a file lies in a filesystem"),
        (mounts.Mount(at="/"), "partition", f"mount at /mnt stands on {PARTITION}; a device is not mounted"),
        (mounts.Mount(at="/"), "table", "mount at /mnt stands on gpt; a gpt does not say what type of filesystem"),
        (Slot(name="s"), "disk", "slot s (toy.slot) stands on disk Toy SERIAL-B; a toy.slot is part of a toy.pool"),
    ],
)
def test_what_stands_where_it_cannot_be_made_is_named_with_what_it_stands_on(
    layer: Layer, below: str, said: str
) -> None:
    draft, table, part = begun()
    on: dict[str, Callable[[], list[pn.Handle | pn.Disk]]] = {
        "table": lambda: [table],
        "partition": lambda: [part],
        "disk": lambda: [TWO],
        "filesystem": lambda: [draft.add(EXT4, on=[part])],
        "nothing": list,
    }
    handle = draft.add(layer, on=on[below]())
    (problem,) = problems_of(draft)
    assert problem.startswith(f"{draft.ids()[handle.position]}: ")
    assert said in problem


def test_a_device_has_one_content() -> None:
    draft, _, part = begun()
    draft.add(EXT4, on=[part])
    draft.add(lvm.Group(name="main"), on=[part])
    (problem,) = problems_of(draft)
    assert problem == (
        f"lvm.group:main: group main (lvm.group) stands on {PARTITION}, and so does filesystem; "
        "a device has one content: put one of them elsewhere"
    )


@pytest.mark.parametrize(
    "layer",
    [gpt.Table(), EXT4, swap.Area(), dmcrypt.Luks(mapper="m"), dmcrypt.Plain(mapper="m")],
    ids=lambda layer: layer.kind,
)
def test_what_is_on_one_device_is_not_spread_over_several(layer: Layer) -> None:
    draft = pn.Draft(THERE, take=[ONE, TWO])
    draft.add(layer, on=[ONE, TWO])
    (problem,) = problems_of(draft)
    assert "stands on disk Toy SERIAL-A and disk Toy SERIAL-B; " in problem
    assert problem.endswith("is on one device: add one for each")


@pytest.mark.parametrize("layer", [lvm.Group(name="g"), mdraid.Array(name="g", level=1)], ids=lambda layer: layer.kind)
def test_a_member_that_is_no_device_is_not_passed_over(layer: Layer) -> None:
    draft, table, _ = begun()
    draft.add(layer, on=[TWO, table])
    assert problems_of(draft)[0].endswith("; gpt offers no device, and every member is one")


def test_two_of_one_kind_on_one_device_are_said_once() -> None:
    draft = pn.Draft(THERE, take=[ONE])
    draft.add(Stuff(), on=[ONE])
    draft.add(Stuff(), on=[ONE])
    assert problems_of(draft) == (f"{ONE.id}/toy.stuff: there may be only one of these",)


def test_everything_is_said_at_once_and_what_stands_on_it_is_not_measured() -> None:
    draft, table, part = begun()
    draft.add(EXT4, on=[table])
    volume = draft.add(lvm.Volume(name="slash", size="20%"), on=[part])
    draft.add(mounts.Mount(at="/"), on=[volume])
    group = draft.add(lvm.Group(name="none"))
    draft.add(lvm.Volume(name="home", size="5GiB"), on=[group])
    problems = problems_of(draft)
    assert len(problems) == 4
    assert not [each for each in problems if "home" in each]


def test_parts_and_uses_share_what_they_stand_on() -> None:
    draft = pn.Draft(THERE, take=[ONE, TWO])
    pool = draft.add(Pool(name="p"), on=[ONE, TWO])
    slots = [draft.add(Slot(name=name), on=[pool]) for name in "ab"]
    stuff = draft.add(Stuff(), on=[slots[0]])
    for at in ("/one", "/two"):
        draft.add(Use(at=at), on=[stuff])
    assert len(draft.wanted().graph) == 8


def test_a_plan_is_not_even_made_of_it() -> None:
    draft, table, _ = begun()
    draft.add(EXT4, on=[table])
    with pytest.raises(pn.InvalidLayout):
        pn.schedule(THERE, draft.wanted())


def test_a_number_is_so_many_bytes() -> None:
    partition = gpt.Partition(number=1, size=5 << 20)
    assert partition == gpt.Partition(number=1, size="5MiB")
    assert lvm.Volume(name="v", size=1 << 30).size == pn.Exact(bytes=1 << 30)


@pytest.mark.parametrize("size", [[1], True, 1.5])
def test_what_is_no_size_at_all_is_a_type_error(size: object) -> None:
    with pytest.raises(TypeError, match="is not a size; write for example '50GiB'"):
        gpt.Partition(number=1, size=size)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - on purpose


@pytest.mark.parametrize("size", ["50 parsec", 0, -5])
def test_a_size_that_cannot_be_is_a_value_error(size: str | int) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        gpt.Partition(number=1, size=size)


def test_a_name_is_no_disk() -> None:
    with pytest.raises(TypeError, match=r"'SERIAL-A' is none: machine.all_disks.named"):
        pn.Draft(THERE, take=["SERIAL-A"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType] - on purpose
    with pytest.raises(TypeError, match=r"write \[disk\]"):
        pn.blank(THERE, "SERIAL-A")
    with pytest.raises(TypeError, match="take is for several"):
        pn.Draft(THERE, take=ONE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - on purpose
    with pytest.raises(TypeError, match=r"write \[disk\]"):
        pn.blank(THERE, ONE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - on purpose
    with pytest.raises(TypeError, match="write named"):
        THERE.all_disks.named("SERIAL-A")


def test_a_handle_of_another_draft_is_a_mistake() -> None:
    draft, _, part = begun()
    other = pn.Draft(THERE, take=[ONE])
    with pytest.raises(ValueError, match="of another draft"):
        other.add(EXT4, on=[part])
    with pytest.raises(TypeError, match="write on="):
        draft.add(EXT4, on=part)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - on purpose
    with pytest.raises(TypeError, match="is no layer"):
        draft.add(gpt.Table, on=[TWO])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - on purpose
    with pytest.raises(TypeError, match="'part' is neither"):
        draft.add(EXT4, on=["part"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType] - on purpose


def test_too_few_disks_are_an_invalid_layout() -> None:
    with pytest.raises(pn.InvalidLayout, match="exactly 3 disks") as raised:
        THERE.disks.exactly(3)
    assert isinstance(raised.value, pn.NoSuchDisks)
    assert len(raised.value.problems) == 1
