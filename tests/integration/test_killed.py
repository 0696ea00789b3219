"""Whatever kills an apply, running it again leads to the same end."""

from __future__ import annotations

import os
import sys
from itertools import cycle, islice
from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.lab.description import Lab, LabDisk
from tests.integration import carrying, killed
from tests.integration.server import boot_server, wanted_on

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pre_nixos.lab.guest import Guest

    Deaths = tuple[tuple[str, int], ...]
    from tests.integration.conftest import BootGuest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MANY = 60
"""More runs than there can be actions."""


def run_and_be_killed(guest: Guest, when: str, count: int, wanted: str = "server") -> tuple[int, bool]:
    """Give how many actions the run found to do, and whether it lived."""
    argv = [sys.executable, os.path.abspath(killed.__file__), wanted, when, str(count)]
    ran = guest.run(argv, environment={"PYTHONPATH": ROOT}, timeout=180, check=False)
    assert ran.status in {0, -9}, ran.stderr
    lines = ran.stdout.split()
    return int(lines[0]), lines[-1] == "done"


BETWEEN = (("begin", 2),)
"""Each run does one action, and dies as the next one begins."""
WITHIN = (("step", 1), ("begin", 5))
"""An action is killed in the middle; the next run removes what it left, does it, and dies a few actions later."""


@pytest.mark.parametrize("deaths", [BETWEEN, WITHIN], ids=["between", "within"])
def test_killed_at_every_action_it_still_gets_there(boot_fresh: BootGuest, deaths: Deaths) -> None:
    guest = boot_server(boot_fresh)
    bystander = guest.hash_disk("pictures")
    found: list[int] = []
    lived = False
    for when, count in islice(cycle(deaths), MANY):
        actions, lived = run_and_be_killed(guest, when, count)
        found.append(actions)
        if lived:
            break
    assert lived, found
    assert len(found) > 10, found
    machine = pn.probe(guest.host)
    wanted = wanted_on(machine)
    assert machine.unfinished == ()
    assert not pn.verify(wanted, guest.host)
    assert pn.schedule(machine, wanted).actions == ()
    assert guest.hash_disk("pictures") == bystander


ADDITIONS: Mapping[str, Callable[..., pn.Wanted]] = {
    "partitions": killed.partitions_on,
    "volumes": killed.volumes_on,
    "subvolumes": killed.subvolumes_on,
}


@pytest.mark.parametrize("kind", ADDITIONS)
def test_an_addition_that_was_killed_is_gone_on_with_and_costs_nothing(boot_fresh: BootGuest, kind: str) -> None:
    guest = boot_fresh(Lab(disks=(LabDisk(name="a", size=512 << 20),), modules=("btrfs",)))
    first = ADDITIONS[kind](pn.probe(guest.host), "one")
    plan = pn.schedule(pn.probe(guest.host), first)
    pn.apply(plan, consent=plan.digest, host=guest.host)
    guest.script("echo precious > /mnt/one/file; sync")
    lives = [run_and_be_killed(guest, "step", step, kind)[1] for step in (1, 2)]
    assert not lives[0]
    assert lives[1] or run_and_be_killed(guest, "begin", MANY, kind)[1]
    machine = pn.probe(guest.host)
    assert machine.unfinished == ()
    both = ADDITIONS[kind](machine, "one", "two")
    assert not pn.verify(both, guest.host)
    assert pn.schedule(machine, both).actions == ()
    assert guest.run(["cat", "/mnt/one/file"]).stdout == "precious\n"


def test_what_somebody_filled_after_a_kill_is_theirs_whatever_was_agreed_to_before(boot_fresh: BootGuest) -> None:
    guest = boot_fresh(Lab(disks=(LabDisk(name="a", size=512 << 20),)))
    wanted = killed.partitions_on(pn.probe(guest.host), "one")
    plan = pn.schedule(pn.probe(guest.host), wanted)
    # The filesystem is there, and the journal does not say so.
    carrying.stopped(guest, plan, "Run", 1)
    assert pn.probe(guest.host).suspects
    guest.script(f"mount {guest.node('a')}1 /mnt; echo mine > /mnt/file; umount /mnt")
    again = pn.schedule(pn.probe(guest.host), wanted)
    assert not any(again.losses().values())
    pn.apply(again, consent=plan.digest, host=guest.host)
    assert guest.run(["cat", "/mnt/one/file"]).stdout == "mine\n"
    assert not pn.verify(wanted, guest.host)
    assert not pn.schedule(pn.probe(guest.host), wanted).actions
