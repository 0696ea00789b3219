"""The demonstration: a virtual server with the remains of an earlier installation, and what one would type on it.

    python -m pre_nixos.lab.demo

The server has two SSDs and two HDDs. On the HDDs an array was assembled as md127, with a volume group `swap` on it that
is in use; on an SSD a filesystem is mounted. What is typed is the real command, and what answers is a real kernel.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from pre_nixos.cli.main import main
from pre_nixos.cli.session import Session
from pre_nixos.hooks.registry import installed
from pre_nixos.lab import residue
from pre_nixos.lab.description import Lab, LabDisk, LabError
from pre_nixos.lab.rehearsal import KEEP_SPARSE
from pre_nixos.lab.residue import Recipe
from pre_nixos.lab.uml import boot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.lab.guest import Guest

GIB = 1 << 30

SERVER = Lab(
    disks=(
        LabDisk(name="ssd0", size=4 * GIB, serial="SSD0001", model="QUICK 4000"),
        LabDisk(name="ssd1", size=4 * GIB, serial="SSD0002", model="QUICK 4000"),
        LabDisk(name="hdd0", size=6 * GIB, serial="HDD0001", model="ROOMY 6000", rotational=True),
        LabDisk(name="hdd1", size=6 * GIB, serial="HDD0002", model="ROOMY 6000", rotational=True),
        LabDisk(name="pictures", size=GIB, serial="KEEPME", model="FAMILY ALBUM", rotational=True),
    ),
    firmware="uefi",
)

MOUNTED = Recipe(
    name="mounted",
    story="The earlier system's data, on a logical volume, still mounted.",
    disks=1,
    script="""
printf 'label: gpt\\n1: start=2048, type=E6D6D379-F507-44C2-A23C-238F2A3DF928\\n' | sfdisk -q "$1"
udevadm settle
vgcreate -qq old "${1}1"
lvcreate -qq --yes --name srv --extents 50%FREE old
mkfs.ext4 -q -L srv /dev/old/srv
mkdir -p /srv/old
mount /dev/old/srv /srv/old
seq 1 100000 > /srv/old/numbers
sync
""",
)

SIZES = ("--slash", "1GiB", "--home-cap", "512MiB", "--data", "2GiB", "--swap-cap", "512MiB")
"""The server's disks are small, so what it gets is too."""


def make_server(guest: Guest) -> None:
    """Leave on the disks what an earlier installation would have left."""
    guest.script(KEEP_SPARSE)
    guest.dirty(residue.OLD_SWAP_ARRAY, "hdd0", "hdd1")
    guest.dirty(MOUNTED, "ssd0")
    guest.dirty(residue.BYSTANDER, "pictures")


def tell(text: str) -> None:
    """Write a line at once: a demonstration is there to be watched."""
    print(text, flush=True)  # noqa: T201 - as said


def type_command(guest: Guest, *words: str) -> int:
    """Run `pre-nixos` with these words, on the guest."""
    prompt = f"# pre-nixos {' '.join(words)}"
    tell(f"\n\033[1m{prompt}\033[0m" if sys.stdout.isatty() else f"\n{prompt}")
    session = Session(
        stdout=sys.stdout,
        stderr=sys.stdout,
        stdin=sys.stdin,
        environ=os.environ,
        registry=installed(),
        host=guest.host,
    )
    return main(words, session)


def demonstrate(guest: Guest) -> int:
    """Type the commands; 0 if each ended as it should."""
    failures: list[str] = []

    def expect(status: int, *words: str) -> None:
        found = type_command(guest, *words)
        if found != status:
            failures.append(f"pre-nixos {' '.join(words)} ended with {found}, not {status}")

    policy = ("--careful", *SIZES)
    bystander = guest.hash_disk("pictures")
    expect(0, "show")
    expect(0, "plan", *policy)
    expect(0, "apply", "--yes", *policy)
    expect(0, "show")
    expect(0, "verify", *policy)
    expect(0, "plan", "--check", *policy)
    if guest.hash_disk("pictures") != bystander:
        failures.append("the disk that was none of our business has changed")
    return _conclude(failures)


def _conclude(failures: Sequence[str]) -> int:
    for each in failures:
        tell(f"NOT AS IT SHOULD BE: {each}")
    if not failures:
        tell("\nAll as it should be: a second run would do nothing, and the disk with the pictures is untouched.")
    return 1 if failures else 0


def run() -> int:
    """Boot the server, and demonstrate."""
    began = time.monotonic()
    try:
        with boot(SERVER, artefacts=os.path.abspath("artefacts/demo")) as guest:
            make_server(guest)
            status = demonstrate(guest)
    except LabError as error:
        tell(str(error))
        return 1
    seconds = time.monotonic() - began
    tell(f"({seconds:.0f} s, on a virtual server that is gone now; nothing of this machine was touched)")
    return status


if __name__ == "__main__":
    sys.exit(run())
