"""Guests that run on User Mode Linux, as Debian packages it: up in seconds, no root, no hardware support needed."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

import msgspec

from pre_nixos.lab import inside, requirements, scsi
from pre_nixos.lab.description import Attachment, LabError
from pre_nixos.lab.guest import Guest
from pre_nixos.lab.kept import Kept
from pre_nixos.lab.wire import Share
from pre_nixos.model.step import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.lab.description import Lab, LabDisk

_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - where the guest's memory lives, in a file that has no name
_PLAIN_DISKS = 16
"""How many `ubd` disks the kernel has."""


class UmlGuest(Guest):
    """A guest on User Mode Linux."""

    window = 3500
    # Its serial line goes deaf for good once the terminal's buffer of 4096 bytes is nearly full.

    def __init__(self, lab: Lab, *, artefacts: str, visible: Sequence[str] = ()) -> None:
        requirements.require(requirements.UML)
        found = problems(lab)
        if found:
            raise LabError("User Mode Linux cannot make this machine:\n" + "\n".join(found))
        super().__init__(lab, artefacts=artefacts, visible=visible)

    def _launch(self) -> tuple[Kept, socket.socket]:
        disks = tuple(disk for disk in self.lab.disks if disk.attachment is Attachment.SCSI)
        settings = self._write(msgspec.structs.replace(self._settings("/dev/ttyS1", self.lab.modules), scsi=disks))
        near, far = socket.socketpair()
        state = os.path.join(self._directory, "uml")
        os.makedirs(state, exist_ok=True)
        memory = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else state
        program = [
            "linux.uml",
            f"mem={self.lab.memory // MIB}M",
            "umid=guest",
            f"uml_dir={state}/",
            "root=/dev/root",
            "rootfstype=hostfs",
            "rootflags=/",
            "ro",
            "con=null",
            "con0=null,fd:1",
            f"ssl1=fd:{far.fileno()}",
            "security=none",
            "loop.max_loop=0",
            *self.lab.kernel_line,
            *(f"ubd{number}={self.image(disk.name)},,{disk.serial_shown}" for number, disk in self._plain()),
            f"init={sys.executable}",
            "--",
            *("-I", "-S", inside.__file__, settings, Share.HOSTFS),
        ]
        process = Kept(
            program,
            writable=[memory, state, self.images, self.artefacts],
            output=self.console_path,
            descriptors=(far.fileno(),),
            environment={"TMPDIR": memory, "HOME": state},
        )
        far.close()
        return process, near

    def kernel_name(self, disk: str) -> str:
        """Tell the guest's kernel name of a disk, such as `sda`."""
        for number, plain in self._plain():
            if plain.name == disk:
                return "ubd" + "abcdefghijklmnop"[number]
        return super().kernel_name(disk)

    def _plain(self) -> list[tuple[int, LabDisk]]:
        return list(enumerate(disk for disk in self.lab.disks if disk.attachment is Attachment.PLAIN))


def boot(lab: Lab, *, artefacts: str, visible: Sequence[str] = ()) -> Guest:
    """Boot a guest; use it in a `with` statement.

    `artefacts` is a directory for evidence, writable from the guest. `visible` are further paths of the host the guest
    is to see if they lie in a directory that is its own, such as /tmp; interpreter and checkout are always seen.
    """
    guest = UmlGuest(lab, artefacts=artefacts, visible=visible)
    try:
        guest.boot()
    except BaseException:
        guest.close()
        raise
    return guest


def problems(lab: Lab) -> list[str]:
    """Tell everything about this machine that User Mode Linux cannot be made to be."""
    found = ["there are no network ports here"] if lab.ports else []
    for disk in lab.disks:
        if disk.attachment not in {Attachment.SCSI, Attachment.PLAIN}:
            found.append(f"disk {disk.name!r}: no {disk.attachment} here")
        if disk.removable:
            found.append(f"disk {disk.name!r}: nothing is removable here")
        made = scsi.world_wide_name(disk.serial_shown) if disk.attachment is Attachment.SCSI else ""
        if disk.wwn and disk.wwn != made:
            found.append(f"disk {disk.name!r}: its WWN would be {made or 'none'}, not {disk.wwn}")
        if disk.attachment is Attachment.PLAIN and (disk.rotational or disk.block_size != 512):
            found.append(f"disk {disk.name!r}: a plain disk is an SSD with blocks of 512 bytes")
        if disk.size % 4096:
            found.append(f"disk {disk.name!r}: {disk.size} bytes is not a multiple of 4096")
    if sum(disk.attachment is Attachment.PLAIN for disk in lab.disks) > _PLAIN_DISKS:
        found.append(f"more than {_PLAIN_DISKS} plain disks")
    if len({disk.name for disk in lab.disks}) != len(lab.disks):
        found.append("two disks have one name")
    return found
