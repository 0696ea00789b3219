"""What machines and plans look like, compared with drawings that somebody looked at and found good."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pre_nixos.flow.schedule import schedule
from pre_nixos.model.identity import Found, resolve
from pre_nixos.model.machine import Machine
from pre_nixos.render.machine import machine_text
from pre_nixos.render.mermaid import graph_chart, plan_chart
from pre_nixos.render.plan import PlanText, is_done, loses_content
from pre_nixos.render.text import ASCII, UNICODE, Guides, Line, plain
from pre_nixos.render.tree import tree
from pre_nixos.render.words import kernel_names
from tests.unit.flow.test_schedule import A, old_stack, wanted_pool
from tests.unit.render.stacks import dirty, told, tricky, wanted
from tests.unit.toys import Pool, disk, machine, toys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pre_nixos.model.plan import Plan

DRAWINGS = Path(__file__).parents[1] / "cases" / "render"
TOYS = toys()


def text(lines: Iterable[Line]) -> str:
    return "".join(f"{plain(each)}\n" for each in lines)


def show(there: Machine, width: int, guides: Guides) -> str:
    return text(machine_text(there, width=width, guides=guides))


def plan_of(there: Machine) -> Plan:
    return schedule(there, wanted(there), registry=TOYS)


def plan_text(there: Machine, part: Callable[[PlanText], Iterable[Line]]) -> str:
    return text(part(PlanText(plan_of(there), names=kernel_names(there.graph), width=80, guides=UNICODE)))


DRAWN: dict[str, Callable[[], str]] = {
    "show-dirty-80.txt": lambda: show(dirty(), 80, UNICODE),
    "show-dirty-50-ascii.txt": lambda: show(dirty(), 50, ASCII),
    "show-tricky-80.txt": lambda: show(told(tricky()), 80, UNICODE),
    "show-tricky-50-ascii.txt": lambda: show(told(tricky()), 50, ASCII),
    "show-dirty.mmd": lambda: graph_chart(dirty().graph),
    "plan-dirty.txt": lambda: plan_text(dirty(), PlanText.whole),
    "plan-dirty-actions.txt": lambda: plan_text(dirty(), lambda each: each.actions(steps=True)),
    "plan-dirty.mmd": lambda: plan_chart(plan_of(dirty())),
    "plan-tricky.txt": lambda: plan_text(tricky(), PlanText.whole),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawing_is_as_it_was_found_good(name: str) -> None:
    assert DRAWN[name]() == (DRAWINGS / name).read_text()


def test_no_drawing_is_left_over() -> None:
    assert {each.name for each in DRAWINGS.iterdir()} == set(DRAWN)


@pytest.mark.parametrize("width", [50, 64, 80, 100, 140])
@pytest.mark.parametrize("there", [dirty(), told(tricky())], ids=["dirty", "tricky"])
def test_nothing_is_wider_than_the_screen(there: Machine, width: int) -> None:
    plan = PlanText(plan_of(there), names=kernel_names(there.graph), width=width, guides=UNICODE)
    lines = [*machine_text(there, width=width), *plan.whole(), *plan.actions(steps=True)]
    assert max(len(plain(each)) for each in lines) <= width


def test_no_text_can_be_taken_for_a_command_of_the_terminal() -> None:
    there = told(tricky())
    written = show(there, 80, ASCII) + plan_text(there, PlanText.whole) + graph_chart(there.graph)
    assert all(each.isprintable() for each in written.splitlines())


def test_what_the_kernel_calls_a_disk_decides_its_place_and_nothing_else() -> None:
    there = machine(*(Found(disk(letter)) for letter in "ab"), Found(disk("z", name="sdaa")))
    rows = text(tree(there.graph)).splitlines()
    assert [each.split()[1] for each in rows] == ["sda", "sdaa", "sdb"]


def test_siblings_are_in_the_order_people_count_in() -> None:
    pools = [Found(Pool(name=f"p{number}", uuid=str(number)), on=[A]) for number in (10, 9, 1)]
    rows = text(tree(resolve([Found(disk("a")), *pools]))).replace(",", " ").split()
    assert [each for each in rows if each in {"p1", "p9", "p10"}] == ["p1", "p9", "p10"]


def test_a_plan_with_nothing_to_do_says_so_in_a_line() -> None:
    there = machine(Found(disk("a")), *old_stack(name="new"))
    plan = schedule(there, wanted_pool(there, *there.disks, use=False), registry=TOYS)
    assert is_done(plan)
    assert text(PlanText(plan).whole()) == "Everything is as wanted: there is nothing to do.\n"


def test_ending_a_use_is_no_loss() -> None:
    there = machine(Found(disk("a")))
    assert loses_content(schedule(there, wanted_pool(there, *there.disks), registry=TOYS)) == []
    assert len(loses_content(plan_of(tricky()))) > 0


def test_a_machine_without_disks_is_told_in_words() -> None:
    assert "No disks were found." in show(Machine(graph=resolve([])), 80, ASCII)


def test_an_inactive_array_is_never_called_empty() -> None:
    assert "inactive, contents not examined" in show(tricky(), 80, ASCII)


def test_a_disk_of_ten_thousand_pools_is_drawn() -> None:
    pools = [Found(Pool(name=f"p{each}", uuid=str(each)), on=[A]) for each in range(10_000)]
    assert len(tree(resolve([Found(disk("a")), *pools]))) == 10_001
