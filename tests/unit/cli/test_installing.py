"""auto, status, report and detect-storage: what happens with nobody there, and what is left to be read afterwards."""

from __future__ import annotations

import os
import shlex
import socket
from typing import TYPE_CHECKING

import msgspec
import pytest

from pre_nixos.cli.complaint import Complaint
from pre_nixos.host.api import Outcome, TakeLock
from pre_nixos.model.draft import Draft
from pre_nixos.model.identity import Found
from pre_nixos.plugin import Disk, Machine, State, Unrecognised
from tests.unit.cli.desk import Ran, command
from tests.unit.flow.test_schedule import old_stack, wanted_pool
from tests.unit.flow.world import World
from tests.unit.toys import disk, machine

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.model.draft import Wanted

MAKE_STUFF = "format toy.pool:new/s/toy.stuff"


def blank() -> World:
    there = machine(Found(disk("a")))
    return World(there, wanted_pool(there, *there.disks))


def full() -> World:
    there = machine(Found(disk("a")), *old_stack())
    return World(there, wanted_pool(there, *there.disks))


def unreadable() -> World:
    what = Unrecognised(what="its content cannot be told (unreadable)", immovable=True, state=State.INACTIVE)
    there = machine(Found(disk("a")), Found(what, on=["8:0"]))
    return World(there, wanted_pool(there, *there.disks))


def blanked(there: World) -> Wanted:
    return Draft(Machine(graph=there.graph), take=list(there.graph.of(Disk))).wanted()


def boot(root: Path, line: str) -> None:
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/cmdline").write_text(line)


def on(root: Path, world: World | None, *words: str) -> Ran:
    return command(*words, world=world, root=str(root))


def stands(root: Path) -> tuple[str, str, int]:
    ran = on(root, None, "status", "--json")
    said = ran.json()
    return str(said["state"]), str(said["detail"]), ran.status


def log(root: Path) -> list[dict[str, object]]:
    path = root / "var/log/pre-nixos/actions.log"
    return [msgspec.json.decode(each) for each in path.read_text().splitlines()] if path.exists() else []


def test_unasked_it_only_says_what_it_would_do_and_a_person_then_does_it(tmp_path: Path) -> None:
    there = blank()
    ran = on(tmp_path, there, "auto", "--careful")
    assert ran.status == 0
    assert there.did == []
    state, detail, status = stands(tmp_path)
    assert (state, status) == ("planned", 3)
    assert "nothing would be lost" in detail
    program, *typed = shlex.split(detail.partition("to agree: ")[2])
    assert (program, *typed[:2]) == ("pre-nixos", "apply", "--careful")
    assert on(tmp_path, there, *typed).status == 0
    assert stands(tmp_path)[::2] == ("applied", 0)
    did = list(there.did)
    assert on(tmp_path, there, "apply", "--yes").status == 0
    assert there.did == did
    assert stands(tmp_path) == ("applied", "Everything is as wanted: there was nothing to do.", 0)


def test_where_it_was_switched_on_it_does_what_loses_nothing(tmp_path: Path) -> None:
    there = blank()
    assert on(tmp_path, there, "auto", "--apply").status == 0
    assert there.did
    assert stands(tmp_path)[::2] == ("auto-applied", 0)
    did = list(there.did)
    assert on(tmp_path, there, "auto", "--apply").status == 0
    assert there.did == did
    assert stands(tmp_path)[0] == "auto-applied"


@pytest.mark.parametrize("switched_on", [["--apply"], []])
def test_what_would_be_lost_is_never_lost_unasked(tmp_path: Path, switched_on: list[str]) -> None:
    boot(tmp_path, "pre.mode=apply")
    there = full()
    assert on(tmp_path, there, "auto", *switched_on).status == 0
    assert there.did == []
    state, detail, status = stands(tmp_path)
    assert (state, status) == ("occupied", 4)
    assert "content would be lost on disk Toy SERIAL-A" in detail


