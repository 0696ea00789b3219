"""Twins: virtual machines with a machine's disks (size, serial, media), and what stood on them made again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pre_nixos.hooks import specs
from pre_nixos.hooks.calls import Calls
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.lab.scsi import world_wide_name
from pre_nixos.model.draft import Draft, Handle, Wanted
from pre_nixos.model.layer import Disk, Layer, Role, roles
from pre_nixos.model.standing import is_content
from pre_nixos.model.step import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pre_nixos.hooks.registry import Registry
    from pre_nixos.model.machine import Machine

MEMORY = 1024 * MIB
"""What a twin has, however much the machine has: its policy is told the machine's."""


class Twin:
    """A machine's disks, as they will be in the lab."""

    def __init__(self, machine: Machine, disks: Iterable[Disk]) -> None:
        self.machine = machine
        self.disks = tuple(disks)
        self.serials: Mapping[str, str] = dict(_serials(self.disks))

    def lab(self) -> Lab:
        """Describe the virtual machine."""
        return Lab(
            disks=tuple(self._disk(disk, position) for position, disk in enumerate(self.disks)),
            memory=MEMORY,
            firmware="uefi" if self.machine.firmware == "uefi" else "bios",
        )

    def _disk(self, disk: Disk, position: int) -> LabDisk:
        device = disk.device
        coarse = device is not None and device.logical_block == 4096
        return LabDisk(
            name=f"disk{position}",
            size=disk.size // 4096 * 4096,
            serial=self.serials[disk.id],
            model=(disk.model or "TWIN DISK")[:16],
            rotational=bool(device and device.rotational),
            block_size=4096 if coarse else 512,
        )

    def there(self, twin: Machine) -> Mapping[str, Disk]:
        """Find the twin of each disk, by the id of the original."""
        by_serial = {disk.serial: disk for disk in twin.graph.of(Disk)}
        return {id_: by_serial[serial] for id_, serial in self.serials.items() if serial in by_serial}

    def as_before(self, twin: Machine, registry: Registry) -> tuple[Wanted, Sequence[str]]:
        """Say what must be made on the twin for it to look like the machine, and what cannot be made there."""
        calls, graph = Calls(registry), self.machine.graph
        disks = self.there(twin)
        draft = Draft(twin, take=disks.values(), named=disks.values())
        handles: dict[str, Handle | Disk] = dict(disks)
        left_out: list[str] = []
        occupied: set[str] = set()
        for layer in graph.layers():
            if isinstance(layer, Disk) or not graph.disks(layer.id) or not graph.disks(layer.id) <= disks.keys():
                continue
            if layer.ephemeral:
                continue  # what was mounted or swapped to is ended before anything else is done anyway
            makeable = calls.can(specs.format, layer) or (layer.part_of is not None and not shared_name(layer))
            # Two signatures can be found on one device, but not be made there.
            first = not is_content(layer) or occupied.isdisjoint(graph.on(layer.id))
            fits = first and not layer.unfit(graph.under(layer))
            if makeable and fits and all(each in handles for each in graph.on(layer.id)):
                handles[layer.id] = draft.add(wishes_of(layer), on=[handles[each] for each in graph.on(layer.id)])
                occupied.update(each.id for each in graph.devices(layer) if is_content(layer))
            else:
                left_out.append(f"{layer.title} ({layer.describe() or layer.kind})")
        return draft.wanted(), left_out


def shared_name(layer: Layer) -> bool:
    """Whether a layer shares its plain id with another, so that no wish can tell the two apart."""
    return "#" in layer.id


def wishes_of(layer: Layer) -> Layer:
    """Give a layer that was found as somebody would have wished for it: without what only probing knows."""
    known = {
        field: value
        for field, value in zip(type(layer).__struct_fields__, msgspec.structs.astuple(layer), strict=True)
        if roles(type(layer))[field] in {Role.NAME, Role.WISH}
    }
    return type(layer)(**known).rehearsed()


def _serials(disks: Iterable[Disk]) -> Iterator[tuple[str, str]]:
    """Give each disk a serial of the lab's, by its id: its own as far as the lab can tell it from the others by that.

    The lab's disks have their world wide names from what of their serials are hexadecimal digits.
    """
    names: set[str] = set()
    for position, disk in enumerate(disks):
        plain = "".join(each for each in disk.serial or "" if each.isalnum())
        choices = [plain[:16]] if plain else []
        choices += [f"{plain[:8] or 'TWIN'}{number:04d}" for number in range(position, position + len(names) + 2)]
        serial = next(each for each in choices if world_wide_name(each) not in names)
        names.add(world_wide_name(serial))
        yield disk.id, serial
