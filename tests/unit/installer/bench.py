"""A system that exists only below a directory: its network devices, its keys, and programs that stand in for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.host import processes

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA"
UP = 0x1003
DOWN = 0x1002


def program(root: Path, name: str, script: str) -> None:
    """Let something stand in for a program; it writes down what it was called with."""
    folder = root / "bin"
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "{name} $*" >> {root}/called\n{script}\n')
    path.chmod(0o755)


def only_stand_ins(root: Path, patch: pytest.MonkeyPatch) -> None:
    """Have no other program found than those that stand in for one, and what their scripts need."""
    patch.setattr(processes, "SEARCH_PATH", f"{root}/bin")


def called(root: Path) -> list[str]:
    path = root / "called"
    return path.read_text().splitlines() if path.exists() else []


def port(  # noqa: PLR0913 - what there is to say of one
    root: Path,
    name: str,
    *,
    mac: str,
    carrier: bool | None = True,
    speed: int = -1,
    up: bool = True,
    pci: str = "0000:00:03.0",
    hardware: bool = True,
    permanent: bool = True,
    path: str = "",
    marks: tuple[str, ...] = (),
    type_: int = 1,
    kind: str = "",
) -> Path:
    """Put in a network device."""
    folder = root / "sys/class/net" / name
    folder.mkdir(parents=True)
    index = len(list(folder.parent.iterdir()))
    files = {
        "address": mac,
        "type": str(type_),
        "flags": f"{UP if up else DOWN:#x}",
        "addr_assign_type": "0" if permanent else "3",
        "speed": str(speed),
        "ifindex": str(index),
        "dev_port": "0",
        "uevent": f"DEVTYPE={kind}\nINTERFACE={name}" if kind else f"INTERFACE={name}",
    }
    if carrier is not None:
        files["carrier"] = str(int(carrier))
    for each, content in files.items():
        (folder / each).write_text(f"{content}\n")
    for each in marks:
        (folder / each).mkdir()
    if hardware:
        device = root / "sys/devices/pci0000:00" / pci
        device.mkdir(parents=True, exist_ok=True)
        (folder / "device").symlink_to(device)
    if path:
        data = root / "run/udev/data"
        data.mkdir(parents=True, exist_ok=True)
        (data / f"n{index}").write_text(f"I:1\nE:ID_PATH={path}\nE:ID_BUS=pci\n")
    return folder


def flags(folder: Path) -> int:
    return int((folder / "flags").read_text(), 16)
