"""Wiping as it is typed in a guest, and what is left on disks beforehand."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import pre_nixos as pn
from pre_nixos.flow.outcome import ActionBegan
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.model.action import Verb
from pre_nixos.model.step import MIB
from tests.integration.scenarios.scenario import WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pre_nixos.flow.outcome import Event
    from pre_nixos.host.questions import Ran
    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMAND = (sys.executable, "-m", "pre_nixos.cli")
ENVIRONMENT = {"PYTHONPATH": ROOT, "NO_COLOR": "1", "COLUMNS": "200"}
A, B = (LabDisk(name=name, size=512 * MIB) for name in "ab")


def typed(guest: Guest, *words: str) -> Ran:
    return guest.run([*COMMAND, *words], environment=ENVIRONMENT, timeout=180, check=False)


def leave(guest: Guest, script: str, *names: str) -> str:
    """Run a script with the nodes of these disks as $1, $2 and so on, and give what it says."""
    nodes = [guest.node(each) for each in names]
    return guest.script(WORDS + script, *nodes, timeout=180).stdout


def holds(guest: Guest, disk: str) -> bool:
    """Whether anything on it can be recognised."""
    return guest.run(["blkid", "-p", guest.node(disk)], check=False).status == 0


def machine_of(boot: BootGuest, *disks: LabDisk) -> Guest:
    return boot(Lab(disks=disks or (A, B)))


def digest_of(shown: Ran) -> str:
    found = re.search(r"Digest: (\w+)", shown.stdout)
    assert found, shown
    return found.group(1)


def at_first(verb: Verb, what: Callable[[], object]) -> Callable[[Event], None]:
    """Let something happen when the first action with this verb begins, before its guards are asked."""
    waiting = [what]

    def observe(event: Event) -> None:
        if isinstance(event, ActionBegan) and event.verb is verb and waiting:
            waiting.pop()()

    return observe


def apply_blank(guest: Guest, disk: LabDisk, observer: Callable[[Event], None]) -> str:
    """Want a disk blank, and give what a refusal or a failure says; empty if all went."""
    there = pn.probe(guest.host)
    plan = pn.schedule(there, pn.blank(there, [disk.serial_shown]))
    try:
        pn.apply(plan, consent=plan.digest, host=guest.host, observer=observer)
    except (pn.Refused, pn.Failed) as problem:
        return str(problem)
    return ""
