"""Finding bcache on a machine, changing nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.plugin import Found, Health, ListDirectory, ReadAt, ReadFile, Ref, State, kind_of, survey
from pre_nixos_bcache.kinds import SIGNATURE, Backing, Cache
from pre_nixos_bcache.superblock import LENGTH, OFFSET, read_superblock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pre_nixos.plugin import BlockNode, Reader, Survey
    from pre_nixos_bcache.superblock import Superblock

_DEVICE = re.compile(r"bcache\d+")
"""How the kernel's driver names what it offers."""


def find(reader: Reader) -> Iterable[Found]:
    """Find every device with a superblock, and what runs without one."""
    seen = survey(reader)
    members = {node.name: block for node, _ in seen.with_signature(SIGNATURE) if (block := _read(node, reader))}
    running = _running(seen, members)
    sets = {block.set_uuid for block in members.values() if not block.backing}
    for name, block in members.items():
        node = seen.nodes[name]
        held = reader.ask(ListDirectory(path=f"/sys/class/block/{name}/bcache")).names
        if block.backing:
            yield _backing(node, block, running.get(name), seen, registered="running" in held, sets=sets)
        else:
            state = State.ACTIVE if "set" in held else State.INACTIVE
            yield Found(Cache(uuid=block.set_uuid, state=state), on=[node.number])
    for device in _devices(seen):
        lost = [name for name in device.slaves if name not in members and name in seen.nodes]
        if lost and device not in running.values():
            on: list[Ref | str] = [seen.nodes[name].number for name in lost]
            on += [Ref(kind=kind_of(Cache), uuid=members[name].set_uuid) for name in device.slaves if name in members]
            yield Found(_orphan(device, seen, reader), on=on)


def _read(node: BlockNode, reader: Reader) -> Superblock | None:
    return read_superblock(reader.ask(ReadAt(number=node.number, offset=OFFSET, length=LENGTH)).data)


def _devices(seen: Survey) -> Iterable[BlockNode]:
    return [node for node in seen.nodes.values() if _DEVICE.fullmatch(node.name)]


def _running(seen: Survey, members: Mapping[str, Superblock]) -> Mapping[str, BlockNode]:
    """Give the device each running backing device offers. Its cache is among what it stands on, too."""
    return {
        name: device
        for device in _devices(seen)
        for name in device.slaves
        if (block := members.get(name)) and block.backing
    }


def _backing(
    node: BlockNode,
    block: Superblock,
    device: BlockNode | None,
    seen: Survey,
    *,
    registered: bool,
    sets: Iterable[str],
) -> Found:
    cached = block.attached and block.set_uuid in sets
    wrong = ""
    if block.attached and not cached:
        lost = "which holds data that is nowhere else" if block.dirty else "without which it does not start"
        wrong = f"its cache is not here, {lost}"
    layer = Backing(
        mode=block.mode,
        label=block.label or None,
        uuid=block.uuid,
        # Registered, it is held by the kernel, also while it waits for its cache and offers nothing.
        state=State.ACTIVE if device or registered else State.INACTIVE,
        device=seen.device(device) if device else None,
        health=Health.FAILED if wrong else Health.OK,
        remark=wrong,
    )
    on: list[Ref | str] = [node.number]
    if cached:
        on.append(Ref(kind=kind_of(Cache), uuid=block.set_uuid))
    return Found(layer, on=on)


def _orphan(device: BlockNode, seen: Survey, reader: Reader) -> Backing:
    uuid = reader.ask(ReadFile(path=f"/sys/class/block/{device.name}/bcache/backing_dev_uuid"))
    return Backing(
        uuid=(uuid.content or "").strip(),
        orphan=True,
        state=State.ACTIVE,
        device=seen.device(device),
        health=Health.FAILED,
        remark="its superblock is gone: once stopped, it does not come back",
    )
