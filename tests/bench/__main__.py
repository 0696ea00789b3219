"""The ratios this project holds itself to, each measured within one run against something that does the same at least.

Times differ from machine to machine; how often one fits into the other differs much less.
"""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from tests.bench import crowd, layouts
from tests.bench.guest import look

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    limit: float | None
    """None for what is only told."""

    @property
    def ratio(self) -> float:
        """How often the yardstick fits into it."""
        return self.ours / self.yardstick

    @property
    def is_over(self) -> bool:
        """Whether it takes longer than it may."""
        return self.limit is not None and self.ratio > self.limit

    def line(self) -> str:
        """One line of the table."""
        times = f"{self.ours * 1e3:.0f} ms : {self.yardstick * 1e3:.0f} ms"
        if self.limit is None:
            return f"     {self.ratio:6.2f} {'':<15} {self.name} ({times})"
        verdict = "over" if self.is_over else "ok"
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


def importing() -> Iterable[Found]:
    """Importing the library, which imports nothing before it is used."""
    yield programs("import pre_nixos : import pluggy", 2.0, ("-c", "import pre_nixos"), ("-c", "import pluggy"))


def planning() -> Iterable[Found]:
    """Planning for a server of twelve disks, against the imports that any such program needs."""
    ours = ("-m", "pre_nixos.cli", "plan", "--machine", TWELVE_DISKS)
    yield programs("pre-nixos plan, twelve disks : the imports it needs", 2.0, ours, ("-c", IMPORTS))


def probing() -> Iterable[Found]:
    """Looking at a machine, against the programs that look at a part of it: the call, and a program that does only so.

    The program also loads the library and every plugin, which costs as much as the looking on a guest's slow kernel.
    """
    looks = look(os.path.join(ROOT, "artefacts", "bench"))
    theirs = " + ".join(looks.theirs)
    yield Found(f"probe() of {looks.nodes} devices : {theirs}", looks.looking, looks.yardstick, 1.5)
    yield Found("a program that imports, calls probe() and ends : the same", looks.ours, looks.yardstick, None)


def making() -> Iterable[Found]:
    """Making two usual layouts, and making them again, against a plain script of the same tool calls."""
    for made in layouts.make(os.path.join(ROOT, "artefacts", "bench")):
        name = f"{made.name} on blank disks, {made.processes} programs : a script of {made.calls}"
        yield Found(name, made.ours, made.script, 0.25)
        name = f"{made.name} again, {made.processes_again} programs : the script, {made.calls_again}"
        yield Found(name, made.ours_again, made.script_again, 0.25)
        if made.processes > made.most or made.processes_again:
            raise RuntimeError(
                f"{made.name}: {made.processes} and {made.processes_again} programs, of {made.most} and 0"
            )


def many() -> Iterable[Found]:
    """Comparing and scheduling ten thousand layers, against a second."""
    yield Found("10,000 layers scheduled : a second", crowd.seconds(10_000, 5), 1.0, 1.0)


def many_more() -> Iterable[Found]:
    """Ten times the layers, against ten thousand."""
    few = crowd.seconds(10_000, 5)
    yield Found("100,000 layers : 10,000 layers", crowd.seconds(100_000, 3), few, 12.0)


def main() -> int:
    """Print every ratio; 1 if one is over its limit."""
    # What is measured must not depend on the shell this was started from.
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        del os.environ[name]
    # As what is installed is: a guest could not keep what it compiled.
    compileall.compile_dir(os.path.join(ROOT, "pre_nixos"), quiet=2)
    over = 0
    for measure in (importing, planning, many, many_more, probing, making):
        for found in measure():
            over += found.is_over
            print(found.line(), flush=True)
    return int(over > 0)


if __name__ == "__main__":
    sys.exit(main())
