"""A machine with one of everything, and what was seen of it, by names that tests can use."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pre_nixos as pn
from pre_nixos.host.questions import ReadBlockNodes, SafeProbe, Verdict
from pre_nixos.lab import residue
from pre_nixos.lab.description import Attachment, Lab, LabDisk
from pre_nixos.model.layer import Disk, Layer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

MIB = 1 << 20
L = TypeVar("L", bound=Layer)

ZOO: tuple[tuple[residue.Recipe, tuple[LabDisk, ...]], ...] = (
    (
        residue.EVERY_VOLUME,
        (
            LabDisk(name="volumes", size=3072 * MIB),
            LabDisk(name="pulled-a", size=256 * MIB),
            LabDisk(name="pulled-b", size=256 * MIB),
        ),
    ),
    (residue.EVERY_ARRAY, (LabDisk(name="arrays", size=2048 * MIB),)),
    (
        residue.FIRMWARE_ARRAYS,
        (
            LabDisk(name="imsm-a", size=128 * MIB),
            LabDisk(name="imsm-b", size=128 * MIB),
            LabDisk(name="ddf-a", size=256 * MIB),
            LabDisk(name="ddf-b", size=256 * MIB),
        ),
    ),
    (
        residue.EVERY_TABLE,
        (
            LabDisk(name="mbr", size=512 * MIB, rotational=True),
            LabDisk(name="damaged", size=256 * MIB),
            LabDisk(name="coarse", size=512 * MIB, block_size=4096),
            LabDisk(name="plain", size=256 * MIB, attachment=Attachment.PLAIN),
        ),
    ),
    (residue.EVERY_MAPPING, (LabDisk(name="mapped", size=1024 * MIB),)),
    (
        residue.EVERY_USE,
        (
            LabDisk(name="used", size=768 * MIB),
            LabDisk(name="pool-a", size=256 * MIB),
            LabDisk(name="pool-b", size=256 * MIB),
        ),
    ),
    (
        residue.STRAY_BYTES,
        (
            LabDisk(name="zfs", size=256 * MIB),
            LabDisk(name="random", size=128 * MIB),
            LabDisk(name="luks-ext4", size=256 * MIB),
            LabDisk(name="swap-xfs", size=256 * MIB),
        ),
    ),
)
BLANK = LabDisk(name="blank", size=256 * MIB)
DISKS = (*(disk for _, disks in ZOO for disk in disks), BLANK)
PULLED = {"pulled-a", "pulled-b"}

STICK = "modprobe scsi_debug removable=1 dev_size_mb=64 opts=2; udevadm settle"
"""A disk that can be taken out, and whose sector 4660 cannot be read."""


def boot_zoo(boot: BootGuest) -> Guest:
    """Boot the machine and leave everything on its disks."""
    guest = boot(Lab(disks=DISKS, memory=1024 * MIB, modules=("dm_crypt", "btrfs")))
    for recipe, disks in ZOO:
        guest.dirty(recipe, *(disk.name for disk in disks))
    guest.script(STICK)
    return guest


class Seen:
    """What one look found, by what the tests call things."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.machine = pn.probe(guest.host)
        self.graph = self.machine.graph
        self.node_numbers = {node.number: node.name for node in guest.host.ask(ReadBlockNodes()).nodes}

    def disk(self, name: str) -> Disk:
        """Find a disk by its serial, which is all that stays."""
        serial = self.guest.disk(name).serial_shown
        (disk,) = (each for each in self.graph.of(Disk) if each.serial == serial)
        return disk

    def part(self, disk: str, number: int) -> Layer:
        found = self.disk(disk)
        (table,) = (each for each in self.standing(found) if each.kind in {"gpt", "dos"})
        return self.graph[f"{table.id}/{number}"]

    def standing(self, layer: Layer) -> list[Layer]:
        return [self.graph[each] for each in self.graph.standing_on(layer.id)]

    def content(self, layer: Layer) -> list[str]:
        """Describe what stands directly on a layer."""
        return sorted(each.describe() or each.kind for each in self.standing(layer))

    def numbers(self, layer: Layer) -> list[int]:
        """Number the partitions that something stands on."""
        return sorted(int(each.segment) for each in self.graph.under(layer) if each.kind == "gpt.partition")

    def one(self, kind: type[L], **fields: object) -> L:
        found = [each for each in self.graph.of(kind) if all(getattr(each, key) == fields[key] for key in fields)]
        assert len(found) == 1, (kind, fields, found)
        return found[0]

    def verdict(self, disk: str) -> Verdict:
        """Ask what is to be made of a disk's content as a whole."""
        device = self.disk(disk).device
        assert device is not None
        (content,) = self.guest.host.ask(SafeProbe(numbers=(device.number,))).devices
        return content.verdict


STATE = """
ls /sys/block
ls /sys/class/block
dmsetup info --columns --noheadings -o name,uuid,attr,open,segments,events | sort
sed 's/finish=.*//; s/\\[[=>.]*\\]//; s/([0-9]*\\/[0-9]*)//; s/= *[0-9.]*%//' /proc/mdstat
cat /proc/self/mountinfo /proc/swaps | sed 's/[0-9]*\\t-[0-9]*$//'
losetup --list --noheadings
"""


def freeze(guest: Guest) -> None:
    """Hold what changes by itself: syncing, and whoever writes to a filesystem or to swap."""
    guest.script(
        "for each in /sys/block/md*/md/sync_action; do echo frozen > $each 2> /dev/null || true; done\n"
        "sync; udevadm settle; sleep 1"
    )


def hashes(guest: Guest, disks: Iterable[LabDisk]) -> dict[str, str]:
    return {disk.name: guest.hash_disk(disk.name) for disk in disks if disk.name not in PULLED}
