"""A draft on some disks, and what NixOS is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.backends import btrfs, filesystems, gpt, mounts
from pre_nixos.model.layer import State
from pre_nixos.render.nixos import write_module
from tests.unit.layouts.cases import disk, with_disks
from tests.unit.render.nixosmodules import as_made, options_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pre_nixos.model.action import Objection
    from pre_nixos.model.draft import Handle
    from pre_nixos.model.layer import Layer
    from pre_nixos.render.nixos import WrittenModule

UUID = "11111111-2222-4333-8444-555555555555"
BY_UUID = f"/dev/disk/by-uuid/{UUID}"
PARTUUID = "99999999-2222-4333-8444-555555555555"


class Desk:
    """A draft on some disks, and what NixOS is told once it was made."""

    def __init__(self, folder: Path, *serials: str, **fields: Any) -> None:
        self.folder = folder
        self.machine = with_disks(*(disk(each, **fields) for each in serials or ("a",)))
        self.draft = pn.Draft(self.machine, take=self.machine.disks)
        self.disks = list(self.machine.disks)
        self.tables: dict[str, Handle] = {}
        self.unasked: Sequence[str] = ()
        """Subvolumes that are there in every btrfs, and nobody asked for."""

    def add(self, layer: Layer, *on: Handle | pn.Disk) -> Handle:
        return self.draft.add(layer, on=on)

    def part(self, number: int = 1, type_: str = "linux", on: int = 0, **fields: Any) -> Handle:
        serial = self.disks[on].id
        if serial not in self.tables:
            self.tables[serial] = self.add(gpt.Table(), self.disks[on])
        return self.add(gpt.Partition(number=number, size="10GiB", type=type_, **fields), self.tables[serial])

    def mount(self, at: str, on: Handle, **fields: Any) -> None:
        self.add(mounts.Mount(at=at, **fields), on)

    def module(self) -> WrittenModule:
        wanted = self.draft.wanted()
        there = as_made(self.machine, wanted.graph)
        more = [(each, (pool.id,)) for pool in wanted.graph.of(btrfs.Btrfs) for each in self._beside(pool)]
        return write_module(wanted, msgspec.structs.replace(there, graph=there.graph.plus(more)))

    def _beside(self, pool: btrfs.Btrfs) -> Iterator[btrfs.Subvolume]:
        for name in self.unasked:
            yield btrfs.Subvolume(name=name, state=State.ACTIVE, id=f"{pool.id}/{name}")

    def written(self) -> str:
        return self.module().text

    def told(self) -> dict[str, Any]:
        return options_of(self.written(), self.folder)

    def objections(self) -> Sequence[Objection]:
        return pn.schedule(self.machine, self.draft.wanted()).objections

    def refused(self) -> str:
        with pytest.raises(pn.InvalidLayout) as caught:
            self.written()
        return "\n".join(caught.value.problems)


def ext4(uuid: str | None = UUID) -> filesystems.Filesystem:
    return filesystems.Filesystem(type="ext4", uuid=uuid)
