"""Finding groups and volumes: one question to LVM about the devices that carry its label, if there are any.

Whether a volume is active is told by sysfs: device-mapper's UUIDs begin with those of the group and the volume.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.lvm.kinds import SIGNATURE, Group, Orphan, Volume
from pre_nixos.backends.lvm.report import question, read_report
from pre_nixos.plugin import Exact, Found, Health, Reader, Ref, State, Survey, Unrecognised, hooks, implements, survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pre_nixos.backends.lvm.report import Logical, Reported
    from pre_nixos.plugin import BlockNode


@implements(hooks.probe)
def find(reader: Reader) -> Iterable[Found]:
    """Find groups, their volumes, and physical volumes in no group."""
    seen = survey(reader)
    labelled = {node.number: f"/dev/{node.name.replace('!', '/')}" for node in _labelled(seen)}
    if not labelled:
        return
    ran = reader.ask(question(labelled.values()))
    if ran.error:
        # Half of a group looks just like a stray label, and the other half may be on disks nobody is to touch.
        what = f"it belongs to a volume group, and lvm cannot tell which: {ran.error}"
        for number in labelled:
            yield Found(Unrecognised(what=what, immovable=True, state=State.INACTIVE), on=[number])
        return
    for group in read_report(ran.stdout):
        if group.uuid:
            yield from _group(group, seen)
        else:
            for each in group.physical:
                if each.number in seen.by_number:
                    yield Found(Orphan(uuid=each.uuid, state=State.ACTIVE), on=[each.number])


def _labelled(seen: Survey) -> Iterator[BlockNode]:
    """Give the devices that carry LVM's label for themselves.

    A label that another signature hides is that of something else: of the array this is a member of, whose data begins
    where the member does, or of an earlier use. It counts only if volumes were made of it all the same.
    """
    for node, signature in seen.with_signature(SIGNATURE):
        in_use = any(_dm_uuid(seen.nodes[name]).startswith("LVM-") for name in node.holders if name in seen.nodes)
        if in_use or not signature.hidden:
            yield node


def _dm_uuid(node: BlockNode) -> str:
    return node.attributes.get("dm/uuid", "")


def _devices(group: Reported, nodes: Sequence[BlockNode], seen: Survey) -> Sequence[str]:
    """Give what a group stands on: its physical volumes, and what its active volumes use though no label says so."""
    own = {node.name for node in nodes}
    used = {seen.nodes[name].number for node in nodes for name in node.slaves if name in seen.nodes and name not in own}
    labelled = [each.number for each in group.physical if each.number in seen.by_number]
    return [*labelled, *sorted(used.difference(labelled))]


def _group(group: Reported, seen: Survey) -> Iterator[Found]:
    prefix = f"LVM-{group.uuid.replace('-', '')}"
    nodes = {uuid: node for node in seen.nodes.values() if (uuid := _dm_uuid(node)).startswith(prefix)}
    volumes = [_volume(each, group, prefix, nodes, seen) for each in group.logical]
    own = {each.device.number for each in volumes if each.device is not None}
    missing = sum(not each.number for each in group.physical)
    awake = not volumes or any(each.state is State.ACTIVE for each in volumes) or bool(nodes)
    health, remark = Health.OK, "exported: it cannot be activated" if group.exported else ""
    if missing:
        lost = any(each.health is Health.FAILED for each in volumes)
        health = Health.FAILED if lost else Health.DEGRADED
        remark = f"{missing} of its {len(group.physical)} physical volumes are missing"
    layer = Group(
        name=group.name,
        extent_size=group.extent,
        uuid=group.uuid,
        missing=missing,
        # LVM changes nothing about a group that is not whole, or not its to change.
        unused=0 if missing or group.exported else sum(each.unused for each in group.physical),
        nodes=tuple(sorted(node.number for node in nodes.values() if node.number not in own)),
        state=State.ACTIVE if awake else State.INACTIVE,
        health=health,
        remark=remark,
    )
    yield Found(layer, on=_devices(group, list(nodes.values()), seen))
    for each in volumes:
        yield Found(each, on=[Ref(kind=layer.kind, uuid=group.uuid)])


def _volume(volume: Logical, group: Reported, prefix: str, nodes: dict[str, BlockNode], seen: Survey) -> Volume:
    uuid = prefix + volume.uuid.replace("-", "")
    node = nodes.get(uuid)
    awake = node is not None or any(f"{uuid}-{layer}" in nodes for layer in ("tpool", "vpool"))
    health, remark = _health(volume)
    return Volume(
        name=volume.name,
        size=Exact(bytes=volume.size),
        type=volume.type or None,
        stripes=volume.stripes,
        mirrors=volume.mirrors,
        pool=volume.pool,
        origin=volume.origin,
        group=group.name,
        uuid=volume.uuid,
        extent=group.extent,
        overflowed=volume.overflowed,
        state=State.ACTIVE if awake else State.INACTIVE,
        device=seen.device(node) if node is not None and not volume.type.endswith("-pool") else None,
        health=health,
        remark=remark,
    )


def _health(volume: Logical) -> tuple[Health, str]:
    redundant = volume.type == "mirror" or (volume.type.startswith("raid") and volume.type != "raid0")
    if volume.overflowed:
        return Health.FAILED, "it ran full, and nothing can be read of it any more"
    match volume.status:
        case "":
            if redundant and volume.synchronised is not None and volume.synchronised < 100:
                return Health.SYNCING, f"{volume.synchronised:g}% of it are in sync"
            return Health.OK, ""
        case "partial":
            return (Health.DEGRADED if redundant else Health.FAILED), "a part of it is on a device that is missing"
        case "mismatches exist":
            return Health.OK, "its copies differed when they were last compared"
        case "failed":
            return Health.FAILED, "LVM says: failed"
        case said:
            return Health.DEGRADED, f"LVM says: {said}"
