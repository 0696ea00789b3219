"""What host and guest tell each other: the boot settings, and the lab's own requests to the agent."""

from __future__ import annotations

from enum import StrEnum

from pre_nixos.lab.description import LabDisk
from pre_nixos.model.data import Data

DISKS = "/run/pre-nixos-lab/disks"
"""Where the guest sees the disk images, writable."""


class Share(StrEnum):
    """How a guest sees directories of the host."""

    HOSTFS = "hostfs"
    NINE_P = "9p"


class BootSettings(Data):
    """Everything the guest's first process needs to know, in a file it reads from the host's tree."""

    python_path: tuple[str, ...]
    line: str
    """The serial port the agent listens on."""
    scsi: tuple[LabDisk, ...]
    """Disks the guest makes for itself, of files in `images`."""
    images: str
    """Directory of the disk images on the host."""
    artefacts: str
    """The one other directory of the host that is writable in the guest, at the same path."""
    visible: tuple[str, ...]
    """Paths of the host below directories that are empty in the guest, to be shown all the same."""
    places: dict[str, str] = {}
    """Patterns of the paths below /sys/devices where the hardware's disks turn up, by their names in the lab."""
    rotational: dict[str, bool] = {}
    """What is to be told the kernel because the hardware cannot, by the same names."""
    wwns: dict[str, str] = {}
    """Identities of NVMe namespaces that were asked for, by the same names."""
    modules: tuple[str, ...] = ()
    firmware: str = "bios"
    hostname: str = "lab"
    systemd: bool = False
    files: dict[str, str] = {}


class Execute(Data):
    """Run a program as root in the guest: `exec`, answered with `Ran`."""

    argv: tuple[str, ...]
    stdin: str = ""
    environment: dict[str, str] = {}
    directory: str = "/"
    timeout: float = 60.0
    log: str = ""
    """Set: do not wait; send output to this file and answer at once with the process id as the status."""


class Nothing(Data):
    """An argument for requests that take none."""


class BootReport(Data):
    """How the boot went: `report`."""

    seconds: dict[str, float]
    """Duration of each stage inside the guest, in order; `kernel` is the time before the first process."""
    nodes: dict[str, str]
    """Kernel names of the disks by their names in the lab; User Mode Linux knows those of plain disks beforehand."""
