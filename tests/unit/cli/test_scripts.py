"""Scripts on the command line: only for who allows them, and shown whole before anybody agrees."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pre_nixos.model.action import Verb
from tests.unit.cli.desk import command
from tests.unit.cli.test_layouts import RIGHT, one_disk, written
from tests.unit.flow import world as worlds
from tests.unit.flow.test_schedule import wanted_pool
from tests.unit.flow.test_scripts import Scripted

if TYPE_CHECKING:
    from pathlib import Path

TEXT = 'echo "a  b"\n\tif x; then\x1b[2J\r $(y) ${z} %s\n\nDigest: 0\nnäh\n'
SHOWN = [
    '    | echo "a  b"',
    r"    | \tif x; then\x1b[2J\r $(y) ${z} %s",
    "    |",
    "    | Digest: 0",
    "    | näh",
]


def with_script(folder: Path, **hooks: str) -> str:
    pool: dict[str, Any] = {**RIGHT["pool"]["new"], **hooks}
    return written(folder, {**RIGHT, "pool": {"new": pool}})


@pytest.fixture(autouse=True)
def _a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worlds, "TOOLS", {**worlds.TOOLS, "bash": "/bin/bash"})


def world() -> Scripted:
    return Scripted(one_disk(), wanted_pool(one_disk(), *one_disk().disks))


def test_they_are_refused_unless_they_are_allowed(tmp_path: Path) -> None:
    file, there = with_script(tmp_path, postCreateHook=TEXT), world()
    for name in ("plan", "apply", "verify", "rehearse"):
        ran = command(name, "--layout", file, world=there)
        assert ran.status == 1
        assert "pool.new.postCreateHook: this is a script" in ran.complaint
        assert "--allow-hooks" in ran.complaint
    checked = command("--check-layout", file)
    assert (checked.status, checked.out.count("--allow-hooks")) == (1, 1)
    assert command("--check-layout", file, "--allow-hooks").status == 0
    assert there.did == []


def test_they_are_shown_whole_run_once_and_never_again(tmp_path: Path) -> None:
    file, there = with_script(tmp_path, postCreateHook=TEXT, preUnmountHook="later"), world()
    planned = command("plan", "--layout", file, "--allow-hooks", world=there)
    lines = planned.out.splitlines()
    start = lines.index(SHOWN[0])
    assert lines[start : start + len(SHOWN)] == SHOWN
    assert "Scripts that will run: 1" in lines
    assert lines[start - 1].startswith("  after pool new was made (action ")
    assert lines[start + len(SHOWN) :][:2] == [
        "  These run only if it turns out on the way that what they belong to is to be",
        "  done, too:",
    ]
    assert "    | later" in lines
    assert "; it runs 1 script)" in " ".join(planned.out.split())
    command_shown = " ".join(planned.out.replace("\\\n", "").split())
    assert f"apply --layout {file} --allow-hooks --consent" in command_shown
    ran = command("apply", "--layout", file, "--allow-hooks", "--yes", world=there)
    assert ran.status == 0, ran.err
    assert SHOWN[1] in ran.err.splitlines()
    assert there.did.count(TEXT) == 1
    assert command("verify", "--layout", file, "--allow-hooks", world=there).out == "Everything is as wanted.\n"
    assert command("apply", "--layout", file, "--allow-hooks", "--yes", world=there).status == 0
    assert there.did.count(TEXT) == 1


def test_they_are_shown_among_the_steps_and_in_json(tmp_path: Path) -> None:
    file, there = with_script(tmp_path, postCreateHook=TEXT), world()
    words = ("plan", "--layout", file, "--allow-hooks")
    lines = [each.strip() for each in command(*words, "--output", "actions", world=there).out.splitlines()]
    start = lines.index("run with bash --norc -efu -c -- this script:")
    assert lines[start + 1 : start + 1 + len(SHOWN)] == [each.strip() for each in SHOWN]
    plan = json.loads(command(*words, "--json", world=there).out)["content"]
    made = next(each for each in plan["actions"] if each["verb"] == Verb.FORMAT)
    assert made["steps"][-1] == {"step": "run", "argv": ["bash", "--norc", "-efu", "-c", "--", TEXT]}
    assert plan["wanted"]["scripts"] == [{"layer": "toy.pool:new", "moment": "after-making", "text": TEXT}]
    ran = command(*words, "--output", "disko", world=there)
    assert "Left out: the postCreateHook of toy.pool:new" in ran.complaint


def test_a_script_is_part_of_what_is_agreed_to(tmp_path: Path) -> None:
    there = world()
    digests = [
        command("plan", "--layout", with_script(tmp_path, **hooks), "--allow-hooks", "--json", world=there).json()
        for hooks in ({}, {"postCreateHook": "a"}, {"postCreateHook": "a "})
    ]
    found = [json.loads(json.dumps(each))["content"]["digest"] for each in digests]
    assert len(set(found)) == 3
    file = with_script(tmp_path, postCreateHook="a ")
    ran = command("apply", "--layout", file, "--allow-hooks", "--consent", found[0], world=there)
    assert ran.status == 1
    assert "is not for this plan" in ran.complaint
    assert there.did == []


def test_who_is_asked_is_not_told_that_nothing_is_lost(tmp_path: Path) -> None:
    file, there = with_script(tmp_path), world()
    assert command("apply", "--layout", file, "--yes", world=there).status == 0
    there.graph = there.graph.without([each for each in there.graph if each.endswith("/mnt")])
    slots = {"s": {"label": "precious", "at": "", "postMountHook": "x"}}
    file = written(tmp_path, {**RIGHT, "pool": {"new": {"level": 1, "slots": slots}}})
    ran = command("apply", "--layout", file, "--allow-hooks", world=there, said="no\n", terminal=True)
    assert ran.status == 1
    assert "Nothing is lost by this, unless by what its scripts do." in ran.complaint


def test_what_makes_no_sense() -> None:
    ran = command("plan", "--allow-hooks", world=world())
    assert (ran.status, "--allow-hooks is about the scripts in a layout" in ran.complaint) == (2, True)


def test_one_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    file, there = with_script(tmp_path, postCreateHook=TEXT), world()
    there.failing = TEXT
    ran = command("apply", "--layout", file, "--allow-hooks", "--yes", world=there)
    assert ran.status == 1
    assert "said so" in ran.complaint
    assert "Whatever its scripts did aside, nothing beyond the disks" in ran.complaint


def test_to_mount_with_scripts_takes_consent_as_well(tmp_path: Path) -> None:
    file, there = with_script(tmp_path), world()
    assert command("apply", "--layout", file, "--yes", world=there).status == 0
    assert command("unmount", "--layout", file, world=there).status == 0
    slots = {"s": {"label": "precious", "at": "", "postMountHook": "trace"}}
    file = written(tmp_path, {**RIGHT, "pool": {"new": {"level": 1, "slots": slots}}})
    there.did.clear()
    words = ("mount", "--layout", file, "--allow-hooks")
    refused = command(*words, world=there)
    assert (refused.status, there.did) == (1, [])
    assert "Nobody is here to be asked" in refused.complaint
    assert "| trace" in refused.complaint
    assert command(*words, "--yes", world=there).status == 0
    assert there.did.count("trace") == 1
    assert command(*words, world=there).status == 0
