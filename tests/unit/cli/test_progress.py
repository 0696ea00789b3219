"""Progress where nothing can be redrawn: lines that fit, one action after the other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

import pytest

from pre_nixos.cli.progress import display_on
from pre_nixos.cli.screen import Screen
from pre_nixos.flow.outcome import ActionBegan, ActionEnded, Looking, Noted, Planned
from pre_nixos.model.action import Verb
from pre_nixos.model.layer import Disk
from tests.unit.cli.desk import Paper

if TYPE_CHECKING:
    from typing import TextIO

    from pre_nixos.flow.outcome import Event

DISKS = [Disk(id=f"disk:{each}", model="ROOMY 6000", serial=f"HDD{each:04}") for each in range(8)]
MEMBERS = ", ".join(f"partition 1 'large' of {disk.title}" for disk in DISKS)
FAILURE = "/dev/sda is in use by open updatedb (process 1048), open updatedb (process 1089); nothing was written"
EVENTS: tuple[Event, ...] = (
    Looking(round=1),
    Planned(round=1, actions=2),
    ActionBegan(action="a", verb=Verb.DEACTIVATE, summary="stop array swap", position=9, of=27),
    ActionEnded(action="a", ok=True, seconds=0.04),
    ActionBegan(action="b", verb=Verb.FORMAT, summary=f"make raid6 array large on {MEMBERS}", position=10, of=27),
    ActionEnded(action="b", ok=False, seconds=123.4, problem=FAILURE),
    Looking(round=2),
    Planned(round=2, actions=1),
    Noted(text="something to know"),
)
TOLD = """\
Looking at the machine.
[ 9/27] stop array swap ... 0.0 s
[10/27] make raid6 array large on partition 1 'large' of disks ROOMY 6000
        HDD0000, HDD0001, HDD0002, HDD0003, HDD0004, HDD0005, HDD0006, HDD0007
        ... FAILED
    after 123.4 s: /dev/sda is in use by open updatedb (process 1048), open
    updatedb (process 1089); nothing was written
Looking at the machine again.
There is more to do: 1 action.
Note: something to know
"""


def told(*events: Event, terminal: bool = False, columns: int = 80) -> str:
    paper = Paper(terminal=terminal)
    screen = Screen(cast("TextIO", paper), {"COLUMNS": str(columns), "TERM": "xterm"})
    with display_on(screen, DISKS) as display:
        for event in events:
            display(event)
    return paper.text()


def test_on_a_pipe_every_line_fits() -> None:
    assert told(*EVENTS) == TOLD


TOGETHER: tuple[Event, ...] = (
    Planned(round=1, actions=3),
    *(
        ActionBegan(action=each, verb=Verb.ERASE, summary=f"erase disk {each}", position=position, of=3)
        for position, each in enumerate("ab", 1)
    ),
    ActionEnded(action="a", ok=True, seconds=2),
    ActionBegan(action="c", verb=Verb.ERASE, summary="erase disk c", position=3, of=3),
    ActionEnded(action="c", ok=True, seconds=1),
    ActionEnded(action="b", ok=False, seconds=5, problem="it is gone"),
)
TOGETHER_TOLD = """\
[1/3] erase disk a ...
[2/3] erase disk b ...
[1/3] erase disk a ... 2.0 s
[3/3] erase disk c ... 1.0 s
[2/3] erase disk b ... FAILED
    after 5.0 s: it is gone
"""


def test_of_several_at_a_time_each_end_is_told_with_its_beginning() -> None:
    assert told(*TOGETHER) == TOGETHER_TOLD
    text = told(*TOGETHER, terminal=True)
    assert "done      2.0 s  erase disk a" in text
    assert "done      1.0 s  erase disk c" in text
    assert "FAILED    5.0 s  erase disk b: it is gone" in text


@pytest.mark.parametrize("count", range(len(EVENTS) + 1))
def test_wherever_it_ends_the_last_line_is_whole(count: int) -> None:
    text = told(*EVENTS[:count])
    assert not text or text.endswith("\n")


@pytest.mark.parametrize("columns", [50, 80, 120])
def test_what_stays_above_the_bar_is_broken_where_lines_end(columns: int) -> None:
    text = told(*EVENTS, terminal=True, columns=columns)
    assert "done      0.0 s  stop array swap" in text
    assert "FAILED  123.4 s  make raid6 array large on" in text
    kept = [each for each in re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text).splitlines() if "/27" not in each]
    assert any("HDD0007" in each for each in kept)
    assert max(map(len, kept)) <= columns
