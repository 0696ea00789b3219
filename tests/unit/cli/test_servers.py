"""Real technologies and the real policy, on the machines of the folder `machines`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.hooks.registry import Registry, installed
from tests.unit.cli.desk import Ran, command
from tests.unit.machines.made import MADE

MACHINES = Path(__file__).parents[1] / "machines"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return installed()


def on(name: str, *words: str, registry: Registry) -> Ran:
    return command(words[0], "--machine", str(MACHINES / name), *words[1:], registry=registry)


@pytest.mark.parametrize("name", MADE)
def test_the_machine_in_the_file_is_the_one_that_was_made(name: str) -> None:
    # If a kind has changed: python -m tests.unit.machines.made
    assert (MACHINES / name).read_bytes() == pn.dump_machine(MADE[name]()) + b"\n"


@pytest.mark.parametrize("name", MADE)
def test_nothing_is_wider_than_eighty_columns(name: str, registry: Registry) -> None:
    for words in (("show",), ("plan",), ("plan", "--output", "actions"), ("verify",), ("policies",)):
        ran = on(name, *words, registry=registry)
        assert max(map(len, ran.out.splitlines())) <= 80, words


def test_a_person_sees_the_old_array_and_what_is_in_use(registry: Registry) -> None:
    rows = on("dirty-server.json", "show", registry=registry).out.splitlines()
    assert rows[0] == "x86_64, UEFI, 64 GiB of memory"
    assert sum("array swap " in each for each in rows) == 1
    assert sum("part of array swap" in each for each in rows) == 1
    assert any("degraded: one of 2" in each for each in rows)
    assert any("nothing on it" in each for each in rows)


def test_a_person_sees_what_is_lost_on_which_disk(registry: Registry) -> None:
    out = on("dirty-server.json", "plan", registry=registry).out
    lost = out[out.index("What is lost") : out.index("What will be done")]
    assert "disk SAMSUNG MZ7LH480 S45PNA0M51234a, 447 GiB (sda)\n  gpt, partition 1, vfat 'ESP'" in lost
    assert "ext4 'var_log'" in lost
    assert lost.count("ext4 'var_log'") == 1
    assert "3 disks lose content" in out


@pytest.mark.parametrize("option", ["--careful", "--root=/target", "--slash=20GiB", "--swap-cap=8GiB"])
def test_an_option_of_the_policy_changes_the_plan(option: str, registry: Registry) -> None:
    def digest(*words: str) -> object:
        return msgspec.json.decode(on("dirty-server.json", "plan", "--json", *words, registry=registry).out)["content"][
            "digest"
        ]

    assert digest() != digest(option)


def test_help_has_every_option_of_the_policy(registry: Registry) -> None:
    out = command("apply", "--help", registry=registry).out
    for flag in ("--careful", "--root PATH", "--slash TEXT", "--firmware {auto,uefi,bios}", "--disks TEXT"):
        assert flag in out


def test_a_wrong_size_is_refused_in_words(registry: Registry) -> None:
    ran = on("dirty-server.json", "plan", "--slash", "lots", registry=registry)
    assert ran.status == 1
    assert "option slash: 'lots' is not a size; write for example" in ran.complaint


@pytest.mark.parametrize("words", [["plan"], ["plan", "--json"], ["show"]])
def test_whoever_only_plans_loads_nothing_for_terminals_logs_or_programs(words: list[str]) -> None:
    script = (
        "import sys\n"
        "from pre_nixos.cli.main import main\n"
        "from pre_nixos.cli.session import Session\n"
        "main(sys.argv[1:], Session(stdout=sys.stdout, stderr=sys.stderr, stdin=sys.stdin, environ={}))\n"
        "loaded = {'rich', 'structlog', 'asyncio', 'subprocess', 'dataclasses', 'parted', 'difflib', 'shlex'}\n"
        "print(*(loaded & set(sys.modules)), file=sys.stderr)\n"
    )
    argv = [sys.executable, "-c", script, *words, "--machine", str(MACHINES / "twelve-disks.json")]
    ran = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert ran.stderr.split() == []
