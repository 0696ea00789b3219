"""record, doctor and rehearse: what is written down, what is in the way, and how a rehearsal ends."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pre_nixos.cli.screen import Screen
from pre_nixos.flow.apply import LOCK
from pre_nixos.flow.journal import JOURNAL, Began, Consented, line
from pre_nixos.flow.probe import probe
from pre_nixos.flow.schedule import schedule
from pre_nixos.hooks.registry import PluginError
from pre_nixos.host.questions import BlockNode, BlockNodes, Bytes, Command, Ran, ReadAt, ReadBlockNodes
from pre_nixos.host.record import Recording
from pre_nixos.host.replay import Replay
from pre_nixos.lab.description import LabError
from pre_nixos.lab.rehearsal import Rehearsal
from pre_nixos.model.action import Verb
from pre_nixos.model.identity import Found
from tests.unit.cli.desk import REGISTRY, Paper, command
from tests.unit.flow.test_schedule import old_stack, wanted_pool
from tests.unit.flow.world import World, as_host
from tests.unit.toys import disk, machine

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.plugin import Reader


OPTICAL = BlockNode(name="sr0", number="11:0", attributes={"diskseq": "1"}, udev={"ID_SERIAL_SHORT": "WD-WX11D86E7A1B"})


class Patient(World):
    """A world whose udevd answers, and that has a block device."""

    udev = Ran(status=0)

    def ask(self, question: Any) -> Any:
        if isinstance(question, Command):
            return self.udev
        if isinstance(question, ReadBlockNodes):
            return BlockNodes(nodes=(OPTICAL,))
        if isinstance(question, ReadAt):
            return Bytes(data=b"mine")
        return super().ask(question)


def patient() -> Patient:
    there = machine(Found(disk("a")), *old_stack())
    return Patient(there, wanted_pool(there, *there.disks))


def verdicts(there: World) -> dict[str, str]:
    found: dict[str, Any] = msgspec.json.decode(command("doctor", "--json", world=there).out)
    return {each["about"]: each["verdict"] for each in found["findings"]}


def test_a_machine_that_is_well() -> None:
    ran = command("doctor", world=patient())
    assert ran.status == 0
    assert set(verdicts(patient()).values()) == {"ok"}
    assert "ok       disks        1 of 1 disks may be taken without being named." in ran.out


def test_udevd_is_not_there() -> None:
    there = patient()
    there.udev = Ran(status=-1, error="missing")
    ran = command("doctor", world=there)
    assert ran.status == 1
    assert "udevd does not answer (missing)" in ran.out
    assert "systemctl start systemd-udevd" in " ".join(ran.out.split())


def test_a_doctor_who_is_not_root_says_so() -> None:
    there = patient()
    there.root = False
    assert verdicts(there)["root"] == "problem"


def test_a_tool_that_is_missing_is_named_with_who_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.unit.flow.world.TOOLS", {})
    assert "toy is missing, which toys needs." in command("doctor", world=patient()).out


def test_locks_and_journals_are_explained() -> None:
    there = patient()
    there.files[LOCK] = "4194305 apply\n"
    there.files[JOURNAL] = "".join(
        f"{line(each)}\n"
        for each in (
            Consented(digest="0123456789abcdef", purpose="", takes=()),
            Began(verb=Verb.FORMAT, target="toy.pool:new"),
        )
    )
    out = " ".join(command("doctor", world=there).out.split())
    assert "Process 4194305 (apply) had the lock and was killed" in out
    assert "A run of the plan 0123456789abcdef did not come to its end and left toy.pool:new unfinished" in out
    there.files["/proc/4194305/stat"] = "4194305 (pre-nixos)"
    assert "Process 4194305 has the lock: apply." in command("doctor", world=there).out


def test_a_recording_may_be_shown_to_others(tmp_path: Path) -> None:
    path = tmp_path / "recording.json"
    ran = command("record", str(path), "--pseudonyms", "--json", world=patient())
    assert ran.status == 0
    assert ran.json()["pseudonyms"] is True
    assert os.stat(path).st_mode & 0o077 == 0
    assert "WX11D86E7A1B" not in path.read_text()


def test_bytes_that_a_plugin_fails_over_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(host: Reader, **_: object) -> None:
        host.ask(ReadAt(number="8:0", offset=0, length=4))

    def broken(*_: object) -> None:
        raise PluginError("plugin toys failed in disguise")

    monkeypatch.setattr("pre_nixos.flow.probe.probe", read)
    monkeypatch.setattr("pre_nixos.hooks.calls.Calls.disguise", broken)
    path = tmp_path / "recording.json"
    ran = command("record", str(path), "--pseudonyms", world=patient())
    assert ran.status == 0
    assert "plugin toys failed in disguise" in ran.complaint
    assert Replay(Recording.from_json(path.read_text())).ask(ReadAt(number="8:0", offset=0, length=4)).data == bytes(4)


def test_a_recording_is_written_although_a_plugin_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise PluginError("plugin toys failed in probe")

    monkeypatch.setattr("pre_nixos.flow.probe.probe", broken)
    path = tmp_path / "recording.json"
    ran = command("record", str(path), world=patient())
    assert ran.status == 1
    assert "plugin toys failed in probe" in ran.complaint
    assert path.exists()


def test_a_recording_on_standard_output() -> None:
    assert '"pre-nixos recording"' in command("record", "-", world=patient()).out


def rehearsed(monkeypatch: pytest.MonkeyPatch, *, well: bool) -> None:
    def rehearse(there: Any, *_: object, shown: Any, **__: object) -> Rehearsal:
        wanted = wanted_pool(there, *there.disks)
        plan = schedule(there, wanted, registry=REGISTRY)
        shown(there, plan)
        again = msgspec.structs.replace(plan, actions=()) if well else plan
        return Rehearsal(
            before=there,
            left_out=("loop device of /x (loop)",),
            plan=plan,
            after=there,
            shortcomings=(),
            again=again,
            seconds=54.2,
            processes=9,
        )

    monkeypatch.setattr("pre_nixos.lab.rehearsal.rehearse", rehearse)


@pytest.mark.parametrize("well", [True, False])
def test_a_rehearsal_is_told(well: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a column
    rehearsed(monkeypatch, well=well)
    ran = command("rehearse", world=patient())
    assert ran.status == (0 if well else 1)
    assert ("The rehearsal went well" in ran.out) is well
    assert "loop device of /x" in ran.out
    assert "What is lost" in ran.err
    as_json = command("rehearse", "--json", world=patient())
    assert as_json.json()["format"] == "pre-nixos rehearsal"


def test_a_lab_that_lacks_something_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def rehearse(*_: object, **__: object) -> None:
        raise LabError("the lab needs linux.uml on this host; run: apt-get install user-mode-linux")

    monkeypatch.setattr("pre_nixos.lab.rehearsal.rehearse", rehearse)
    ran = command("rehearse", world=patient())
    assert ran.status == 1
    assert "run: apt-get install user-mode-linux" in ran.complaint
    assert "The machine itself was not touched." in ran.complaint


@pytest.mark.parametrize(
    ("terminal", "environ", "live", "coloured", "width"),
    [
        (False, {}, False, False, 80),
        (False, {"COLUMNS": "100"}, False, False, 100),
        (True, {"TERM": "xterm"}, True, True, 80),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, True, False, 80),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, True, True, 80),
        (True, {"TERM": "dumb", "COLUMNS": "1000"}, False, False, 140),
        (True, {"COLUMNS": "3"}, False, False, 50),
    ],
)
def test_what_a_screen_can_show(
    *, terminal: bool, environ: dict[str, str], live: bool, coloured: bool, width: int
) -> None:
    screen = Screen(Paper(terminal=terminal), environ)  # pyright: ignore[reportArgumentType] - near enough
    assert (screen.is_live, screen.is_coloured, screen.width) == (live, coloured, width)


def test_what_was_probed_is_what_a_patient_is() -> None:
    assert len(probe(as_host(patient()), registry=REGISTRY).disks) == 1
