"""A crowd of layers: half of them as wanted, half to be removed and made anew."""

from __future__ import annotations

import gc
import time

from pre_nixos.flow.schedule import schedule
from pre_nixos.model.draft import Draft, Wanted
from pre_nixos.model.identity import Found, Ref, resolve
from pre_nixos.model.layer import Disk, State
from pre_nixos.model.machine import Machine
from pre_nixos.plugin import BlockDevice
from tests.unit.toys import Pool, Slot, Stuff, toys

PER_DISK = 24
SLOTS = 11


def machine(layers: int) -> Machine:
    """A machine with so many layers; every other disk has a pool nobody wants."""
    found: list[Found] = []
    for number in range(layers // PER_DISK):
        device = BlockDevice(name=f"sd{number}", number=f"8:{number}", size=1 << 40, wwn=f"naa.{number}")
        found.append(Found(Disk(device=device, wwn=device.wwn, size=device.size, state=State.ACTIVE)))
        pool = Pool(name=f"{'old' if number % 2 else 'p'}{number}", level=1, uuid=f"u{number}", state=State.ACTIVE)
        found.append(Found(pool, on=[device.number]))
        for slot in range(SLOTS):
            inner = BlockDevice(name="", number=f"250:{number * SLOTS + slot}", size=1 << 30)
            ref = Ref(kind="toy.pool", uuid=f"u{number}")
            found.append(Found(Slot(name=f"s{slot}", state=State.ACTIVE, device=inner), on=[ref]))
            found.append(Found(Stuff(label="x", state=State.ACTIVE), on=[inner.number]))
    return Machine(graph=resolve(found))


def wanted(there: Machine) -> Wanted:
    """A pool with stuff in all its slots on every disk."""
    disks = list(there.graph.of(Disk))
    draft = Draft(there, take=disks)
    for disk in disks:
        pool = draft.add(Pool(name=f"p{disk.id.removeprefix('disk:naa.')}", level=1), on=[disk])
        for slot in range(SLOTS):
            draft.add(Stuff(label="x"), on=[draft.add(Slot(name=f"s{slot}"), on=[pool])])
    return draft.wanted()


def seconds(layers: int, rounds: int) -> float:
    """Say how long it takes to compare and schedule so many layers: the best of several."""
    there = machine(layers)
    wish, registry = wanted(there), toys()
    best = float("inf")
    for _ in range(rounds):
        gc.collect()  # what making the machine left behind is not what is measured
        started = time.perf_counter()
        plan = schedule(there, wish, registry=registry)
        best = min(best, time.perf_counter() - started)
        if len(plan.actions) < layers // 4:
            raise RuntimeError("hardly anything was planned")
    return best
