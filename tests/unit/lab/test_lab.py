from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from pre_nixos.lab import inside, keeper, requirements, uml
from pre_nixos.lab.description import Attachment, Lab, LabDisk, LabError
from pre_nixos.lab.guest import PRELUDE, Guest, paths_to_show
from pre_nixos.lab.image import content_hash, make_image
from pre_nixos.lab.residue import RECIPES
from pre_nixos.lab.scsi import world_wide_name
from pre_nixos.lab.wire import BootSettings, Execute

if TYPE_CHECKING:
    from pathlib import Path


MIB = 1 << 20


@pytest.mark.parametrize(
    ("serial", "name"),
    [
        ("S2X12345678", "naa.60014052123456780000000000000000"),
        ("no digits", "naa.6001405d000000000000000000000000"),
        ("", "naa.60014050000000000000000000000000"),
        ("f" * 40, "naa.6001405fffffffffffffffffffffffff"),
    ],
)
def test_the_wwn_follows_from_the_serial(serial: str, name: str) -> None:
    assert world_wide_name(serial) == name


def test_serials_made_from_names_differ() -> None:
    serials = {LabDisk(name=name, size=MIB).serial_shown for name in ("a", "b", "ab", "ba", "disk1", "disk2")}
    assert len({world_wide_name(serial) for serial in serials}) == 6


@pytest.mark.parametrize(
    ("fails", "words", "asked", "status"),
    [(1, "settle", 2, 0), (2, "settle", 2, 4), (0, "settle", 1, 0), (1, "trigger", 1, 1)],
)
def test_a_udevd_that_lets_go_of_who_asks_is_asked_a_second_time(
    tmp_path: Path, fails: int, words: str, asked: int, status: int
) -> None:
    program = tmp_path / "udevadm"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\n[ "$(wc -l < "{tmp_path}/asked")" -gt {fails} ] || exit 4\n'
    )
    program.chmod(0o755)
    script = f"{PRELUDE}udevadm {words}\necho on\n"
    path = f"{tmp_path}:{os.environ['PATH']}"
    ran = subprocess.run(["sh", "-eu"], input=script, env={"PATH": path}, text=True, capture_output=True, check=False)
    assert (ran.returncode, ran.stdout) == (status, "" if status else "on\n")
    assert (tmp_path / "asked").read_text() == f"{words}\n" * asked


def test_a_hash_sees_every_byte_and_no_holes(tmp_path: Path) -> None:
    path = str(tmp_path / "disk.img")
    make_image(path, 8 * MIB)
    empty = content_hash(path)
    for offset, data in ((0, b"x"), (3 * MIB + 5, b"x"), (8 * MIB - 1, b"x")):
        with open(path, "r+b") as file:
            file.seek(offset)
            file.write(data)
        assert content_hash(path) != empty
        with open(path, "r+b") as file:
            file.seek(offset)
            file.write(bytes(len(data)))
        assert content_hash(path) == empty
    make_image(path, 9 * MIB)
    assert content_hash(path) != empty


def test_moved_bytes_change_the_hash(tmp_path: Path) -> None:
    hashes: set[str] = set()
    for number, offset in enumerate((0, MIB, 2 * MIB)):
        path = str(tmp_path / f"{number}.img")
        make_image(path, 4 * MIB)
        with open(path, "r+b") as file:
            file.seek(offset)
            file.write(b"x")
        hashes.add(content_hash(path))
    assert len(hashes) == 3


def test_an_image_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "disk.img").write_bytes(b"mine")
    make_image(str(tmp_path / "disk.img"), MIB)
    assert (tmp_path / "disk.img").read_bytes()[:5] == b"mine\0"


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_recipes_are_scripts(recipe: object) -> None:
    script = msgspec.to_builtins(recipe)["script"]
    done = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, timeout=10, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_missing_comes_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "PATH", "/nowhere")
    lacking = requirements.missing(("linux.uml", "lvm", "udevadm", "/nowhere/udevd"))
    assert lacking == ("linux.uml", "lvm", "udevadm", "/nowhere/udevd")
    assert requirements.install_line(("udevadm", "lvm", "/lib/systemd/systemd-udevd")) == (
        "apt-get install --no-install-recommends lvm2 udev"
    )
    with pytest.raises(LabError, match=r"linux\.uml.*apt-get install .*user-mode-linux"):
        requirements.require(requirements.UML)


