"""Guests that run on QEMU with Debian's stock kernel: slower to come up than User Mode Linux, but all of a computer.

With hardware virtualization where this user may have it, emulated otherwise; no root either way.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

import msgspec

from pre_nixos.lab import hardware, initramfs, inside, requirements
from pre_nixos.lab.description import Attachment, LabError
from pre_nixos.lab.guest import Guest
from pre_nixos.lab.kept import Kept
from pre_nixos.lab.kernel import caches, find_kernel, unpacked
from pre_nixos.lab.wire import Share
from pre_nixos.model.step import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pre_nixos.lab.description import Lab

BOOT_TIMEOUT = 120.0
ARTEFACTS = "artefacts"
"""Tag of the one directory of the host that is writable."""
LINE = "/dev/vport0p1"
_KVM = "/dev/kvm"
_ALWAYS = ("virtio_console", "9p", "overlay")


class QemuGuest(Guest):
    """A guest on QEMU."""

    def __init__(self, lab: Lab, *, artefacts: str, visible: Sequence[str] = ()) -> None:
        requirements.require(requirements.QEMU)
        problems = hardware.problems(lab)
        if problems:
            raise LabError("QEMU cannot make this machine:\n" + "\n".join(problems))
        drivers = drivers_of(lab)
        self._kernel = find_kernel(needs=[*initramfs.MODULES, *_ALWAYS, *drivers])
        super().__init__(lab, artefacts=artefacts, visible=visible)

    def boot(self, timeout: float = BOOT_TIMEOUT) -> None:
        """Start the machine and wait until its agent answers."""
        super().boot(timeout)

    def _launch(self) -> tuple[Kept, socket.socket]:
        slots = hardware.slots(self.lab)
        unsaid = [disk for disk in self.lab.disks if disk.attachment in {Attachment.USB, Attachment.PLAIN}]
        own = msgspec.structs.replace(
            self._settings(LINE, (*_ALWAYS[:1], *drivers_of(self.lab), *self.lab.modules)),
            places={slot.disk.name: slot.where() for slot in slots},
            rotational={disk.name: disk.rotational for disk in unsaid},
            wwns={disk.name: disk.wwn for disk in self.lab.disks if disk.attachment is Attachment.NVME and disk.wwn},
        )
        settings = self._write(own)
        first = os.path.join(self._directory, "initramfs")
        command = [sys.executable, "-I", "-S", inside.__file__, settings, Share.NINE_P]
        initramfs.write_initramfs(first, self._kernel, command)
        kernel = unpacked(self._kernel, [*caches(), self._directory])
        near, far = socket.socketpair()
        accelerated = can_accelerate()
        program = [
            "qemu-system-x86_64",
            *machine(self.lab, accelerated=accelerated),
            *("-kernel", kernel, "-initrd", first, "-append", kernel_arguments(self.lab)),
            *("-chardev", f"file,id=console,path={hardware.escaped(self.console_path)},append=on"),
            *("-serial", "chardev:console"),
            *("-device", "virtio-serial-pci,addr=0x2", "-chardev", f"socket,id=agent,fd={far.fileno()}"),
            *("-device", "virtserialport,chardev=agent,name=agent"),
            *shared("/", initramfs.ROOT, slot=3, writable=False),
            *shared(self.artefacts, ARTEFACTS, slot=4, writable=True),
            *hardware.controllers(self.lab),
            *hardware.networks(self.lab),
            *(word for slot in slots for word in slot.arguments(self.image(slot.disk.name))),
        ]
        state = os.path.join(self._directory, "qemu")
        os.makedirs(state, exist_ok=True)
        process = Kept(
            program,
            writable=[state, self.images, self.artefacts, *([_KVM] if accelerated else [])],
            output=self.console_path,
            descriptors=(far.fileno(),),
            environment={"TMPDIR": state, "HOME": state},
        )
        far.close()
        return process, near


def boot(lab: Lab, *, artefacts: str, visible: Sequence[str] = ()) -> Guest:
    """Boot a guest; use it in a `with` statement. The arguments are those of `pre_nixos.lab.uml.boot`."""
    guest = QemuGuest(lab, artefacts=artefacts, visible=visible)
    try:
        guest.boot()
    except BaseException:
        guest.close()
        raise
    return guest


def drivers_of(lab: Lab) -> list[str]:
    """Name the kernel modules this machine's disks and ports need."""
    kinds = dict.fromkeys(disk.attachment for disk in lab.disks)
    network = ("virtio_net",) if lab.ports else ()
    return list(dict.fromkeys([*(module for kind in kinds for module in hardware.DRIVERS[kind]), *network]))


def machine(lab: Lab, *, accelerated: bool) -> list[str]:
    """Give the words for everything but disks, kernel and what is shared."""
    return [
        *("-accel", "kvm" if accelerated else "tcg"),
        # One processor: emulating a second one makes both slower.
        *("-machine", "pc,usb=off,vmport=off", "-cpu", "max", "-smp", "1", "-m", f"{lab.memory // MIB}M"),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-vga", "none"),
        *("-sandbox", "on,spawn=deny"),
    ]


def kernel_arguments(lab: Lab) -> str:
    """Give the kernel's command line; messages below an error are in its log, where reading them costs no boot time."""
    always = (
        "console=ttyS0 loglevel=4 panic=-1 rdinit=/init mitigations=off audit=0 apparmor=0 cryptomgr.notests"
        " usb_storage.delay_use=0 loop.max_loop=0"
    )
    return " ".join([always, *lab.kernel_line])


def shared(directory: str, tag: str, *, slot: int, writable: bool) -> list[str]:
    """Give the words that show the guest a directory of the host, with whatever is mounted below it."""
    backend = f"local,id={tag},path={hardware.escaped(directory)},security_model=none,multidevs=remap"
    return [
        *("-fsdev", backend if writable else f"{backend},readonly=on"),
        *("-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag},addr={slot:#x}"),
    ]


def can_accelerate(device: str = _KVM, processor: str = "/proc/cpuinfo") -> bool:
    """Tell whether this user can have hardware virtualization.

    The device alone does not say: there are machines that have it, and whose processors cannot.
    """
    if not os.access(device, os.R_OK | os.W_OK):
        return False
    with open(processor) as file:
        return _virtualizes(file)


def _virtualizes(lines: Iterable[str]) -> bool:
    flags = next((line for line in lines if line.startswith("flags")), "")
    return not {"vmx", "svm"}.isdisjoint(flags.split())
