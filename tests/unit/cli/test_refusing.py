"""Every bad input: a short paragraph that says what happened and what to do, and nothing touched."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.cli.main import COMMANDS
from pre_nixos.model.identity import Found
from tests.unit.cli.desk import REGISTRY, Ran, command
from tests.unit.flow.test_schedule import old_stack, wanted_pool
from tests.unit.flow.world import World
from tests.unit.toys import disk, machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MACHINE = pn.dump_machine(machine(Found(disk("a")), *old_stack()), registry=REGISTRY)


def world() -> World:
    there = machine(Found(disk("a")), *old_stack())
    return World(there, wanted_pool(there, *there.disks))


def refused(ran: Ran, *said: str, status: int = 1) -> None:
    """A short paragraph on standard error, nothing on standard output, and no traceback."""
    assert ran.status == status, ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert "fault in pre-nixos" not in ran.complaint
    assert ran.err.startswith("pre-nixos")
    assert len(ran.err.splitlines()) <= 8
    for each in said:
        assert each in ran.complaint


SPOILT: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "not JSON, or not all of it"),
    "no JSON": (lambda _: b"Geraet\n", "not JSON"),
    "no text": (lambda _: b'{"format": "\xff\xfe"}', "utf-8"),
    "truncated": (lambda text: text[: len(text) // 2], "not JSON, or not all of it"),
    "a list": (lambda _: b"[]", "no pre-nixos machine"),
    "something else": (lambda _: b'{"name": "x"}', "no pre-nixos machine"),
    "another document": (
        lambda text: text.replace(b"pre-nixos machine", b"pre-nixos plan"),
        "this is a pre-nixos plan",
    ),
    "another version": (lambda text: text.replace(b'"version": 1', b'"version": 2'), "has version 2"),
    "an unknown field": (lambda text: text.replace(b'"memory"', b'"memmory"'), "memmory"),
    "an unknown field of a layer": (lambda text: text.replace(b'"label"', b'"lable"'), "lable"),
    "an unknown kind": (lambda text: text.replace(b'"toy.pool"', b'"cephalopod"'), "'cephalopod', which is unknown"),
    "a wrong type": (lambda text: text.replace(b'"memory": ', b'"memory": "much", "x": '), "memory"),
    "only brackets": (lambda _: b"[" * 200_000, "no pre-nixos machine"),
    "nested too deep inside": (
        lambda text: text.replace(b'"content": {', b'"content": {"x": ' + b"[" * 9_000 + b"]" * 9_000 + b", "),
        "depth exceeded",
    ),
}


@pytest.mark.parametrize("spoilt", SPOILT)
@pytest.mark.parametrize("asked", ["show", "plan", "verify"])
def test_a_machine_that_cannot_be_read(spoilt: str, asked: str, tmp_path: Path) -> None:
    change, said = SPOILT[spoilt]
    path = tmp_path / "machine.json"
    path.write_bytes(change(MACHINE))
    refused(command(asked, "--machine", str(path)), str(path), said)


def test_a_file_that_is_not_there() -> None:
    refused(command("show", "--machine", "/nowhere/machine.json"), "/nowhere/machine.json: No such file or directory")
    refused(command("show", "--machine", "/"), "Is a directory")
    refused(command("show", "--machine", "\0"), "null byte")


def test_a_recording_that_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "recording.json"
    assert command("record", str(path), world=world()).status == 0
    path.write_bytes(path.read_bytes()[:-40])
    refused(command("show", "--machine", str(path)), "this is not a recording")


def test_an_unknown_policy(tmp_path: Path) -> None:
    refused(command("plan", "--policy", "teired"), "no policy 'teired'; did you mean 'tiered'?", "pre-nixos policies")
    refused(command("apply", "--policy", "x", world=world()), "no policy 'x'; there are: nothing, pool, tiered")
    assert not list(tmp_path.iterdir())


def test_an_unknown_option_of_a_policy() -> None:
    refused(command("plan", "--carefull"), "an option --carefull; did you mean --careful?")
    refused(command("plan", "--policy", "nothing", "--level", "1"), "the policy nothing has an option --level")
    refused(command("apply", "--lvel=5", world=world()), "--lvel; did you mean --level?")


def test_an_option_of_a_policy_with_a_wrong_value() -> None:
    refused(command("plan", "--level", "much", world=world()), "option level: ")
    refused(command("plan", "--colour-of", "green", world=world()), "option colour_of: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("shwo",), "There is no command shwo; did you mean show?"),
        (("--frobnicate",), "There is no option --frobnicate"),
        (("show", "--machin", "x"), "show has no option --machin; did you mean --machine?"),
        (("show", "disks"), "show does not know what to do with 'disks'"),
        (("show", "--output", "picture"), "invalid choice: 'picture'"),
        (("show", "--machine"), "expected one argument"),
        (("record",), "required: FILE"),
        (("plan", "--level"), "expected one argument"),
        (("apply", "--yes", "--consent", "0123456789abcdef"), "not both"),
        (("apply", "--yes", "--plan", "plan.json"), "--yes agrees to a plan made now"),
        (("apply", "--plan", "plan.json", "--careful"), "apply has no option --careful"),
    ],
)
def test_words_that_make_no_sense(words: tuple[str, ...], said: str) -> None:
    refused(command(*words, world=world()), said, status=2)


def test_no_words_at_all() -> None:
    ran = command()
    assert ran.status == 2
    assert ran.err.startswith("usage: pre-nixos COMMAND")
    assert command("--help").status == 0
    assert command("help", "show").out.startswith("usage: pre-nixos show")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    ran = command(name, "--help")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(f"usage: pre-nixos {name} ")
    assert "--json" in ran.out


def test_no_disks() -> None:
    there = World(machine(), wanted_pool(machine()))
    assert "No disks were found." in command("show", world=there).out
    refused(command("plan", world=there), "policy tiered: This needs at least 1 disks, and 0 fit.", "none")


@pytest.mark.parametrize("words", [("plan",), ("show",), ("verify",), ("apply", "--yes"), ("record", "x.json")])
def test_not_root(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    there = world()
    there.root = False
    refused(command(*words, world=there), "Only root can", "Run it with sudo.")
    assert there.did == []
    assert not list(tmp_path.iterdir())


def test_a_second_apply_while_one_runs() -> None:
    there = world()
    there.locked_by = "process 812: apply"
    refused(command("apply", "--yes", world=there), "locked by process 812: apply", "Wait until it is over")
    assert there.did == []


def test_a_tool_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.unit.flow.world.TOOLS", {})
    there = world()
    ran = command("apply", "--yes", world=there)
    assert ran.status == 1
    assert "needs programs that are not here: toy" in ran.complaint
    assert there.did == []


def saved(there: World, folder: Path) -> Path:
    path = folder / "plan.json"
    path.write_text(command("plan", "--output", "json", world=there).out)
    return path


EDITED: dict[str, tuple[str, str]] = {
    "an action less": ('"verb": "deactivate"', '"verb": "activate"'),
    "another summary": ('"summary": "teardown', '"summary": "gently remove'),
    "another disk": ("naa.500000000000000a", "naa.500000000000000b"),
    "another digest": ('"digest": "', '"digest": "0'),
    "another wish": ('"label": "precious"', '"label": "worthless"'),
    "something on nothing": ('"toy.pool:new"\n', '"toy.pool:nil"\n'),
}


@pytest.mark.parametrize("edited", EDITED)
def test_a_plan_that_was_edited(edited: str, tmp_path: Path) -> None:
    there = world()
    path = saved(there, tmp_path)
    text = path.read_text()
    assert EDITED[edited][0] in text
    path.write_text(text.replace(*EDITED[edited]))
    digest = msgspec.json.decode(text)["content"]["digest"]
    refused(command("apply", "--plan", str(path), "--consent", digest, world=there), str(path))
    assert there.did == []


def test_reasons_that_were_edited_are_shown_to_nobody(tmp_path: Path) -> None:
    there = world()
    path = saved(there, tmp_path)
    path.write_text(path.read_text().replace("nobody asked for it", "it is worthless anyway"))
    ran = command("apply", "--plan", str(path), world=there, terminal=True, said="no\n", environ={"NO_COLOR": "1"})
    assert ran.status == 1
    assert "worthless" not in ran.out + ran.err
    assert there.did == []


def test_a_stale_plan(tmp_path: Path) -> None:
    there = world()
    path = saved(there, tmp_path)
    digest = msgspec.json.decode(path.read_bytes())["content"]["digest"]
    there.graft(machine(Found(disk("a"))))
    ran = command("apply", "--plan", str(path), "--consent", digest, world=there)
    refused(ran, "was made for another state of this machine", "Nothing was changed", "Make it again")
    assert there.did == []


def test_a_consent_for_another_plan() -> None:
    there = world()
    refused_at_last = command("apply", "--consent", "0123456789abcdef", world=there)
    assert refused_at_last.status == 1
    assert "is not for this plan, whose digest is" in refused_at_last.complaint
    assert there.did == []


def test_a_plan_that_speaks_against_itself() -> None:
    there = machine(Found(disk("a")), Found(disk("b")), *old_stack(on=("8:0", "8:16")))
    there_too = World(there, wanted_pool(there, *there.disks))
    ran = command("apply", "--yes", "--disks", "SERIAL-A", world=there_too)
    refused(ran, "stands partly on disk Toy SERIAL-B", "Take that disk as well, or leave this one out")
    assert there_too.did == []


@pytest.mark.parametrize("option", ["--report", "--log"])
@pytest.mark.parametrize(
    ("path", "said"),
    [("/nowhere/at/all", "there is no directory"), ("/dev/null", "no ordinary file"), ("/", "no ordinary file")],
)
def test_results_go_to_ordinary_files_only(option: str, path: str, said: str) -> None:
    there = world()
    refused(command("apply", "--yes", option, path, world=there), said, "Nothing was changed")
    assert there.did == []


def test_a_recording_never_goes_to_a_device() -> None:
    refused(command("record", "/dev/null", world=world()), "no ordinary file")


def test_problems_are_told_as_json_too() -> None:
    ran = command("plan", "--policy", "teired", "--json")
    assert ran.json()["outcome"] == "refused"
    assert "did you mean" in str(ran.json()["problems"])
    assert command("show", "--json", "--nonsense").json()["outcome"] == "usage"


def test_a_fault_of_our_own_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("pre_nixos.flow.schedule.schedule", broken)
    ran = command("plan", world=world())
    assert ran.status == 1
    assert "This is a fault in pre-nixos itself: ZeroDivisionError: by nothing" in ran.complaint
    assert "Traceback" not in ran.err
    with pytest.raises(ZeroDivisionError):
        command("plan", world=world(), environ={"PRE_NIXOS_TRACEBACK": "1"})


def test_a_plugin_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("I am lost")

    monkeypatch.setattr(REGISTRY, "_owned", dict.fromkeys(REGISTRY._owned, ("toys", broken)))  # pyright: ignore[reportPrivateUsage] - a fault planted
    refused(command("plan", world=world()), "plugin toys failed in deactivate: RuntimeError: I am lost")


def test_nobody_reads_any_more() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    from pre_nixos.cli.screen import Screen

    with open(writing, "w", encoding="utf-8") as stream:
        screen = Screen(stream, {})
        screen.write("x" * 100_000)
        assert screen.closed
        screen.write("more")