def nothing_missing(_programs: object = ()) -> tuple[str, ...]:
    return ()


def test_every_problem_of_a_machine_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "missing", nothing_missing)
    disks = (
        LabDisk(name="a", size=MIB, attachment=Attachment.NVME),
        LabDisk(name="b", size=MIB, attachment=Attachment.PLAIN, rotational=True),
        LabDisk(name="b", size=MIB + 1),
    )
    with pytest.raises(LabError) as caught:
        uml.UmlGuest(Lab(disks=disks), artefacts=str(tmp_path / "x"))
    assert str(caught.value).count("\n") == 4
    assert not (tmp_path / "x").exists()


def test_what_lies_where_the_guest_has_its_own_is_shown_once() -> None:
    shown = paths_to_show((sys.prefix, os.path.join(sys.prefix, "lib"), "/usr", "/tmp/"))
    assert all(path.split("/")[1] in inside.EMPTY for path in shown)
    assert not any(one != other and one.startswith(other + "/") for one in shown for other in shown)


def test_settings_and_requests_survive_the_line() -> None:
    settings = BootSettings(
        python_path=("/x",),
        line="/dev/ttyS1",
        scsi=(LabDisk(name="a", size=1),),
        images="/i",
        artefacts="/a",
        visible=(),
    )
    execute = Execute(argv=("a",), stdin="ü\0")
    assert msgspec.json.decode(msgspec.json.encode(settings), type=BootSettings) == settings
    assert msgspec.json.decode(msgspec.json.encode(execute), type=Execute) == execute


def keeping(program: list[str], *directories: str) -> list[str]:
    return [sys.executable, "-I", "-S", keeper.__file__, *directories, "--", *program]


def test_the_kept_write_only_where_they_may(tmp_path: Path) -> None:
    allowed, denied = tmp_path / "allowed", tmp_path / "denied"
    allowed.mkdir()
    denied.mkdir()
    (denied / "file").write_text("mine")
    script = (
        f"echo x > {allowed}/new; echo x > {denied}/new; echo x >> {denied}/file; rm {denied}/file; echo > /dev/null"
    )
    with subprocess.Popen(
        keeping(["sh", "-c", script], str(allowed)),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        complaints = process.stderr.read().decode()
    assert (allowed / "new").exists()
    assert keeper.available(), "this kernel has no Landlock"
    assert os.listdir(denied) == ["file"]
    assert (denied / "file").read_text() == "mine"
    assert complaints.count("denied") >= 3


def test_the_kept_end_with_who_started_them(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"sleep 600 & echo $! > {shlex.quote(str(note))}; wait"
    with subprocess.Popen(keeping(["sh", "-c", script], str(tmp_path)), stdin=subprocess.PIPE, start_new_session=True):
        deadline = time.monotonic() + 20
        while not (note.exists() and note.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    # Leaving closed standard input, which is all that ties them.
    grandchild = note.read_text().strip()
    while os.path.exists(f"/proc/{grandchild}/stat"):
        with open(f"/proc/{grandchild}/stat") as file:
            if file.read().split()[2] == "Z":
                break
        assert time.monotonic() < deadline
        time.sleep(0.02)


class NeverUp(Guest):
    """A machine that says something on its console and hangs up."""

    def _launch(self) -> tuple[None, socket.socket]:
        with open(self.console_path, "w") as console:
            console.write("".join(f"line {number}\n" for number in range(100)))
        near, far = socket.socketpair()
        far.close()
        return None, near


def test_a_guest_that_does_not_come_up_is_quoted(tmp_path: Path) -> None:
    guest = NeverUp(Lab(disks=(LabDisk(name="a", size=MIB),)), artefacts=str(tmp_path / "guest"))
    with pytest.raises(LabError, match="did not come up: guest guest: it closed the channel") as caught:
        guest.boot()
    assert "line 99" in str(caught.value)
    assert "line 60\n" not in str(caught.value)
    with pytest.raises(LabError, match="has no disk 'z'; it has a"):
        guest.node("z")
    with pytest.raises(LabError, match="switched off"):
        guest.run(["true"])
    guest.close()
    assert (tmp_path / "guest" / "console.log").exists()
    assert not os.path.exists(guest.images)
