"""What the lab needs on the host, and the one line that installs it."""

from __future__ import annotations

import glob
import os
import shutil
from typing import TYPE_CHECKING

from pre_nixos.lab.description import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PATH = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"))
"""System tools are not on every user's path."""

STOCK_KERNEL = "/boot/vmlinuz-*"
_COMMON: Mapping[str, str] = {
    "/lib/systemd/systemd-udevd": "udev",
    "udevadm": "udev",
    "modprobe": "kmod",
    "mdadm": "mdadm",
    "lvm": "lvm2",
    "dmsetup": "dmsetup",
    "sfdisk": "fdisk",
    "blkid": "util-linux",
    "cryptsetup": "cryptsetup-bin",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "mkfs.btrfs": "btrfs-progs",
    "mkfs.vfat": "dosfstools",
}
UML: Mapping[str, str] = {"linux.uml": "user-mode-linux", **_COMMON}
"""What guests on User Mode Linux need: programs, by name or path, and the Debian package of each."""
QEMU: Mapping[str, str] = {
    "qemu-system-x86_64": "qemu-system-x86",
    STOCK_KERNEL: "linux-image-amd64",
    "busybox": "busybox-static",
    "nvme": "nvme-cli",
    **_COMMON,
}
"""The same for guests on QEMU."""
PACKAGES: Mapping[str, str] = {**UML, **QEMU}


def missing(programs: Iterable[str] = UML) -> tuple[str, ...]:
    """Tell which of these programs the host does not have."""
    return tuple(
        program
        for program in programs
        if not (glob.glob(program) if program.startswith("/") else shutil.which(program, path=PATH))
    )


def install_line(programs: Iterable[str]) -> str:
    """Give the command that installs these programs on Debian."""
    packages = sorted({PACKAGES[program] for program in programs})
    return "apt-get install --no-install-recommends " + " ".join(packages)


def require(programs: Iterable[str]) -> None:
    """Raise an error that says what to install, unless everything is there."""
    lacking = missing(programs)
    if lacking:
        raise LabError(f"the lab needs {', '.join(lacking)} on this host; run: {install_line(lacking)}")
