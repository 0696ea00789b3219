"""NVMe, over a network above all: nothing is destroyed while a path to a disk is not alive, or leads to another disk.

After a reconnect reads fail for some seconds and then everything is there again; and a namespace can come back under
the same node name with other content. So whether something is on a disk is never inferred from a failed read, and
before each destructive step it is asked whether every path lives and the namespace is still the one that was looked at.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.plugin import (
    Backend,
    BlockDevice,
    Data,
    ListDirectory,
    Objection,
    Ran,
    Reader,
    ReadFile,
    hooks,
    implements,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ALIVE = "live"
CONTROLLER = re.compile(r"nvme\d+")
IDENTITIES = ("uuid", "nguid", "eui", "wwid")
"""What identifies a namespace, in sysfs, the surest first."""
NONE_GIVEN = re.compile(r"[0.\s-]*")
FORMATTED, NO_FILESYSTEM = 0, 2


class Path(Data):
    """One controller through which a namespace is reached."""

    controller: str
    state: str
    """`live`, `connecting`, `resetting`, `deleting`, ...; empty if it cannot be told."""
    transport: str = ""
    address: str = ""

    def __str__(self) -> str:
        """Name it, where it leads and how it is."""
        where = f" ({self.transport} {self.address})" if self.address else ""
        return f"{self.controller}{where} is {self.state or 'of unknown state'}"


@implements(hooks.backend)
def backend() -> Backend:
    """Own nothing: namespaces are disks like others."""
    return Backend(kinds=[], tools=[])


@implements(hooks.guard)
def every_path_lives(device: BlockDevice, reader: Reader) -> Iterable[Objection]:
    """Object unless every path to a namespace is live, and the namespace is the one that was looked at."""
    if not device.name.startswith("nvme"):
        return
    name = device.serial or device.wwn or device.name
    paths = paths_to(device, reader)
    if not paths:
        text = (
            f"no controller of the NVMe disk {name} ({device.name}) was found, so it cannot be told whether it answers."
        )
        yield Objection(subject=device.name, text=text, passing=True)
    lost = [each for each in paths if each.state != ALIVE]
    if lost:
        listed = "; ".join(str(each) for each in lost)
        text = f"the NVMe disk {name} ({device.name}) is not reached on every path: {listed}."
        yield Objection(
            subject=device.name, text=text, remedy="Mend the connection, or disconnect that path.", passing=True
        )
    yield from _identity_changed(device, name, reader)


def paths_to(device: BlockDevice, reader: Reader) -> Sequence[Path]:
    """List the controllers through which a namespace is reached, and how each is doing."""
    below = f"/sys/dev/block/{device.number}/device"
    # The node of a namespace with one path stands below its controller, that of one with several below the subsystem.
    if reader.ask(ReadFile(path=f"{below}/state")).content is not None:
        return [_path(below, device.name.rpartition("n")[0], reader)]
    names = reader.ask(ListDirectory(path=below)).names
    return [_path(f"{below}/{each}", each, reader) for each in names if CONTROLLER.fullmatch(each)]


def _path(directory: str, name: str, reader: Reader) -> Path:
    def said(attribute: str) -> str:
        return (reader.ask(ReadFile(path=f"{directory}/{attribute}")).content or "").strip()

    return Path(controller=name, state=said("state"), transport=said("transport"), address=said("address"))


def _identity_changed(device: BlockDevice, name: str, reader: Reader) -> Iterable[Objection]:
    """Compare what identifies the namespace now with what was found when it was looked at."""
    found = [
        (reader.ask(ReadFile(path=f"/sys/dev/block/{device.number}/{each}")).content or "").strip()
        for each in IDENTITIES
    ]
    known = [each for each in found if not NONE_GIVEN.fullmatch(each)]
    if device.wwn is None:
        return
    if not known:
        text = f"the NVMe disk {name} ({device.name}) no longer says which one it is."
        yield Objection(subject=device.name, text=text, passing=True)
    elif not any(_plain(device.wwn) == _plain(each) for each in known):
        text = f"{device.name} is another NVMe namespace now: {known[0]}, and it was {device.wwn}."
        yield Objection(subject=device.name, text=text, remedy="Look at the machine again.")


def _plain(identity: str) -> str:
    """Give an identity without what it is written with: `uuid.`, `eui.`, dashes."""
    return identity.lower().removeprefix("uuid.").removeprefix("eui.").removeprefix("nvme.").replace("-", "")


class Undetermined(Exception):
    """Whether something is on a device could not be told: no reason to think that nothing is."""


def is_formatted(ran: Ran) -> bool:
    """Tell from how `blkid -p DEVICE` ended whether it found a filesystem. Raises Undetermined for anything else.

    This is the simple rule, for those who have nothing but that program: status 0 with output is a filesystem, status 2
    is none found, and everything else is an error. None found does not mean blank: blkid says so too of a device that
    cannot be read, of a node that is missing and of random bytes. Nothing here formats on the strength of it.
    """
    if not ran.error and ran.status == FORMATTED and ran.stdout.strip():
        return True
    if not ran.error and ran.status == NO_FILESYSTEM:
        return False
    said = ran.error or ran.stderr.strip() or "it said nothing"
    raise Undetermined(f"blkid ended with status {ran.status}: {said}")


__all__ = ["Path", "Undetermined", "backend", "every_path_lives", "is_formatted", "paths_to"]