def test_what_could_not_be_read_is_undetermined(tmp_path: Path) -> None:
    there = unreadable()
    assert on(tmp_path, there, "auto", "--apply").status == 1
    assert there.did == []
    state, detail, status = stands(tmp_path)
    assert (state, status) == ("undetermined", 4)
    assert "cannot be told" in detail


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("pre.mode=apply", "auto-applied"),
        ("pre.mode=plan", "planned"),
        ("pre.plan.only=1 pre.mode=apply", "planned"),
        ("pre.mode=aply", "planned"),
        ("pre.mode=off", "off"),
        ('pre.policy=nothing "', "auto-applied"),
        ("pre.policy=nosuch", "refused"),
        ("\0\xff pre. pre.mode", "planned"),
    ],
)
def test_the_kernels_command_line_has_the_last_word(tmp_path: Path, line: str, state: str) -> None:
    boot(tmp_path, line)
    there = blank()
    ran = on(tmp_path, there, "auto", *(["--apply"] if state in {"planned", "off", "refused"} else []))
    assert stands(tmp_path)[0] == state
    assert bool(there.did) is (line == "pre.mode=apply")
    assert ran.status == (1 if state == "refused" else 0)
    assert "Traceback" not in ran.err


def test_unknown_words_on_it_are_told(tmp_path: Path) -> None:
    boot(tmp_path, "pre.mdoe=apply")
    assert "was pre.mode meant?" in on(tmp_path, blank(), "auto").complaint


def test_a_failure_is_in_the_status_in_the_log_and_in_the_report(tmp_path: Path) -> None:
    there = blank()
    there.broken[MAKE_STUFF] = lambda: Outcome(ok=False, wrote=True, detail="the medium\nis worn out")
    ran = on(tmp_path, there, "auto", "--apply")
    assert ran.status == 1
    state, detail, status = stands(tmp_path)
    assert (state, status) == ("failed", 1)
    assert "the medium is worn out" in detail
    last = log(tmp_path)[-1]
    assert (last["event"], last["outcome"], last["level"]) == ("run-ended", "failed", "error")
    shown = on(tmp_path, None, "report")
    assert shown.status == 0
    assert "the medium" in shown.out
    listed = [each.split() for each in shown.out.splitlines()]
    assert ["FAILED", *MAKE_STUFF.split()] in listed
    assert ["done", "0.0", "s", "format", "toy.pool:new"] in listed
    assert on(tmp_path, None, "report", "--json").out == (tmp_path / "var/log/pre-nixos/report.json").read_text()
    kept = [each for each in there.files if each.startswith(f"{tmp_path}/var/log/pre-nixos/failed-")]
    assert kept


def test_whatever_goes_wrong_before_anything_is_done_is_a_refusal(tmp_path: Path) -> None:
    there = blank()
    there.root = False
    assert on(tmp_path, there, "auto").status == 1
    state, detail, status = stands(tmp_path)
    assert (state, status) == ("refused", 1)
    assert "Only root" in detail


def test_every_event_has_the_run_the_action_its_disks_and_how_long_it_took(tmp_path: Path) -> None:
    on(tmp_path, full(), "apply", "--yes")
    entries = log(tmp_path)
    assert len({each["run"] for each in entries}) == 1
    assert [entries[0]["event"], entries[-1]["event"]] == ["run-began", "run-ended"]
    ended = [each for each in entries if each["event"] == "action-ended"]
    assert len(ended) == 5
    assert all(each["device"] == ["sda"] for each in ended)
    assert all(isinstance(each["duration"], float) for each in ended)
    assert ended[0]["action"] == "deactivate toy.pool:old"
    folder = tmp_path / "var/log/pre-nixos"
    assert sorted(each.name for each in folder.iterdir()) == ["actions.log", "plan.json", "report.json"]
    assert all(each.stat().st_mode & 0o077 == 0 for each in folder.iterdir())


def test_a_run_that_only_looked_leaves_the_last_report_where_it_is(tmp_path: Path) -> None:
    there = blank()
    on(tmp_path, there, "apply", "--yes")
    before = (tmp_path / "var/log/pre-nixos/report.json").read_text(), len(log(tmp_path))
    on(tmp_path, there, "apply", "--yes")
    assert ((tmp_path / "var/log/pre-nixos/report.json").read_text(), len(log(tmp_path))) == before


def test_a_run_that_is_refused_leaves_the_plan_and_the_report_of_the_one_that_ran(tmp_path: Path) -> None:
    there = full()
    on(tmp_path, there, "apply", "--yes")
    folder = tmp_path / "var/log/pre-nixos"
    before = [(folder / each).read_text() for each in ("plan.json", "report.json")]
    there = full()
    there.does[TakeLock] = iter([Outcome(ok=True), Outcome(ok=False, detail="process 812 is at work")]).__next__
    assert on(tmp_path, there, "apply", "--yes").status == 1
    assert [(folder / each).read_text() for each in ("plan.json", "report.json")] == before
    shown = on(tmp_path, None, "report")
    assert "ended: refused" in " ".join(shown.out.split())
    assert "process 812 is at work" in shown.out


