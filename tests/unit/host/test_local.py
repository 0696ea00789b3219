"""This host, asked what can be asked of any without being root."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, get_args

import pytest

from pre_nixos.host import local
from pre_nixos.host.local import LocalHost
from pre_nixos.host.questions import (
    AnyQuestion,
    Command,
    ListDirectory,
    Locate,
    LookAround,
    OpenExclusive,
    Question,
    ReadAt,
    ReadBlockNodes,
    ReadFile,
    ReadMounts,
    SafeProbe,
    Verdict,
    WhoUses,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_every_kind_of_question_has_an_answer() -> None:
    assert set(local.ANSWERS) == set(get_args(AnyQuestion))


def test_files_and_directories(tmp_path: Path) -> None:
    host = LocalHost()
    (tmp_path / "b").write_bytes(b"caf\xc3\xa9 \xff\n")
    os.mkfifo(tmp_path / "a")
    assert host.ask(ReadFile(path=str(tmp_path / "b"))).content == "café \\xff\n"
    assert host.ask(ReadFile(path=str(tmp_path / "a"))).content == ""
    assert host.ask(ReadFile(path="/nonesuch")).error == "No such file or directory"
    assert host.ask(ReadFile(path="/dev/zero")).error == f"longer than {local.LARGEST} bytes"
    assert host.ask(ListDirectory(path=str(tmp_path))).names == ("a", "b")
    assert host.ask(ListDirectory(path="/nonesuch")).error == "No such file or directory"


def test_a_file_that_the_kernel_would_want_as_much_memory_for_as_is_asked_for() -> None:
    assert LocalHost().ask(ReadFile(path="/proc/sys/kernel/osrelease")).content == f"{os.uname().release}\n"


def test_a_command(tmp_path: Path) -> None:
    assert LocalHost().ask(Command(argv=("ls", str(tmp_path)))).status == 0


def test_the_surroundings() -> None:
    around = LocalHost().ask(LookAround(tools=("sh", "no-such-tool")))
    assert around.memory > 1 << 20
    assert around.architecture == os.uname().machine
    assert around.tools.keys() == {"sh"}


def test_the_trees_can_be_read() -> None:
    host = LocalHost()
    host.ask(ReadMounts())
    for node in host.ask(ReadBlockNodes()).nodes:
        assert host.ask(Locate(start=node.number)).name == node.name


def test_a_device_that_is_not_there() -> None:
    host = LocalHost()
    number = "4000:99999"
    assert host.ask(SafeProbe(numbers=(number,))).devices[0].verdict is Verdict.GONE
    assert host.ask(ReadAt(number=number, offset=0, length=1)).error == f"there is no block device {number}"
    assert not host.ask(OpenExclusive(number=number)).free
    assert host.ask(WhoUses(number=number)).users == ()


def test_what_is_no_question_is_refused() -> None:
    class Weather(Question[str], tag="weather"):
        """Not among the closed set."""

    with pytest.raises(TypeError, match="Weather is not a question a host answers"):
        LocalHost().ask(Weather())


def test_the_contract_and_the_host_are_light_to_import() -> None:
    code = (
        "import sys, pre_nixos.host.api, pre_nixos.host.questions, pre_nixos.host.local; "
        "print(*sorted({'subprocess', 'ctypes', 'asyncio', 'dataclasses', 'json', 'selectors'} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
