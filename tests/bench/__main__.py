"""The ratios this project holds itself to, each measured within one run against something that does the same at least.

Times differ from machine to machine; how often one fits into the other differs much less.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import NamedTuple

ROUNDS = 15


class Ratio(NamedTuple):
    """What may take how many times as long as what."""

    name: str
    ours: tuple[str, ...]
    yardstick: tuple[str, ...]
    limit: float


RATIOS = (
    Ratio(
        "import pre_nixos : import pluggy",
        (sys.executable, "-c", "import pre_nixos"),
        (sys.executable, "-c", "import pluggy"),
        2.0,
    ),
)


def seconds(argv: tuple[str, ...]) -> float:
    """Run a program once and say how long it took; one that fails has no time."""
    started = time.perf_counter()
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def measure(ratio: Ratio) -> tuple[float, float]:
    """Give the best of each, taken in turns: whatever else the machine does only ever adds time."""
    rounds = [(seconds(ratio.ours), seconds(ratio.yardstick)) for _ in range(ROUNDS)]
    return min(ours for ours, _ in rounds), min(yardstick for _, yardstick in rounds)


def main() -> int:
    """Print every ratio; 1 if one is over its limit."""
    # What is measured must not depend on the shell this was started from.
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        del os.environ[name]
    over = 0
    for ratio in RATIOS:
        ours, yardstick = measure(ratio)
        found = ours / yardstick
        over += found > ratio.limit
        verdict = "over" if found > ratio.limit else "ok"
        print(
            f"{verdict:5}{ratio.name}: {found:.2f} of {ratio.limit:g} ({ours * 1e3:.0f} ms : {yardstick * 1e3:.0f} ms)"
        )
    return int(over > 0)


if __name__ == "__main__":
    sys.exit(main())