def test_words_that_make_no_sense_are_in_the_status_too(tmp_path: Path) -> None:
    assert on(tmp_path, blank(), "auto", "--colour", "red").status == 1
    assert stands(tmp_path)[::2] == ("refused", 1)
    assert "has an option --colour" in stands(tmp_path)[1]
    here = tmp_path / "here"
    assert on(tmp_path, blank(), "auto", f"--status-dir={here}", "--policy").status == 2
    assert on(tmp_path, None, "status", "--status-dir", str(here)).status == 1


def test_who_refuses_for_want_of_a_secret_leaves_a_trace_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object) -> None:
        raise Complaint("The key of slot s cannot be had.", advice="Nothing was changed.")

    monkeypatch.setattr("pre_nixos.cli.consented.secrets_for", nobody)
    there = blank()
    assert on(tmp_path, there, "apply", "--yes", f"--status-dir={tmp_path}/here").status == 1
    assert "refused: The key of slot s" in on(tmp_path, None, "status", f"--status-dir={tmp_path}/here").out
    shown = on(tmp_path, None, "report")
    assert "ended: refused" in shown.out
    assert "The key of slot s cannot be had." in shown.out
    assert there.did == []


def test_what_was_wiped_is_not_as_wanted_any_more(tmp_path: Path) -> None:
    there = blank()
    on(tmp_path, there, "auto", "--apply")
    there.wanted = blanked(there)
    assert on(tmp_path, there, "wipe", "SERIAL-A", "--yes").status == 0
    assert stands(tmp_path)[::2] == ("wiped", 5)


def test_a_log_that_was_asked_for_is_written_by_every_run(tmp_path: Path) -> None:
    there = blank()
    path = tmp_path / "mine"
    on(tmp_path, there, "apply", "--yes")
    on(tmp_path, there, "apply", "--yes", "--log", str(path))
    assert [msgspec.json.decode(each)["event"] for each in path.read_text().splitlines()] == ["run-began", "run-ended"]
    before = len(log(tmp_path))
    on(tmp_path, full(), "apply", "--yes", "--log", str(path))
    assert [msgspec.json.decode(each) for each in path.read_text().splitlines()[2:]] == log(tmp_path)[before:]


def test_the_journal_gets_the_same_lines(tmp_path: Path) -> None:
    folder = tmp_path / "run/systemd/journal"
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        here = os.getcwd()
        os.chdir(folder)  # such a socket's path must be short
        journal.bind("socket")
        os.chdir(here)
        journal.settimeout(0)
        link = tmp_path.parent / "j"
        if not link.is_symlink():
            link.symlink_to(tmp_path)
        on(link, blank(), "apply", "--yes")
        first = journal.recv(1 << 16).decode()
    entry = log(tmp_path)[0]
    assert "SYSLOG_IDENTIFIER=pre-nixos\n" in first
    assert f"PRE_NIXOS_RUN={entry['run']}\n" in first
    assert msgspec.json.decode(first.partition("MESSAGE=")[2].partition("\n")[0]) == entry


def test_a_journal_that_takes_nothing_holds_nobody_up(tmp_path: Path) -> None:
    folder = tmp_path / "run/systemd/journal"
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        here = os.getcwd()
        os.chdir(folder)
        journal.bind("socket")
        os.chdir(here)
        journal.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        assert on(tmp_path, full(), "apply", "--yes").status == 0


@pytest.mark.parametrize("where", ["var/log", "run"])
def test_where_nothing_can_be_written_it_is_said_and_done_all_the_same(tmp_path: Path, where: str) -> None:
    path = tmp_path / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a file, where a directory belongs: nothing can be written below it, by root neither")
    there = blank()
    ran = on(tmp_path, there, "auto", "--apply")
    assert ran.status == 0
    assert there.did
    assert "not complete" in ran.err if where == "var/log" else "status was not written" in ran.err


