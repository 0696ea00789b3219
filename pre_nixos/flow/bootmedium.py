"""What this system runs from: never to be touched, mounted or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.host.questions import LookAround, ReadMounts
from pre_nixos.model.layer import Disk
from pre_nixos.model.machine import BootMedium

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pre_nixos.host.api import Reader
    from pre_nixos.model.graph import DeviceGraph

SYSTEM_PLACES = frozenset({"/", "/boot", "/boot/efi", "/efi", "/usr", "/nix", "/nix/store", "/var"})
IMAGE_TYPES = frozenset({"iso9660", "squashfs", "erofs", "udf"})
"""Filesystems an installation medium is made of; one that is mounted is what we run from, wherever it is mounted."""
DISKLESS_TYPES = frozenset({"overlay", "tmpfs", "ramfs", "rootfs", "hostfs", "9p", "virtiofs", "nfs", "nfs4", "aufs"})
"""Roots that are on no disk of this machine by themselves; what an overlay covers is mounted somewhere too."""


def find_boot_medium(reader: Reader, graph: DeviceGraph) -> BootMedium:
    """Find the disks this system runs from, or say that it cannot be told."""
    by_number = {layer.device.number: layer.id for layer in graph.layers() if layer.device is not None}
    disks: dict[str, str] = {}
    unknown: list[str] = []
    for mount in reader.ask(ReadMounts()).mounts:
        if mount.namespace or not (mount.at in SYSTEM_PLACES or mount.type in IMAGE_TYPES):
            continue
        layer = by_number.get(mount.device)
        if layer is not None:
            for disk in _disks(graph, layer):
                disks.setdefault(disk, f"{mount.at} is mounted from it")
        elif mount.type not in DISKLESS_TYPES and mount.at == "/":
            unknown.append(f"/ is a {mount.type} on {mount.source}, which is on no disk that was found")
    for disk, how in _named_at_boot(reader, graph):
        disks.setdefault(disk, how)
    return BootMedium(
        disks=tuple(sorted(disks)),
        determined=not unknown,
        how="; ".join(sorted({*disks.values(), *unknown})),
    )


def _named_at_boot(reader: Reader, graph: DeviceGraph) -> Iterator[tuple[str, str]]:
    """Find disks that the kernel's command line names as its root, by UUID, label or device."""
    words = reader.ask(LookAround()).command_line.split()
    for word in words:
        key, _, value = word.partition("=")
        if key not in {"root", "findiso", "img_dev"} or not value:
            continue
        wanted = value.partition("=")[2] or value
        for layer in graph.layers():
            device = layer.device
            names = {layer.label_for_uuid(), getattr(layer, "label", None)}
            if device is not None:
                names |= {f"/dev/{device.name}", *device.links}
            if wanted in names - {None, ""}:
                for disk in _disks(graph, layer.id):
                    yield disk, f"the kernel was started with {word}"


def _disks(graph: DeviceGraph, layer: str) -> Sequence[str]:
    """Give the disks below a layer, without what is no disk of this machine."""
    return sorted(each for each in graph.disks(layer) if isinstance(graph[each], Disk))
