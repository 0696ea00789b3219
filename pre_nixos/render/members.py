"""Long lists of members, said briefly: what is the same on every disk is said once, and so is a model."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pre_nixos.model.layer import Disk


def shortened(disks: Iterable[Disk]) -> Callable[[str], str]:
    """Give what shortens texts that name these disks.

    `partition 1 of disk QUICK 4000 S1, partition 1 of disk QUICK 4000 S2` becomes `partition 1 of disks QUICK 4000 S1,
    S2`; any other text stays as it is.
    """
    known = {disk.title: disk for disk in disks}
    # The longest first: one title may be the beginning of another.
    titles = sorted(known, key=len, reverse=True)
    title = re.compile(rf"(?:{'|'.join(re.escape(each) for each in titles)})(?!\w)") if titles else None

    def shorten(text: str) -> str:
        found = list(title.finditer(text)) if title is not None else []
        said: list[str] = []
        done = 0
        for run in _runs(text, found):
            said += [text[done : run[0].start()], _listed([known[each[0]] for each in run])]
            done = run[-1].end()
        return "".join(said) + text[done:]

    return shorten


def _runs(text: str, found: Sequence[re.Match[str]]) -> Iterable[Sequence[re.Match[str]]]:
    """Group disks that are named one after the other, each with the same words before it."""
    run: list[re.Match[str]] = [*found[:1]]
    for one, other in pairwise(found):
        between = text[one.end() : other.start()]
        before = between.removeprefix(", ")
        if between != before and text.endswith(before, 0, run[0].start()):
            run.append(other)
            continue
        yield run
        run = [other]
    if run:
        yield run


def _listed(disks: Sequence[Disk]) -> str:
    if len(disks) == 1:
        return disks[0].title
    said: list[str] = []
    model: str | None = None
    for disk in disks:
        number = disk.serial or disk.segment
        said.append(number if disk.model == model else " ".join(filter(None, (disk.model, number))))
        model = disk.model
    return f"disks {', '.join(said)}"
