"""show, plan, verify, policies, plugins: on a machine, and on one in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.flow.schedule import schedule
from pre_nixos.model.identity import Found
from tests.unit.cli.desk import REGISTRY, command
from tests.unit.flow.test_schedule import old_stack, wanted_pool
from tests.unit.flow.world import World
from tests.unit.render.stacks import dirty, tricky
from tests.unit.toys import disk, machine

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.model.machine import Machine


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A machine that was written down: two disks with an old stack, one that a policy leaves alone."""
    path = tmp_path / "machine.json"
    there = machine(Found(disk("a")), Found(disk("b", transport="usb")), *old_stack())
    path.write_bytes(pn.dump_machine(there, registry=REGISTRY))
    return str(path)


def clean() -> World:
    there = machine(Found(disk("a")))
    return World(there, wanted_pool(there, *there.disks))


def test_show_draws_a_tree(file: str) -> None:
    ran = command("show", "--machine", file)
    assert (ran.status, ran.err) == (0, "")
    assert "└─ slot s" in ran.out


def test_show_looks_at_this_machine() -> None:
    ran = command("show", world=clean())
    assert ran.status == 0
    assert "Toy SERIAL-A, sata SSD, nothing on it" in ran.out


def test_what_show_writes_as_json_it_reads_again(file: str, tmp_path: Path) -> None:
    again = tmp_path / "again.json"
    again.write_text(command("show", "--machine", file, "--json").out)
    assert command("show", "--machine", str(again), "--json").out == again.read_text()
    assert command("--json", "show", "--machine", file).out == again.read_text()


def test_mermaid_is_drawn_of_machines_and_plans(file: str) -> None:
    assert command("show", "--machine", file, "--output", "mermaid").out.startswith("flowchart BT\n")
    assert ":::gone" in command("plan", "--machine", file, "--output", "mermaid").out


def test_an_output_that_cannot_show_branches_gets_plain_ones(file: str) -> None:
    ran = command("show", "--machine", file, encoding="ascii")
    assert "`- slot s" in ran.out
    assert ran.out.isascii()


def test_a_serial_console_gets_plain_lines(file: str) -> None:
    ran = command("show", "--machine", file, terminal=True, environ={"TERM": "vt220"})
    assert "`- slot s" in ran.out
    assert "\x1b" not in ran.out


def test_colour_is_for_terminals_and_for_those_who_want_it(file: str) -> None:
    coloured = command("show", "--machine", file, terminal=True, environ={"TERM": "xterm"}).out
    unwanted = command("show", "--machine", file, terminal=True, environ={"TERM": "xterm", "NO_COLOR": "1"}).out
    piped = command("show", "--machine", file).out
    assert "\x1b[" in coloured
    assert unwanted == piped


def test_a_label_cannot_give_the_terminal_orders(tmp_path: Path) -> None:
    path = tmp_path / "tricky.json"
    path.write_bytes(pn.dump_machine(tricky(), registry=REGISTRY))
    for output in ("tree", "mermaid"):
        assert "\x1b" not in command("show", "--machine", str(path), "--output", output).out


def test_plan_shows_before_after_losses_actions_and_the_digest(file: str) -> None:
    ran = command("plan", "--machine", file)
    digest = _plan(file)["digest"]
    headings = ["Before", "After", "What is lost", "What will be done", f"Digest: {digest}"]
    assert [ran.out.find(each) for each in headings] == sorted(ran.out.find(each) for each in headings)
    assert ran.out.find("Before") >= 0
    assert ran.status == 0


def test_plan_says_how_to_do_it_here_with_the_same_words() -> None:
    ran = command("plan", "--level", "5", "--check", "--output", "actions", world=clean())
    assert "To do this: pre-nixos apply --level 5 --consent " in ran.out
    assert "require-blank disk:naa.500000000000000a" in ran.out
    assert "To do this: pre-nixos apply --consent " in command("plan", world=clean()).out


def test_plan_says_so_if_there_is_nothing_to_do(tmp_path: Path) -> None:
    path = _write(tmp_path, machine(Found(disk("a"))))
    ran = command("plan", "--machine", path, "--policy", "nothing", "--check")
    assert (ran.status, ran.out) == (0, "Everything is as wanted: there is nothing to do.\n")


def test_check_exits_with_three_if_there_is_something_to_do(file: str) -> None:
    assert command("plan", "--machine", file, "--check").status == 3
    assert command("plan", "--machine", file, "--check", "--json").status == 3


def test_a_plan_that_is_refused_shows_why_and_fails(tmp_path: Path) -> None:
    path = _write(tmp_path, machine(Found(disk("a", read_only=True)), Found(disk("b")), *old_stack(on=("8:0", "8:16"))))
    ran = command("plan", "--machine", path, "--disks", "SERIAL-B", "--check")
    assert ran.status == 1
    assert "This plan cannot be carried out:\n* pool old would have to go, but it stands partly on" in ran.out


