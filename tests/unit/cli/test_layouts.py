"""Layouts on the command line: in the place of a policy, and looked at alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pre_nixos.model.identity import Found
from tests.unit.cli.desk import command
from tests.unit.flow.test_schedule import old_stack, wanted_pool
from tests.unit.flow.world import World
from tests.unit.toys import disk, machine

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.model.machine import Machine

POOL: dict[str, Any] = {"level": 1, "slots": {"s": {"label": "precious", "at": ""}}}
RIGHT: dict[str, Any] = {
    "disk": {"main": {"device": "SERIAL-A", "content": {"type": "toy", "pool": "new"}}},
    "pool": {"new": POOL},
}
WRONG: dict[str, Any] = {"disk": {"main": {"device": "/dev/sda", "content": {"type": "toy"}}}, "pol": {"x": {}}}


@pytest.fixture
def file(tmp_path: Path) -> str:
    return written(tmp_path, RIGHT)


def written(folder: Path, layout: object) -> str:
    path = folder / "layout.json"
    path.write_text(json.dumps(layout))
    return str(path)


def one_disk() -> Machine:
    return machine(Found(disk("a")), *old_stack())


def world() -> World:
    return World(one_disk(), wanted_pool(one_disk(), *one_disk().disks))


def test_a_layout_is_planned_applied_and_verified(file: str) -> None:
    there = world()
    planned = command("plan", "--layout", file, world=there)
    assert (planned.status, planned.err) == (0, "")
    assert f"apply --layout {file} --consent" in " ".join(planned.out.replace("\\\n", "").split())
    assert command("verify", "--layout", file, world=there).status == 1
    ran = command("apply", "--layout", file, "--yes", world=there)
    assert ran.status == 0, ran.err
    assert command("verify", "--layout", file, world=there).out == "Everything is as wanted.\n"
    assert command("plan", "--layout", file, "--check", world=there).status == 0


def test_it_takes_no_machine_and_no_root_to_check_one(file: str, tmp_path: Path) -> None:
    for words in (("plan", "--check-layout", file), ("--check-layout", file)):
        ran = command(*words)
        assert (ran.status, ran.out, ran.err) == (0, f"Nothing is wrong with {file}.\n", "")
    wrong = written(tmp_path, WRONG)
    ran = command("plan", "--check-layout", wrong)
    assert ran.status == 1
    assert ran.out.splitlines()[-2:] == [
        "disk.main.content: it needs pool, which is text",
        "pol: there is no such section; did you mean 'pool'?",
    ]
    as_json = json.loads(command("--json", "--check-layout", wrong).out)
    assert as_json["right"] is False
    assert len(as_json["problems"]) == 3
    assert command("plan", "--check-layout", wrong, "--disk", "main=SERIAL-A").out.count("\n") == 2


def test_what_is_wrong_is_said_before_anything_is_done(tmp_path: Path) -> None:
    there = world()
    for name in ("plan", "apply", "verify"):
        ran = command(name, "--layout", written(tmp_path, WRONG), world=there)
        assert ran.status == 1
        assert "disk.main.content: it needs pool" in ran.complaint
        assert "pol: there is no such section" in ran.complaint
        assert "`pre-nixos plan --check-layout" in ran.complaint
    assert there.did == []


def test_a_name_means_the_disk_that_is_said(tmp_path: Path) -> None:
    layout = {**RIGHT, "disk": {"main": {**RIGHT["disk"]["main"], "device": "/dev/sda"}}}
    path = written(tmp_path, layout)
    assert "is the kernel's name" in command("plan", "--layout", path, world=world()).complaint
    ran = command("plan", "--layout", path, "--disk", "main=SERIAL-A", world=world())
    assert ran.status == 0
    assert "--disk main=SERIAL-A" in ran.out


def test_where_the_root_is_now_can_be_said(file: str) -> None:
    out = command("plan", "--layout", file, "--root", "/target", "--json", world=world()).out
    assert '"/target"' in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["plan", "--layout", "x", "--policy", "tiered"], "Either --policy or --layout"),
        (["plan", "--disk", "main=x"], "there is no --layout"),
        (["plan", "--layout", "x", "--disk", "main"], "--disk takes a name in the layout and a disk"),
        (["plan", "--layout", "x", "--careful"], "--careful is an option of the policy tiered"),
        (["apply", "--layout", "x", "--plan", "y"], "A saved plan says itself what is wanted"),
    ],
)
def test_what_makes_no_sense(words: list[str], said: str, file: str) -> None:
    ran = command(*[file if each == "x" else each for each in words], world=world())
    assert (ran.status, said in ran.complaint) == (2, True), ran.complaint


def test_a_file_that_is_not_there() -> None:
    for words in (("plan", "--check-layout", "/nowhere"), ("plan", "--layout", "/nowhere")):
        ran = command(*words, world=world())
        assert (ran.status, "/nowhere: No such file" in ran.complaint) == (1, True)


def test_graphs_are_written_as_layouts_with_what_they_cannot_say() -> None:
    there = world()
    ran = command("show", "--output", "disko", "--json", world=there)
    assert json.loads(ran.out) == {"disko": {"devices": {}}}
    assert "Left out: pool old" in ran.complaint
    assert "what is left out of its disks goes, once that is agreed to" in " ".join(ran.complaint.split())
    in_nix = command("show", "--output", "disko", world=there)
    assert in_nix.out.startswith("# Left out: pool old")
    assert in_nix.out.endswith("\n{\n  disko.devices = { };\n}\n")
    assert "Left out: pool old" in in_nix.complaint
    for more in ((), ("--json",)):
        assert command("plan", "--output", "disko", *more, world=there).status == 0
