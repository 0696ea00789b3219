"""Every bad input: a short paragraph that says what happened and what to do, and nothing touched."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, cast

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.cli.main import COMMANDS, main
from pre_nixos.cli.session import Session
from pre_nixos.model.identity import Found
from tests.unit.cli.desk import REGISTRY, Paper, Ran, command
from tests.unit.flow.test_schedule import old_stack, wanted_pool
from tests.unit.flow.world import World, as_host
from tests.unit.toys import disk, machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TextIO

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
    said = "no policy 'teired'; did you mean 'tiered'?"
    refused(command("plan", "--policy", "teired"), said, "pre-nixos policies")
    ran = command("apply", "--policy", "x", world=world())
    refused(ran, "no policy 'x'; there are: nothing, pool, tiered")
    assert not list(tmp_path.iterdir())


def test_an_unknown_option_of_a_policy() -> None:
    refused(command("plan", "--carefull"), "an option --carefull; did you mean --careful?")
    ran = command("plan", "--policy", "nothing", "--level", "1")
    refused(ran, "the policy nothing has an option --level", "`pre-nixos plan --policy nothing --help`")
    refused(command("apply", "--lvel=5", world=world()), "--lvel; did you mean --level?")
    refused(command("mount", "--machine", "x"), "Neither mount nor the policy tiered has an option --machine")


def test_an_option_of_a_policy_with_a_wrong_value() -> None:
    listed = "`pre-nixos plan --policy tiered --help` lists"
    for value, said in (("much", "'much' is not a whole number from 0 to 6"), ("7", "'7' is not a whole number")):
        refused(command("plan", "--level", value, world=world()), f"option level: {said}", listed)
    said = "option colour_of: 'green' is not one of blue, red"
    refused(command("plan", "--colour-of", "green", world=world()), said)


def test_an_option_of_a_policy_where_none_is_asked(tmp_path: Path) -> None:
    for words in (("plan", "--layout", "x.json"), ("generate", "--plan", "x.json"), ("plan", "--check-layout", "x")):
        for flag in ("--careful", "--no-careful", "--colour-of=red"):
            said = f"{flag.partition('=')[0]} is an option of the policy tiered, and no policy is asked here"
            refused(command(*words, flag), said, status=2)
    refused(command("plan", "--layout", "x.json", "--frob"), "plan has no option --frob", status=2)
    refused(command("verify", "--plan", "x", "--policy", "tiered"), "leave --layout and --policy out", status=2)
    assert not list(tmp_path.iterdir())


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
        (("apply", "--plan", "plan.json", "--careful"), "--careful is an option of the policy tiered"),
        (("announce", "--wait", "x"), "'x' is no number of seconds"),
        (("lan", "--wait=-1"), "'-1' is no number of seconds"),
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


def test_help_says_what_a_command_does() -> None:
    assert "ask for consent, and do it." in " ".join(command("apply", "--help").out.split())
    assert "what `mount` brings into use." in " ".join(command("unmount", "--help").out.split())
    assert "what NixOS must be told" in " ".join(command("generate", "--help").out.split())
    assert "pre.mode=apply" in command("--help").out


def test_help_fits_a_terminal() -> None:
    assert max(map(len, command("--help").out.splitlines())) <= 79


def test_no_disks() -> None:
    there = World(machine(), pn.Draft(machine(), take=()).wanted())
    assert "No disks were found." in command("show", world=there).out
    refused(command("plan", world=there), "policy tiered: This needs at least 1 disk, and none fits.", "none")


@pytest.mark.parametrize("words", [("plan",), ("show",), ("verify",), ("apply", "--yes"), ("record", "x.json")])
def test_not_root(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    there = world()
    there.root = False
    refused(command(*words, world=there), "Only root can", "Run it with sudo.")
    assert there.did == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [("wipe", "x"), ("mount",), ("unmount",), ("apply",), ("auto",)])
def test_who_is_not_root_is_advised_what_there_is(words: tuple[str, ...]) -> None:
    there = world()
    there.root = False
    advised = command(*words, world=there)
    assert "Run it with sudo." in advised.complaint
    assert "--machine FILE" not in advised.complaint.replace("`pre-nixos plan --machine FILE`", "")
    assert "needs no root: --machine FILE" in command("plan", world=there).complaint


def test_a_file_that_cannot_be_read_need_not_be_wrong() -> None:
    for words in (("show", "--machine", "/nowhere/x"), ("verify", "--plan", "/nowhere/x")):
        assert "again" not in command(*words).complaint


def test_standard_input_may_be_what_no_path_leads_to() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b'{"disk": {"main": {"type": "disk"}}}')
        ours.shutdown(socket.SHUT_WR)
        words = [sys.executable, "-m", "pre_nixos.cli", "plan", "--check-layout", "-"]
        ran = subprocess.run(words, stdin=theirs.fileno(), capture_output=True, check=False)
    assert b"disk.main: which disk is it?" in ran.stdout, ran


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
    assert command("show", "--machine", "/nowhere", "--json").json()["outcome"] == "refused"
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


class Full(Paper):
    """A stream to a disk that is full."""

    def flush(self) -> None:
        raise OSError(28, "No space left on device")

    def text(self) -> str:
        return ""


@pytest.mark.parametrize("words", [("show",), ("plan",), ("policies",), ("plugins",), ("shwo",)])
@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("err", [Paper, Full])
def test_results_that_go_nowhere(words: tuple[str, ...], *, as_json: bool, err: type[Paper]) -> None:
    errors = err()
    session = Session(
        stdout=cast("TextIO", Full()),
        stderr=cast("TextIO", errors),
        stdin=cast("TextIO", Paper()),
        environ={},
        registry=REGISTRY,
        host=as_host(world()),
    )
    status = main([*words, "--json"] if as_json else list(words), session)
    assert status == (2 if words == ("shwo",) else 1)
    assert errors.text().startswith("pre-nixos") == (err is Paper)
    assert "Traceback" not in errors.text()
