"""A guest that starts with systemd and with the units of the NixOS module, as the installer image does."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pre_nixos.lab.description import Lab
from tests.unit.nix.units import evaluated, unit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.host.questions import Ran
    from pre_nixos.lab.description import LabDisk
    from pre_nixos.lab.guest import Guest

ROOT = Path(__file__).parents[2]
UNITS = "/etc/systemd/system"
PROGRAM = "/usr/local/bin/pre-nixos"
PLACE = "/opt/program"
SSHD = ROOT / ".cache/unpacked"
STORAGE = "pre-nixos-storage.service"
STATUS = "/run/pre-nixos/storage-status"


def starting(
    settings: Any, place: Path, *disks: LabDisk, units: Mapping[str, str] = {}, more: Mapping[str, str] = {}, **how: Any
) -> Lab:
    """Describe a machine that NixOS would have configured so; `units` are more of them, and drop-ins.

    Of those the ones that are to be installed are started at boot.
    """
    made = evaluated(settings, place)
    assert made["problems"] == made["warnings"] == []
    services = {f"{name}.service": unit(each, PROGRAM) for name, each in made["systemd"]["services"].items()}
    started = [*services, *(name for name in units if "[Install]" in units[name]), "program.service"]
    files = {
        **more,
        PROGRAM: _wrapper(),
        f"{UNITS}/program.service": _provided(before=services),
        f"{UNITS}/multi-user.target.d/lab.conf": f"[Unit]\nWants={' '.join(started)}\n",
        "/etc/tmpfiles.d/pre-nixos.conf": "\n".join(made["systemd"]["tmpfiles"]["rules"]) + "\n",
        **{f"{UNITS}/{name}": text for name, text in {**services, **units}.items()},
    }
    return Lab(disks=disks, systemd=True, files=files, memory=768 << 20, **how)


def _where() -> dict[str, str]:
    """The directories the program is in, and where a service that has no /root and no /tmp still finds them."""
    real = os.path.realpath
    directories = dict.fromkeys(real(each) for each in [sys.base_prefix, *sys.path] if os.path.isdir(each))
    inner = [each for each in directories if any(each.startswith(f"{outer}/") for outer in directories)]
    return {each: f"{PLACE}/{number}" for number, each in enumerate(each for each in directories if each not in inner)}


def _inside(path: str) -> str:
    path = os.path.realpath(path)
    for directory, there in _where().items():
        if path == directory or path.startswith(f"{directory}/"):
            return there + path.removeprefix(directory)
    return path


def _provided(before: Mapping[str, str]) -> str:
    binds = "; ".join(
        f"mkdir -p {there} && mount --bind {shlex.quote(each)} {there}" for each, there in _where().items()
    )
    return (
        f"[Unit]\nDefaultDependencies=no\nBefore={' '.join(before)}\n"
        f'[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -euc "{binds}"\n'
    )


def _wrapper() -> str:
    path = os.pathsep.join(_inside(each) for each in sys.path if os.path.isdir(each))
    home = _inside(sys.base_prefix)
    named = {"PYTHONHOME": home, "PYTHONPATH": path, "LD_LIBRARY_PATH": f"{home}/lib"}
    words = [f"{name}={value}" for name, value in named.items()]
    return f'#!/bin/sh\nexec env {shlex.join([*words, _inside(sys.executable)])} -m pre_nixos.cli "$@"\n'


def program(guest: Guest, *words: str, check: bool = True) -> Ran:
    return guest.run(
        ["pre-nixos", *words], timeout=180, check=check, environment={"PATH": "/usr/local/bin:/usr/bin:/bin"}
    )


def until_active(guest: Guest, *units: str) -> None:
    """Wait until these have done their work, or failed."""
    script = f"timeout 150 systemctl start {shlex.join(units)}"
    ran = guest.run(["sh", "-c", script], check=False, timeout=160)
    if ran.status != 0:
        journal = guest.run(["journalctl", "--no-pager", *(word for each in units for word in ("-u", each))]).stdout
        pytest.fail(f"{ran.stderr}\n{journal}")


def status(guest: Guest) -> dict[str, str]:
    lines = guest.run(["cat", STATUS]).stdout.splitlines()
    return {name: " ".join(shlex.split(value)) for name, _, value in (line.partition("=") for line in lines)}


def key_pair(directory: Path) -> tuple[str, str]:
    """Make a key; give its private and its public half."""
    file = directory / "id"
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@desk", "-f", str(file)]
    subprocess.run(words, check=True)
    return file.read_text(), file.with_suffix(".pub").read_text().strip()
