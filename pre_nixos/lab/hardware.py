"""The disks of a QEMU guest: what describes them to QEMU, where they turn up in its sysfs, and what they cannot be."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from pre_nixos.lab.description import Attachment, LabDisk

if TYPE_CHECKING:
    from pre_nixos.lab.description import Lab

SCSI_SLOT, USB_SLOT, FIRST_SLOT = 5, 6, 7
"""Where the guest's only PCI bus has what; each NVMe and each plain disk takes a slot, from the last of these on."""
SLOTS = 32
USB_PORTS = 15
LUNS = 255
DRIVERS = {
    Attachment.SCSI: ("virtio_scsi", "sd_mod"),
    Attachment.USB: ("xhci_pci", "usb_storage", "sd_mod"),
    Attachment.NVME: ("nvme",),
    Attachment.PLAIN: ("virtio_blk",),
}
_LONGEST = {Attachment.SCSI: 36, Attachment.USB: 36, Attachment.NVME: 20, Attachment.PLAIN: 20}
"""How many characters of a serial get through."""
_NAA = re.compile(r"naa\.([1-9a-f][0-9a-f]{15})")
_EUI = re.compile(r"eui\.([0-9a-f]{16})")
_UUID = re.compile(r"uuid\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_MAC = re.compile(r"[0-9a-f][02468ace](?::[0-9a-f]{2}){5}")
_NGUID = re.compile(r"eui\.[0-9a-f]{32}")
_LIKE_ANY = LabDisk(name="", size=0)


class Slot:
    """Where one disk is, and the words that put it there."""

    def __init__(self, disk: LabDisk, number: int, place: int) -> None:
        self.disk = disk
        self._id = f"disk{number}"
        self._place = place
        """A LUN, a port or a PCI slot."""

    def arguments(self, image: str) -> list[str]:
        """Give the words for QEMU."""
        drive = (
            f"file={escaped(image)},if=none,id={self._id},format=raw,cache=writeback,discard=unmap,detect-zeroes=unmap"
        )
        return ["-drive", drive, *self._devices()]

    def where(self) -> str:
        """Give the pattern of its path below /sys/devices."""
        place = self._place
        match self.disk.attachment:
            case Attachment.SCSI:
                return f"pci0000:00/0000:00:{SCSI_SLOT:02x}.0/virtio*/host*/target*/*:0:0:{place}/block/*"
            case Attachment.USB:
                return f"pci0000:00/0000:00:{USB_SLOT:02x}.0/usb*/*-{place}/*/host*/target*/*/block/*"
            case Attachment.NVME:
                return f"pci0000:00/0000:00:{place:02x}.0/nvme/nvme*/nvme*n*"
            case Attachment.PLAIN:
                return f"pci0000:00/0000:00:{place:02x}.0/virtio*/block/*"

    def _devices(self) -> list[str]:
        disk, own = self.disk, self._id
        blocks = f"logical_block_size={disk.block_size},physical_block_size={max(disk.block_size, 512)}"
        serial = escaped(disk.serial_shown)
        # What SCSI disks say of themselves, on whatever bus.
        unit = (
            f"scsi-hd,drive={own},serial={serial},vendor={escaped(disk.vendor)},product={escaped(disk.model)},"
            f"rotation_rate={7200 if disk.rotational else 1},removable={'on' if disk.removable else 'off'},{blocks}"
        )
        match disk.attachment:
            case Attachment.SCSI:
                return ["-device", f"{unit},wwn=0x{wwn_of(disk)[4:]},bus=scsi.0,scsi-id=0,lun={self._place}"]
            case Attachment.USB:
                bridge = f"usb-bot,id=bridge-{own},bus=usb.0,port={self._place},serial={serial}"
                return ["-device", bridge, "-device", f"{unit},bus=bridge-{own}.0,lun=0"]
            case Attachment.NVME:
                controller = f"nvme,id=controller-{own},serial={serial},addr={self._place:#x}"
                namespace = f"nvme-ns,drive={own},bus=controller-{own},nsid=1,{blocks}{_unit_id(disk)}"
                return ["-device", controller, "-device", namespace]
            case Attachment.PLAIN:
                return ["-device", f"virtio-blk-pci,drive={own},serial={serial},addr={self._place:#x},{blocks}"]


def slots(lab: Lab) -> list[Slot]:
    """Give each disk its place, in the order of the description."""
    taken = dict.fromkeys(Attachment, 0)
    taken[Attachment.USB] = 1  # ports count from one
    found: list[Slot] = []
    for number, disk in enumerate(lab.disks):
        kind = disk.attachment
        if kind in {Attachment.NVME, Attachment.PLAIN}:
            place = FIRST_SLOT + taken[Attachment.NVME] + taken[Attachment.PLAIN]
        else:
            place = taken[kind]
        taken[kind] += 1
        found.append(Slot(disk, number, place))
    return found


def controllers(lab: Lab) -> list[str]:
    """Give the words for what the disks hang on."""
    kinds = {disk.attachment for disk in lab.disks}
    words: list[str] = []
    if Attachment.SCSI in kinds:
        words += ["-device", f"virtio-scsi-pci,id=scsi,addr={SCSI_SLOT:#x},num_queues=1"]
    if Attachment.USB in kinds:
        words += ["-device", f"qemu-xhci,id=usb,addr={USB_SLOT:#x},p2={USB_PORTS},p3={USB_PORTS}"]
    return words


def networks(lab: Lab) -> list[str]:
    """Give the words for the network ports, from the last slot of the bus on."""
    words: list[str] = []
    for number, mac in enumerate(lab.ports):
        # Without a ROM, which nobody boots from and not everybody has.
        port = f"virtio-net-pci,netdev=net{number},mac={mac},addr={SLOTS - 1 - number:#x},romfile="
        words += ["-netdev", f"user,id=net{number},restrict=on", "-device", port]
    return words


def wwn_of(disk: LabDisk) -> str:
    """Tell the WWN a disk has in QEMU: the one asked for; otherwise SCSI disks have one made of their serial."""
    if disk.wwn or disk.attachment is not Attachment.SCSI:
        return disk.wwn
    return f"naa.5{hashlib.sha256(disk.serial_shown.encode()).hexdigest()[:15]}"


def problems(lab: Lab) -> list[str]:
    """Tell everything about this machine that QEMU cannot be made to be."""
    found = [f"disk {disk.name!r}: {problem}" for disk in lab.disks for problem in _problems(disk)]
    kinds = [disk.attachment for disk in lab.disks]
    cards = kinds.count(Attachment.NVME) + kinds.count(Attachment.PLAIN)
    for count, most, what in (
        (cards, SLOTS - FIRST_SLOT, "NVMe and plain disks"),
        (kinds.count(Attachment.USB), USB_PORTS, "USB disks"),
        (kinds.count(Attachment.SCSI), LUNS, "SCSI disks"),
    ):
        if count > most:
            found.append(f"{count} {what} are more than {most}")
    if cards <= SLOTS - FIRST_SLOT < cards + len(lab.ports):
        found.append(f"{cards} NVMe and plain disks and {len(lab.ports)} network ports do not fit on one bus")
    found += [f"{mac!r} is no MAC address of a network port" for mac in lab.ports if not _MAC.fullmatch(mac)]
    if len({disk.name for disk in lab.disks}) != len(lab.disks):
        found.append("two disks have one name")
    return found


def _problems(disk: LabDisk) -> list[str]:
    found: list[str] = []
    kind = disk.attachment
    if disk.size % disk.block_size or not disk.size:
        found.append(f"{disk.size} bytes is not a whole number of blocks of {disk.block_size}")
    if len(disk.serial_shown) > _LONGEST[kind]:
        found.append(f"a serial on {kind} has at most {_LONGEST[kind]} characters, not {len(disk.serial_shown)}")
    if kind in {Attachment.NVME, Attachment.PLAIN}:
        if disk.rotational:
            found.append(f"{kind} does not rotate")
        if disk.removable:
            found.append(f"{kind} is not removable")
    if kind is Attachment.NVME and (disk.vendor, disk.model) != (_LIKE_ANY.vendor, _LIKE_ANY.model):
        found.append("its model is always 'QEMU NVMe Ctrl' here")
    if len(disk.vendor) > 8 or len(disk.model) > 16:
        found.append("a vendor has at most 8 characters, a model 16")
    if disk.wwn:
        found += _problems_of_wwn(disk)
    return found


def _problems_of_wwn(disk: LabDisk) -> list[str]:
    wwn = disk.wwn
    match disk.attachment:
        case Attachment.SCSI if not _NAA.fullmatch(wwn):
            return [f"a SCSI disk's WWN is naa. and 16 hexadecimal digits here, not {wwn}"]
        case Attachment.NVME if _NGUID.fullmatch(wwn):
            return ["this QEMU cannot set an NGUID; an EUI64 (eui. and 16 digits) or a UUID (uuid.) it can"]
        case Attachment.NVME if not _EUI.fullmatch(wwn) and not _UUID.fullmatch(wwn):
            return [f"an NVMe namespace is eui. and 16 hexadecimal digits or uuid. and a UUID here, not {wwn}"]
        case Attachment.USB | Attachment.PLAIN:
            return [f"no WWN can be set on {disk.attachment}"]
        case _:
            return []


def _unit_id(disk: LabDisk) -> str:
    kind, _, value = disk.wwn.partition(".")
    return {"eui": f",eui64=0x{value}", "uuid": f",uuid={value}"}.get(kind, "")


def escaped(value: str) -> str:
    """Write a value as QEMU reads it: a comma would begin the next."""
    return value.replace(",", ",,")
