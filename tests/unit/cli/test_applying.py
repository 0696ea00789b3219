"""apply: who is asked, what is shown on the way, and what is said in the end."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import msgspec
import pytest

from pre_nixos.cli.interrupts import Interrupts
from pre_nixos.host.api import Outcome
from pre_nixos.model.identity import Found
from tests.unit.cli.desk import Ran, command
from tests.unit.flow.test_schedule import old_stack, wanted_pool
from tests.unit.flow.world import World
from tests.unit.toys import disk, machine

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = {"NO_COLOR": "1", "TERM": "vt100"}
MAKE_STUFF = "format toy.pool:new/s/toy.stuff"


def world() -> World:
    there = machine(Found(disk("a")), *old_stack())
    return World(there, wanted_pool(there, *there.disks))


def digest_of(there: World) -> str:
    return str(msgspec.json.decode(command("plan", "--json", world=there).out)["content"]["digest"])


def test_on_a_pipe_it_needs_a_consent_and_shows_what_for() -> None:
    there = world()
    ran = command("apply", world=there)
    assert ran.status == 1
    assert f"--consent {digest_of(there)}" in ran.complaint
    assert "What is lost" in ran.err
    assert there.did == []


def test_a_person_is_asked_and_told_which_disks_lose_what() -> None:
    there = world()
    ran = command("apply", world=there, terminal=True, said="yes\n", environ=PLAIN)
    assert ran.status == 0
    assert "will be gone for good from:\n  disk Toy SERIAL-A, 100 GiB (sda)\nType yes to go on: " in ran.err
    assert there.did
    assert "Everything is as wanted, after 5 actions" in ran.out


@pytest.mark.parametrize("said", ["", "\n", "y\n", "no\n", "YES PLEASE\n"])
def test_whatever_is_not_a_yes_is_a_no(said: str) -> None:
    there = world()
    ran = command("apply", world=there, terminal=True, said=said, environ=PLAIN)
    assert ran.status == 1
    assert "That was not a yes. Nothing was changed." in ran.complaint
    assert there.did == []


def test_progress_on_a_pipe_is_one_line_an_action_with_its_seconds() -> None:
    ran = command("apply", "--yes", world=world())
    lines = ran.err.splitlines()
    assert [each for each in lines if each.startswith("[")] == [
        "[1/5] deactivate toy.pool:old ... 0.0 s",
        "[2/5] teardown toy.pool:old ... 0.0 s",
        "[3/5] format toy.pool:new ... 0.0 s",
        "[4/5] format toy.pool:new/s/toy.stuff ... 0.0 s",
        "[5/5] activate toy.pool:new/s/toy.stuff//mnt ... 0.0 s",
    ]
    assert "\x1b" not in ran.err


def test_progress_on_a_terminal_is_a_display() -> None:
    ran = command("apply", "--yes", world=world(), terminal=True, environ={"TERM": "xterm"})
    assert ran.status == 0
    assert "\x1b[" in ran.err
    assert "done  " in ran.err


def test_a_consent_to_what_was_shown_is_enough_and_a_second_run_does_nothing() -> None:
    there = world()
    assert command("apply", "--consent", digest_of(there), world=there).status == 0
    did = list(there.did)
    again = command("apply", "--yes", world=there)
    assert (again.status, again.out) == (0, "Everything is as wanted: there was nothing to do.\n")
    assert there.did == did
    assert command("plan", "--check", world=there).status == 0


def test_a_saved_plan_is_carried_out(tmp_path: Path) -> None:
    there = world()
    path = tmp_path / "plan.json"
    path.write_text(command("plan", "--output", "json", world=there).out)
    ran = command("apply", "--plan", str(path), "--consent", digest_of(there), world=there)
    assert ran.status == 0
    assert there.did


def test_the_result_is_a_report_that_goes_to_files_too(tmp_path: Path) -> None:
    path, log = tmp_path / "report.json", tmp_path / "log"
    ran = command("apply", "--yes", "--json", "--report", str(path), "--log", str(log), world=world())
    report = ran.json()
    assert report["format"] == "pre-nixos report"
    assert path.read_text() == ran.out
    events = [msgspec.json.decode(each) for each in log.read_text().splitlines()]
    told = ["looking", "planned", "action-began", "step-ended", "action-ended"]
    assert {"run-began", *told, "run-ended"} == {each["event"] for each in events}
    assert all("timestamp" in each for each in events)
    assert len({each["run"] for each in events}) == 1
    ended = [each for each in events if each["event"] == "action-ended"]
    assert all(each["action"] and each["device"] == ["sda"] and each["duration"] >= 0 for each in ended)


def failed(there: World, *words: str) -> Ran:
    there.broken[MAKE_STUFF] = lambda: Outcome(ok=False, wrote=True, detail="the medium is worn out")
    return command("apply", "--yes", *words, world=there)


def test_a_failure_says_what_happened_where_what_was_done_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    ran = failed(world(), "--report", str(path))
    assert ran.status == 1
    for said in (
        "format toy.pool:new/s/toy.stuff: the medium is worn out",
        "It was at work on disk Toy SERIAL-A, 100 GiB (sda).",
        "Done: 3 actions.",
        "Not done: 2 actions, beginning with: format toy.pool:new/s/toy.stuff.",
        "are in /var/log/pre-nixos/failed-",
        "Run the same command again",
    ):
        assert said in ran.complaint
    assert msgspec.json.decode(path.read_bytes())["content"]["problem"]


def test_a_failure_as_json_is_one_document() -> None:
    ran = failed(world(), "--json")
    assert ran.status == 1
    assert ran.json()["format"] == "pre-nixos report"


def test_a_failed_run_can_be_run_again() -> None:
    there = world()
    assert failed(there).status == 1
    there.broken.clear()
    assert command("apply", "--yes", world=there).status == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_it_between_two_actions(number: signal.Signals) -> None:
    there = world()

    def interrupted() -> Outcome | None:
        os.kill(os.getpid(), number)
        return None

    there.broken["teardown toy.pool:old"] = interrupted
    ran = command("apply", "--yes", world=there)
    assert ran.status == 1
    assert there.did == ["deactivate toy.pool:old", "teardown toy.pool:old"]
    assert "pre-nixos apply: Stopped, as asked, before" in ran.complaint
    assert "Not done: 3 actions" in ran.complaint


def test_handlers_are_as_before_when_it_is_over() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGTERM)
        assert stop()
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_interrupt_while_asking_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("pre_nixos.cli.session.Session.answer", interrupted)
    there = world()
    ran = command("apply", world=there, terminal=True, environ=PLAIN)
    assert ran.status == 1
    assert "Interrupted. Nothing was changed." in ran.complaint
    assert there.did == []
