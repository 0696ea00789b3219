"""The ratios this project holds itself to, each measured within one run against something that does the same at least.

Times differ from machine to machine; how often one fits into the other differs much less.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import NamedTuple

from tests.bench import crowd
from tests.bench.guest import look

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROUNDS = 15
PYTHON = sys.executable
TWELVE_DISKS = os.path.join(ROOT, "tests/unit/machines/twelve-disks.json")
IMPORTS = "import pluggy, msgspec, argparse, importlib.metadata as m; m.entry_points(group='pre_nixos')"


class Found(NamedTuple):
    """How many times as long something took as what it is measured against, and how many times it may."""

    name: str
    ours: float
    yardstick: float
    limit: float

    @property
    def ratio(self) -> float:
        """How often the yardstick fits into it."""
        return self.ours / self.yardstick

    def line(self) -> str:
        """One line of the table."""
        verdict = "over" if self.ratio > self.limit else "ok"
        times = f"{self.ours * 1e3:.0f} ms : {self.yardstick * 1e3:.0f} ms"
        return f"{verdict:5}{self.ratio:6.2f} of at most {self.limit:<4g} {self.name} ({times})"


def run(*argv: str) -> float:
    """Run a program once and say how long it took; one that fails has no time."""
    started = time.perf_counter()
    subprocess.run(argv, check=True, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def programs(name: str, limit: float, ours: tuple[str, ...], yardstick: tuple[str, ...]) -> Found:
    """Take the best of each, in turns: whatever else the machine does only ever adds time."""
    rounds = [(run(PYTHON, *ours), run(PYTHON, *yardstick)) for _ in range(ROUNDS)]
    return Found(name, min(each for each, _ in rounds), min(each for _, each in rounds), limit)


def importing() -> Found:
    """Importing the library, which imports nothing before it is used."""
    return programs("import pre_nixos : import pluggy", 2.0, ("-c", "import pre_nixos"), ("-c", "import pluggy"))


def planning() -> Found:
    """Planning for a server of twelve disks, against the imports that any such program needs."""
    ours = ("-m", "pre_nixos.cli", "plan", "--machine", TWELVE_DISKS)
    return programs("pre-nixos plan, twelve disks : the imports it needs", 2.0, ours, ("-c", IMPORTS))


def probing() -> Found:
    """Looking at a machine, against the programs that look at a part of it."""
    looks = look(os.path.join(ROOT, "artefacts", "bench"))
    theirs = " + ".join(looks.theirs)
    return Found(f"probe of {looks.nodes} devices : {theirs}", looks.ours, looks.yardstick, 1.5)


def many() -> Found:
    """Comparing and scheduling ten thousand layers, against a second."""
    return Found("10,000 layers scheduled : a second", crowd.seconds(10_000, 5), 1.0, 1.0)


def many_more() -> Found:
    """Ten times the layers, against ten thousand."""
    few = crowd.seconds(10_000, 5)
    return Found("100,000 layers : 10,000 layers", crowd.seconds(100_000, 3), few, 12.0)


def main() -> int:
    """Print every ratio; 1 if one is over its limit."""
    # What is measured must not depend on the shell this was started from.
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        del os.environ[name]
    over = 0
    for measure in (importing, planning, many, many_more, probing):
        found = measure()
        over += found.ratio > found.limit
        print(found.line(), flush=True)
    return int(over > 0)


if __name__ == "__main__":
    sys.exit(main())
