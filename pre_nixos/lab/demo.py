"""The demonstration: a virtual server with the remains of an earlier installation, and what one would type on it.

    python -m pre_nixos.lab.demo

The server has two SSDs and two HDDs. On the HDDs an array was assembled as md127, with a volume group `swap` on it that
is in use; on an SSD a filesystem is mounted. What is typed is the real command, and what answers is a real kernel.
"""

from __future__ import annotations

import io
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from pre_nixos.cli.main import main
from pre_nixos.cli.screen import Screen
from pre_nixos.cli.session import Session
from pre_nixos.cli.typed import typed
from pre_nixos.hooks.registry import installed
from pre_nixos.lab import requirements, residue
from pre_nixos.lab.description import Lab, LabDisk, LabError
from pre_nixos.lab.guest import CommandFailed
from pre_nixos.lab.rehearsal import KEEP_SPARSE
from pre_nixos.lab.residue import Recipe
from pre_nixos.lab.uml import boot
from pre_nixos.render.text import Style, line, paragraph

if TYPE_CHECKING:
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

POLICY = ("--careful", "--slash", "1GiB", "--data", "2GiB")
"""The server's disks are small, so what it gets is too."""

STORY = (
    "A virtual server is being made: two SSDs and two HDDs with the remains of an earlier installation, some of it "
    "still in use, and a disk with pictures that is to stay as it is."
)


class NotAsItShould(Exception):
    """Something in the demonstration ended otherwise than it should."""


def make_server(guest: Guest) -> None:
    """Leave on the disks what an earlier installation would have left."""
    guest.script(KEEP_SPARSE)
    guest.dirty(residue.OLD_SWAP_ARRAY, "hdd0", "hdd1")
    guest.dirty(MOUNTED, "ssd0")
    guest.dirty(residue.BYSTANDER, "pictures")


def demonstrate(guest: Guest, screen: Screen) -> None:
    """Type the commands. Raises NotAsItShould with the first that does not end as it should."""
    bystander = guest.hash_disk("pictures")
    _type(guest, screen, "What is on its disks?", "show")
    _type(guest, screen, "What would be done to install it anew, with everything mirrored?", "plan", *POLICY)
    _type(guest, screen, "So be it, and nothing else.", "apply", *POLICY, "--consent", _digest(guest))
    _type(guest, screen, "Is it what was asked for?", "verify", *POLICY)
    _type(guest, screen, "And what would a second run do?", "plan", *POLICY, "--check")
    if guest.hash_disk("pictures") != bystander:
        raise NotAsItShould("the disk with the pictures has changed, which was none of our business")


def _type(guest: Guest, screen: Screen, what: str, *words: str) -> None:
    """Run `pre-nixos` with these words, on the guest."""
    command = typed(["pre-nixos", *words], screen.width, prompt="# ")
    screen.show([(), *paragraph(what, screen.width), *(line(each, Style.HEADING) for each in command)])
    session = Session(
        stdout=sys.stdout,
        stderr=sys.stdout,
        stdin=sys.stdin,
        environ=os.environ,
        registry=installed(),
        host=guest.host,
    )
    status = main(words, session)
    if status:
        raise NotAsItShould(f"`pre-nixos {words[0]}` ended with {status}")


def _digest(guest: Guest) -> str:
    """Read the digest of the plan that was shown, as a script would."""
    out = io.StringIO()
    session = Session(stdout=out, stderr=out, stdin=sys.stdin, environ={}, registry=installed(), host=guest.host)
    if main(["plan", "--json", *POLICY], session):
        raise NotAsItShould(f"there is no plan any more: {out.getvalue()}")
    return str(msgspec.json.decode(out.getvalue())["content"]["digest"])


def run() -> int:
    """Boot the server, and demonstrate; 0 if all went as it should."""
    screen = Screen(sys.stdout, os.environ)
    lacking = requirements.missing()
    if lacking:
        screen.say(f"This needs programs that are not here: {', '.join(lacking)}. As root, run:")
        screen.write(f"\n  {requirements.install_line(lacking)}\n")
        return 1
    artefacts = os.path.join(os.path.abspath(os.environ.get("PRE_NIXOS_ARTEFACTS", "artefacts")), "demo")
    began = time.monotonic()
    done = False
    screen.say(STORY)
    try:
        with boot(SERVER, artefacts=artefacts) as guest, suppress(KeyboardInterrupt):
            make_server(guest)
            demonstrate(guest, screen)
            done = True
    except KeyboardInterrupt:
        pass
    except (NotAsItShould, CommandFailed, LabError, OSError) as error:
        screen.show([()])
        screen.say(f"NOT AS IT SHOULD BE: {error}", Style.BAD)
        screen.say(f"What is known of it is in {artefacts}. Nothing of this machine was touched.")
        return 1
    screen.show([()])
    if not done:
        screen.say("Stopped. The virtual server is gone, and nothing of this machine was touched.")
        return 130
    screen.say(
        "All as it should be: a second run would do nothing, and the disk with the pictures is the same to the last "
        "byte.",
        Style.GOOD,
    )
    seconds = time.monotonic() - began
    screen.say(f"That took {seconds:.0f} s. The virtual server is gone, and nothing of this machine was touched.")
    return 0


if __name__ == "__main__":
    sys.exit(run())
