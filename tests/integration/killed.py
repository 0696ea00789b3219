"""Run in a guest: apply what is wanted, and be killed at a given point.

    python killed.py WANTED begin|step COUNT

Dies by SIGKILL when action number COUNT of this run begins, or after its first step that did something. Prints how many
actions there were to do, and `done` if it lived to the end. Whatever was agreed to for the first run is what all
further ones have as their consent.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pre_nixos as pn
from pre_nixos.backends import btrfs, filesystems, gpt, lvm, mounts
from pre_nixos.flow.outcome import ActionBegan, StepEnded
from tests.integration.server import wanted_on

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pre_nixos.flow.outcome import Event

CONSENT = "/run/consent"
GUARDS = frozenset({"RequireFree", "RequireBlank", "RequireClear"})


def volumes_on(machine: pn.Machine, *names: str) -> pn.Wanted:
    """Want a group with these volumes, each with a filesystem, mounted."""
    disks = machine.disks.exactly(1)
    draft = pn.Draft(machine, take=disks)
    group = draft.add(lvm.Group(name="main"), on=list(disks))
    for name in names:
        volume = draft.add(lvm.Volume(name=name, size="64MiB"), on=[group])
        draft.add(mounts.Mount(at=f"/{name}"), on=[draft.add(filesystems.Filesystem(type="ext4"), on=[volume])])
    return draft.wanted()


def subvolumes_on(machine: pn.Machine, *names: str) -> pn.Wanted:
    """Want a btrfs with these subvolumes, each mounted."""
    disks = machine.disks.exactly(1)
    draft = pn.Draft(machine, take=disks)
    pool = draft.add(btrfs.Btrfs(label="pool"), on=list(disks))
    for name in names:
        draft.add(mounts.Mount(at=f"/{name}"), on=[draft.add(btrfs.Subvolume(name=name), on=[pool])])
    return draft.wanted()


def partitions_on(machine: pn.Machine, *names: str) -> pn.Wanted:
    """Want a table with these partitions, each with a filesystem, mounted."""
    disks = machine.disks.exactly(1)
    draft = pn.Draft(machine, take=disks)
    table = draft.add(gpt.Table(), on=list(disks))
    for number, name in enumerate(names, 1):
        part = draft.add(gpt.Partition(number=number, size="64MiB"), on=[table])
        draft.add(mounts.Mount(at=f"/{name}"), on=[draft.add(filesystems.Filesystem(type="ext4"), on=[part])])
    return draft.wanted()


WANTED: Mapping[str, Callable[[pn.Machine], pn.Wanted]] = {
    "server": wanted_on,
    "volumes": lambda machine: volumes_on(machine, "one", "two"),
    "subvolumes": lambda machine: subvolumes_on(machine, "one", "two"),
    "partitions": lambda machine: partitions_on(machine, "one", "two"),
}


def main() -> None:
    make, when, count = WANTED[sys.argv[1]], sys.argv[2], int(sys.argv[3])
    begun = 0

    def die(event: Event) -> None:
        nonlocal begun
        begun += isinstance(event, ActionBegan)
        at_a_step = isinstance(event, StepEnded) and event.step not in GUARDS
        if begun == count and (at_a_step if when == "step" else isinstance(event, ActionBegan)):
            os.kill(os.getpid(), signal.SIGKILL)

    machine = pn.probe()
    plan = pn.schedule(machine, make(machine))
    print(len(plan.actions), flush=True)  # noqa: T201 - what the test reads
    if not os.path.exists(CONSENT):
        with open(CONSENT, "w", encoding="ascii") as file:
            file.write(plan.digest)
    with open(CONSENT, encoding="ascii") as file:
        pn.apply(plan, consent=file.read(), observer=die)
    print("done", flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    main()
