"""Run in a guest: apply what the demonstration applies, and be killed at a given point.

    python killed.py begin|step COUNT OPTION...

Dies by SIGKILL when action number COUNT of this run begins, or after its first step that did something. Prints how many
actions there were to do, and `done` if it lived to the end.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pre_nixos as pn
from pre_nixos.flow.outcome import ActionBegan, StepEnded
from tests.integration.server import wanted_on

if TYPE_CHECKING:
    from pre_nixos.flow.outcome import Event

GUARDS = frozenset({"RequireFree", "RequireBlank", "RequireClear"})


def main() -> None:
    when, count = sys.argv[1], int(sys.argv[2])
    begun = 0

    def die(event: Event) -> None:
        nonlocal begun
        begun += isinstance(event, ActionBegan)
        at_a_step = isinstance(event, StepEnded) and event.step not in GUARDS
        if begun == count and (at_a_step if when == "step" else isinstance(event, ActionBegan)):
            os.kill(os.getpid(), signal.SIGKILL)

    machine = pn.probe()
    plan = pn.schedule(machine, wanted_on(machine))
    print(len(plan.actions), flush=True)  # noqa: T201 - what the test reads
    pn.apply(plan, consent=plan.digest, observer=die)
    print("done", flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    main()