def test_explain_says_what_becomes_of_a_layer(file: str) -> None:
    ran = command("plan", "--machine", file, "--explain", "toy.pool:old")
    assert ran.out.startswith("toy.pool:old: gone, because nobody asked for it.\n  deactivate")
    by_name = command("plan", "--machine", file, "--explain", "old", "--json")
    assert msgspec.json.decode(by_name.out)[0]["layer"] == "toy.pool:old"


def test_explain_of_an_unknown_layer_says_which_there_are(file: str) -> None:
    ran = command("plan", "--machine", file, "--explain", "toy.pool:odl")
    assert ran.status == 1
    assert "did you mean toy.pool:old?" in ran.complaint


def test_options_of_a_policy_are_flags(file: str) -> None:
    def level(*words: str) -> object:
        layers = _plan(file, *words)["wanted"]["graph"]
        return next(each["layer"]["level"] for each in layers if each["layer"]["kind"] == "toy.pool")

    assert level() == 1
    assert level("--level", "5") == 5
    assert level("--level=5", "--careful", "--no-careful") == 5


def test_help_lists_the_options_of_the_policy() -> None:
    ran = command("plan", "--help")
    assert ran.status == 0
    assert "--careful" in ran.out
    assert "Think 100% twice (default: off)" in ran.out
    assert "--tiered-json" in ran.out


def test_verify_lists_what_is_not_as_wanted(file: str) -> None:
    ran = command("verify", "--machine", file)
    assert ran.status == 1
    for said in (
        "pool new is not there",
        "slot s of pool new is not there",
        "stuff on slot s of pool old is there, and nobody asked for it",
    ):
        assert said in ran.out.splitlines()
    assert command("verify", "--machine", file, "--policy", "nothing").out == "Everything is as wanted.\n"


def test_verify_compares_with_a_saved_plan(file: str, tmp_path: Path) -> None:
    saved = tmp_path / "plan.json"
    saved.write_text(command("plan", "--machine", file, "--output", "json").out)
    ran = command("verify", "--machine", file, "--plan", str(saved), "--json")
    assert ran.status == 1
    assert ran.json()["as_wanted"] is False


def test_policies_are_listed_with_their_options(file: str) -> None:
    ran = command("policies")
    assert "tiered: A pool on all disks" in ran.out
    assert "--level N               Level of the pool (default: 1)" in ran.out
    listed = msgspec.json.decode(command("policies", "--json").out)
    assert {"tiered", "nothing"} <= {each["name"] for each in listed}
    assert "takes 1 disk: disk Toy SERIAL-A" in command("policies", "--machine", file).out


def test_options_are_given_as_schemas() -> None:
    schemas = msgspec.json.decode(command("policies", "--schema").out)
    assert schemas["nothing"] == {"summary": "Leaves everything alone", "options": {}}
    options = schemas["tiered"]["options"]
    assert options["careful"] == {"description": "Think 100% twice", "type": "boolean", "default": False}
    assert options["colour_of"]["anyOf"] == [{"enum": ["blue", "red"]}, {"type": "null"}]
    assert list(options) == ["careful", "level", "colour_of", "disks", "json"]


def test_plugins_are_listed_with_what_they_own() -> None:
    ran = command("plugins")
    assert "toys, of toys 1.0\n  kinds  disk, toy.fixed, toy.pool" in ran.out
    assert msgspec.json.decode(command("plugins", "--json").out)[0]["distribution"] == "desk 2.0"


def test_the_same_machine_under_other_kernel_names_gives_the_same_plan(tmp_path: Path) -> None:
    one = _write(tmp_path, machine(Found(disk("a")), Found(disk("b")), *old_stack()))
    plans = {_plan(one)["digest"]}
    other = machine(Found(disk("a", name="sdq", number="65:0")), Found(disk("b", name="sda")), *old_stack(on=("65:0",)))
    plans.add(_plan(_write(tmp_path, other))["digest"])
    assert len(plans) == 1


def test_a_machine_may_come_from_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "recording.json"
    assert command("record", str(path), world=clean()).status == 0
    assert "nothing on it" in command("show", "--machine", str(path)).out


def test_what_is_shown_is_what_the_library_says(file: str) -> None:
    there = pn.load_machine(file, registry=REGISTRY)
    plan = schedule(there, pn.propose(there, "tiered", registry=REGISTRY), registry=REGISTRY)
    assert command("plan", "--machine", file, "--json").out.encode() == pn.dump_plan(plan, registry=REGISTRY) + b"\n"


def test_a_dirty_machine_is_planned_for(tmp_path: Path) -> None:
    ran = command("plan", "--machine", _write(tmp_path, dirty()))
    assert ran.status == 0
    assert "its part of pool old, and with it slot s, stuff, slot t, unknown data" in ran.out


def _write(folder: Path, there: Machine) -> str:
    path = folder / "there.json"
    path.write_bytes(pn.dump_machine(there, registry=REGISTRY))
    return str(path)


def _plan(file: str, *words: str) -> dict[str, Any]:
    text = command("plan", "--machine", file, "--json", *words).out
    found: dict[str, dict[str, Any]] = msgspec.json.decode(text)
    return found["content"]