def test_a_log_on_a_full_disk_is_told_of_once(tmp_path: Path) -> None:
    folder = tmp_path / "var/log/pre-nixos"
    folder.mkdir(parents=True)
    (folder / "actions.log").symlink_to("/dev/full")
    ran = on(tmp_path, blank(), "apply", "--yes")
    assert ran.status == 0
    assert ran.err.count("lines are missing in it from here on") == 1


def test_a_run_that_was_killed_is_told_from_its_log(tmp_path: Path) -> None:
    there = full()
    on(tmp_path, there, "apply", "--yes")
    folder = tmp_path / "var/log/pre-nixos"
    lines = (folder / "actions.log").read_text().splitlines()
    first = msgspec.json.decode(lines[0]) | {"pid": 0}
    third = next(number for number, each in enumerate(lines) if "action-ended" in each) + 2
    text = "\n".join([msgspec.json.encode(first).decode(), *lines[1:third], lines[third][:20]])
    (folder / "actions.log").write_text(text)
    (folder / "report.json").unlink()
    shown = on(tmp_path, None, "report")
    assert "did not come to its end" in " ".join(shown.out.split())
    assert "1 of 5 actions ran to their end. It had begun: teardown toy.pool:old." in " ".join(shown.out.split())
    assert "What is lost" in shown.out
    assert on(tmp_path, None, "report", "--json").json()["done"] == ["deactivate toy.pool:old"]
    # And the next run's first line is not swallowed by the torn one.
    on(tmp_path, there, "wipe", "SERIAL-A", "--yes")
    assert on(tmp_path, None, "report", "--json").json()["format"] == "pre-nixos report"


def test_a_plan_that_nobody_agreed_to_yet_is_shown(tmp_path: Path) -> None:
    on(tmp_path, full(), "auto")
    shown = on(tmp_path, None, "report")
    assert "pre-nixos auto of " in shown.out
    assert "ended: planned" in shown.out
    assert "Toy SERIAL-A" in shown.out
    assert "(, " not in shown.out
    assert "What is lost" in shown.out


def test_where_there_was_no_run_that_is_said(tmp_path: Path) -> None:
    ran = on(tmp_path, None, "report")
    assert ran.status == 1
    assert "No run is written down" in ran.complaint
    assert on(tmp_path, None, "status").status == 5


def test_apply_writes_a_status_only_where_there_is_one_or_it_is_told_to(tmp_path: Path) -> None:
    there = blank()
    on(tmp_path, there, "apply", "--yes")
    assert on(tmp_path, None, "status").status == 5
    here = tmp_path / "here"
    on(tmp_path, there, "apply", "--yes", "--status-dir", str(here))
    assert on(tmp_path, None, "status", "--status-dir", str(here)).out.startswith("applied: ")


def test_a_torn_status_is_a_complaint(tmp_path: Path) -> None:
    (tmp_path / "run/pre-nixos").mkdir(parents=True)
    (tmp_path / "run/pre-nixos/storage-status").write_text("STATE=appl")
    ran = on(tmp_path, None, "status")
    assert ran.status == 1
    assert "no status that pre-nixos wrote" in ran.complaint


def test_a_look_that_fails_leaves_storage_undetermined(tmp_path: Path) -> None:
    there = blank()  # whose devices nobody shows: the disk cannot have been read
    ran = on(tmp_path, there, "detect-storage", "--json")
    assert (ran.status, ran.json()["found"]) == (4, "undetermined")
    assert on(tmp_path, there, "detect-storage").out.startswith("undetermined: ")


def test_library_and_plan_do_not_load_what_only_a_log_needs() -> None:
    import subprocess
    import sys

    code = (
        "import sys, pre_nixos; pre_nixos.schedule; pre_nixos.probe; pre_nixos.apply; import pre_nixos.cli.main, "
        "pre_nixos.cli.plan, pre_nixos.cli.apply, pre_nixos.cli.runlog; "
        "print({'structlog', 'pre_nixos.host.doing'} & sys.modules.keys())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert ran.stdout == "set()\n"


def test_detection_is_a_program_of_its_own() -> None:
    import subprocess
    import sys
    import tomllib
    from pathlib import Path

    scripts = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]["scripts"]
    module, function = scripts["pre-nixos-detect-storage"].split(":")
    code = f"import sys, {module}; sys.argv = ['pre-nixos-detect-storage', '--help']; {module}.{function}()"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert ran.stdout.startswith("usage: pre-nixos detect-storage")
