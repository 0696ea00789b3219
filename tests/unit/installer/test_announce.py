"""Announcing: said where somebody reads, and nobody waits for a console that takes nothing."""

from __future__ import annotations

import os
import pty
import threading
import time
import tty
from typing import TYPE_CHECKING

import pytest

from pre_nixos.installer.announce import Address, addresses, announce, consoles, text, wait_for_addresses
from tests.unit.installer.bench import called, only_stand_ins, program

if TYPE_CHECKING:
    from pathlib import Path

SEEN = """[{"ifname":"lo","addr_info":[{"family":"inet","local":"127.0.0.1","scope":"host"}]},
{"ifname":"eth1","addr_info":[{"family":"inet","local":"10.0.0.9"}]},
{},{"ifname":"lan","addr_info":[{"family":"inet6","local":"2001:db8::7"},{"family":"inet","local":"192.0.2.7"},
{"family":"inet6","local":"2001:db8::dead","temporary":true},{}]}]"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    only_stand_ins(tmp_path, monkeypatch)
    return tmp_path


def test_the_port_called_lan_and_its_ipv4_address_come_first(root: Path) -> None:
    program(root, "ip", f"echo '{SEEN.splitlines()[1].join(['[', ''])}{SEEN.splitlines()[2]}{SEEN.splitlines()[3]}'")
    found = [(each.port, each.address) for each in addresses()]
    assert found == [("lan", "192.0.2.7"), ("lan", "2001:db8::7"), ("eth1", "10.0.0.9")]
    assert called(root) == ["ip -json address show scope global up"]


@pytest.mark.parametrize("said", ["exit 1", "echo garbage", "echo '{}'", 'echo \'[{"ifname":"x","addr_info":3}]\''])
def test_whatever_ip_says_it_is_no_failure(root: Path, said: str) -> None:
    program(root, "ip", said)
    assert list(addresses()) == []
    assert list(wait_for_addresses(0)) == []


def test_what_is_said_is_where_by_which_key_and_how_it_stands(root: Path) -> None:
    said = text([Address(port="lan", address="192.0.2.7")], str(root), status="planned: x")
    assert "\npre-nixos: ssh root@192.0.2.7   (lan)\n" in said
    assert "no host key yet" in said
    assert "pre-nixos: disks: planned: x\n" in said
    assert "no address yet" in text([], str(root))


def test_the_kernels_consoles_are_those_it_names(root: Path) -> None:
    assert consoles(str(root)) == [f"{root}/dev/console"]
    (root / "sys/class/tty/console").mkdir(parents=True)
    (root / "sys/class/tty/console/active").write_text("tty0 ttyS0\n")
    assert consoles(str(root)) == [f"{root}/dev/tty0", f"{root}/dev/ttyS0"]


def test_a_console_that_is_read_gets_all_of_it() -> None:
    ours, its = pty.openpty()
    tty.setraw(its)
    message = "x" * 100_000 + "end"
    got = bytearray()

    def drain() -> None:
        while not got.endswith(b"end"):
            got.extend(os.read(ours, 4096))

    reader = threading.Thread(target=drain)
    reader.start()
    assert announce(message, [os.ttyname(its)], deadline=20) == {}
    reader.join()
    assert got.decode() == message
    os.close(ours)
    os.close(its)


def test_nobody_waits_for_a_console_that_does_not_drain(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[int] = []
    fork = os.fork

    def forked() -> int:
        children.append(fork())
        return children[-1]

    monkeypatch.setattr(os, "fork", forked)
    ours, its = pty.openpty()
    tty.setraw(its)
    stuck, gone, file = os.ttyname(its), f"{root}/dev/none", root / "fine"
    file.write_text("")
    began = time.monotonic()
    problems = announce("x" * 1_000_000, [stuck, gone, str(file)], deadline=0.5)
    assert time.monotonic() - began < 5
    assert set(problems) == {stuck, gone}
    assert len(file.read_text()) == 1_000_000
    assert not os.path.exists(gone)
    assert len(children) == 3
    for each in children:
        with pytest.raises(ChildProcessError):
            os.waitpid(each, os.WNOHANG)  # nobody is left behind who could be ended
    os.close(ours)
    os.close(its)


def test_a_console_that_nobody_even_opens_is_no_reason_to_wait(root: Path) -> None:
    fifo = str(root / "fifo")
    os.mkfifo(fifo)
    began = time.monotonic()
    assert set(announce("x", [fifo], deadline=10)) == {fifo}
    assert time.monotonic() - began < 5


def test_who_waits_for_our_output_does_not_wait_for_a_console() -> None:
    """The child has nothing of ours open: with a stuck console, whoever reads our pipe still sees its end."""
    ours, its = pty.openpty()
    tty.setraw(its)
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)  # noqa: FBT003 - its own signature
    thread = threading.Thread(target=announce, args=("x" * 1_000_000, [os.ttyname(its)]), kwargs={"deadline": 3.0})
    thread.start()
    time.sleep(0.5)
    os.close(writing)
    began = time.monotonic()
    assert os.read(reading, 1) == b""
    assert time.monotonic() - began < 2
    thread.join()
    for each in (ours, its, reading):
        os.close(each)
