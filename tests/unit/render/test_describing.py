"""Plans as text, for whoever has one in Python."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pre_nixos as pn
from pre_nixos.model.identity import Found
from tests.unit.flow.test_schedule import disks_of, old_stack, wanted_pool
from tests.unit.toys import disk, machine, toys

THERE = machine(Found(disk("a")), Found(disk("b")), *old_stack(on=("8:0", "8:16")))
PLAN = pn.schedule(THERE, wanted_pool(THERE, *disks_of(THERE)), registry=toys())


def test_a_plan_is_described_as_the_command_shows_it() -> None:
    text = pn.describe_plan(PLAN, THERE)
    for heading in ("Before (", "After (", "What is lost", "What will be done, in "):
        assert heading in text
    assert "sda" in text
    assert "sda" not in pn.describe_plan(PLAN)
    assert max(map(len, pn.describe_plan(PLAN, THERE, width=60).splitlines())) <= 60


def test_steps_are_told_if_asked_for() -> None:
    assert "toy teardown" in pn.describe_plan(PLAN, THERE, steps=True)
    assert "toy teardown" not in pn.describe_plan(PLAN, THERE)


def test_a_layer_is_explained_by_a_part_of_its_id() -> None:
    assert PLAN.explain("old") == PLAN.explain("toy.pool:old")
    assert PLAN.explain("toy.pool").count("because") > 1
    assert PLAN.explain("new").startswith("toy.pool:new: new, because")


def test_what_is_explained_by_nothing_is_told_with_what_there_is() -> None:
    with pytest.raises(LookupError, match=r"'odl'; it speaks of: .*toy.pool:old"):
        PLAN.explain("odl")


def test_importing_it_all_does_not_import_what_draws() -> None:
    code = "import pre_nixos, sys; pre_nixos.describe_plan; print({'rich', 'structlog'} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout == "set()\n"
