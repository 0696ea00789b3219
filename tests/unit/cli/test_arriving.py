"""lan, ssh and announce as commands: what they say, how they end, and that they keep to the root they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pre_nixos.installer.status import State, Status, write_status
from tests.unit.cli.desk import command
from tests.unit.installer.bench import KEY, only_stand_ins, port, program

if TYPE_CHECKING:
    from pathlib import Path

MAC = "52:54:00:00:00:0a"
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    only_stand_ins(tmp_path, monkeypatch)
    for each in ("udevadm", "systemctl", "sshd"):
        program(tmp_path, each, "exit 0")
    (tmp_path / "root").mkdir(mode=0o700)
    return tmp_path


def test_lan_says_which_port_it_is(root: Path) -> None:
    port(root, "lan", mac=MAC, speed=1000)
    ran = command("lan", "--wait", "0", root=str(root))
    assert ran.status == 0
    assert f"lan ({MAC}, carrier, 1000 Mbit/s) is the one. It is called lan." in ran.out
    again = command("lan", "--wait", "0", "--json", root=str(root)).json()
    assert (again["format"], again.get("changed")) == ("pre-nixos lan", False)


def test_what_was_said_when_the_system_was_started_goes_before_the_command(root: Path) -> None:
    port(root, "lan", mac=MAC)
    (root / "proc").mkdir()
    (root / "proc/cmdline").write_text("pre.lan.mac=52:54:00:00:00:0b")
    ran = command("lan", "--wait", "0", "--mac", MAC, root=str(root))
    assert ran.status == 1
    assert "No network port has the address 52:54:00:00:00:0b" in ran.complaint


def test_no_carrier_is_a_complaint_and_not_a_traceback(root: Path) -> None:
    port(root, "eth0", mac=MAC, carrier=False)
    ran = command("lan", "--wait", "0", root=str(root))
    assert (ran.status, ran.out) == (1, "")
    assert "No network port has a carrier" in ran.complaint


def test_ssh_takes_files_and_words(root: Path) -> None:
    path = root / "keys"
    path.write_text(f"{KEY} a\n")
    assert command("ssh", str(path), root=str(root)).out == "Root is let in by 1 more key.\n"
    assert "0 more keys, and 1 had been let in before" in command("ssh", "--key", KEY, root=str(root)).out


@pytest.mark.parametrize("private", [True, False])
def test_what_is_no_public_key_is_refused_and_never_repeated(root: Path, *, private: bool) -> None:
    path = root / "id"
    path.write_bytes(PRIVATE.encode() if private else b"\xff\xfe")
    ran = command("ssh", str(path), root=str(root))
    assert ran.status == 1
    assert "Nothing was changed" in ran.complaint
    assert "c2VjcmV0" not in ran.err
    assert not (root / "root/.ssh").exists()


def test_no_key_at_all_is_a_mistake(root: Path) -> None:
    assert command("ssh", root=str(root)).status == 2
    assert command("ssh", str(root / "missing"), root=str(root)).status == 1


def test_announce_says_it_on_the_consoles_and_is_never_a_failure(root: Path) -> None:
    console = root / "console"
    console.write_text("")
    program(root, "ip", """echo '[{"ifname":"lan","addr_info":[{"local":"192.0.2.7"}]}]'""")
    write_status(Status(state=State.PLANNED, detail="to be agreed to"), root=str(root))
    words = ("announce", "--wait", "0", "--console", str(console), "--console", "/nonexistent/tty")
    ran = command(*words, root=str(root))
    assert ran.status == 0
    assert "pre-nixos: ssh root@192.0.2.7   (lan)\n" in ran.out
    assert "disks: planned: to be agreed to" in console.read_text()
    assert "/nonexistent/tty: No such file or directory." in ran.err


@pytest.mark.parametrize("name", ["lan", "ssh", "announce", "status", "report"])
def test_what_is_about_this_system_is_done_by_its_own_command_alone(name: str) -> None:
    ran = command(name, *(["--key", KEY] if name == "ssh" else []))
    assert ran.status == 1
    assert "only its own command" in ran.complaint
