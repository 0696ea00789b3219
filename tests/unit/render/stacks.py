"""Machines of toys, drawn in the tests of this folder."""

from __future__ import annotations

from pre_nixos.model.draft import Draft, Wanted
from pre_nixos.model.identity import Found, Ref
from pre_nixos.model.layer import Disk, Health, State, Unrecognised
from pre_nixos.model.machine import BootMedium, Machine
from tests.unit.flow.test_schedule import A, B, old_stack
from tests.unit.toys import Pool, Slot, Stuff, Use, disk, machine, slot_device

ACTIVE, INACTIVE = State.ACTIVE, State.INACTIVE
OLD = Ref(kind="toy.pool", uuid="uuid-old-1")
IN_USE = Ref(number="250:1", content="toystuff")

LONG = "a-name-that-goes-on-and-on-until-it-is-longer-than-its-column"


def dirty() -> Machine:
    """Two disks with the remains of an earlier install, one that is left alone, and one nobody understands."""
    stuff = slot_device(2)
    return machine(
        Found(disk("a")),
        Found(disk("b", rotational=True, model="A model of which the maker was proud", serial="WD-WX11D86E7A1B")),
        Found(disk("c", transport="usb", removable=True)),
        Found(disk("d")),
        *old_stack(on=(A, B)),
        Found(Use(at="/old", state=ACTIVE), on=[IN_USE]),
        Found(Use(at="/old too", state=ACTIVE), on=[IN_USE]),
        Found(Slot(name="t", state=ACTIVE, device=stuff), on=[OLD]),
        Found(Unrecognised(what="data", state=INACTIVE), on=[stuff.number]),
        Found(Unrecognised(what="zfs_member", state=INACTIVE), on=["8:48"]),
    )


def tricky() -> Machine:
    """Labels that are orders to a terminal, long names, poor health, and things that are not active."""
    lame = Pool(name="lame", level=1, uuid="l", state=ACTIVE, health=Health.DEGRADED, remark="one of 2 members is gone")
    asleep = Pool(name="asleep", level=5, uuid="s", state=INACTIVE)
    return machine(
        Found(disk("a", model="\x1b[31mred\x1b[0m\u202e")),
        Found(disk("b", read_only=True)),
        Found(disk("c", model="X" * 90)),
        Found(lame, on=[A, B]),
        Found(
            Slot(
                name=LONG,
                device=slot_device(1),
                state=ACTIVE,
            ),
            on=[Ref(kind="toy.pool", uuid="l")],
        ),
        Found(Stuff(label="caf\u00e9", state=ACTIVE), on=["250:1"]),
        Found(asleep, on=["8:32"]),
        Found(Slot(name="s", state=INACTIVE), on=[Ref(kind="toy.pool", uuid="s")]),
    )


def told(there: Machine) -> Machine:
    """The same machine, with what is known of it beside its graph."""
    from msgspec.structs import replace

    first, second, *_ = there.graph.of(Disk)
    return replace(
        there,
        boot_medium=BootMedium(disks=(first.id,), determined=False, how="/ is a toyfs on nothing that was found"),
        unfinished=(second.id,),
        remarks=("dm-7 was not opened: suspended, or on something suspended",),
        architecture="x86_64",
    )


def wanted(there: Machine) -> Wanted:
    """A pool on the first two disks: the old one goes, whatever it is called."""
    first, second = sorted(there.graph.of(Disk), key=lambda each: each.id)[:2]
    draft = Draft(there, take=[first, second])
    pool = draft.add(Pool(name="new", level=1), on=[first, second])
    draft.add(Use(at="/mnt"), on=[draft.add(Stuff(label="home"), on=[draft.add(Slot(name="home"), on=[pool])])])
    return draft.wanted()
