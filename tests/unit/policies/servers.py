"""Machines for the tests of policies: disks by medium and size, nothing on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.model.identity import disk_id, resolve
from pre_nixos.plugin import BlockDevice, Disk, Found, Machine, State

if TYPE_CHECKING:
    from collections.abc import Iterable

GB, TB = 1000**3, 1000**4
MIB, GIB = 1024**2, 1024**3


def disk(serial: str, size: int, *, rotational: bool | None = False, **fields: object) -> Disk:
    """A disk whose kernel name says nothing of its serial."""
    position = sum(map(ord, serial))
    given: dict[str, object] = {
        "name": f"sd{serial[::-1].lower()}",
        "number": f"8:{16 * position + len(serial)}",
        "size": size // 4096 * 4096,
        "serial": serial,
        "model": "Disk",
        "rotational": rotational,
        "transport": "sata",
        "links": (f"/dev/disk/by-id/ata-Disk_{serial}",),
    } | fields
    device = BlockDevice(**given)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - fields by name
    return Disk(
        id=disk_id(device),
        device=device,
        wwn=device.wwn,
        serial=device.serial,
        model=device.model,
        size=device.size,
        state=State.ACTIVE,
    )


def ssds(*sizes: int) -> list[Disk]:
    return [disk(f"S{count}", size) for count, size in enumerate(sizes)]


def hdds(*sizes: int) -> list[Disk]:
    return [disk(f"H{count}", size, rotational=True) for count, size in enumerate(sizes)]


def drawn(given: Iterable[tuple[int, bool | None, str, str]]) -> list[Disk]:
    """Disks as a test draws them: size, whether they rotate, transport, and what is odd about them."""
    return [
        disk(
            f"D{count}",
            size,
            rotational=rotational,
            transport=transport,
            removable=remark == "removable",
            read_only=remark == "read_only",
        )
        for count, (size, rotational, transport, remark) in enumerate(given)
    ]


def server(disks: Iterable[Disk], **fields: object) -> Machine:
    given: dict[str, object] = {"memory": 15 * GIB + 600 * MIB, "firmware": "uefi"} | fields
    graph = resolve([Found(each) for each in disks])
    return Machine(graph=graph, **given)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - by name
