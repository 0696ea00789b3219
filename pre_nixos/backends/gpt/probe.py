"""Finding GPTs: what they say is read from the devices themselves, what is in force is asked of the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.gpt import types
from pre_nixos.backends.gpt.kinds import Partition, Table
from pre_nixos.backends.gpt.ondisk import OnDisk, read_table
from pre_nixos.plugin import Exact, Found, Health, ReadAt, Reader, Ref, State, hooks, implements, survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pre_nixos.backends.gpt.ondisk import Entry
    from pre_nixos.plugin import BlockNode, Survey

ENTRIES = 128 * 128
"""Bytes of the entries of a table of usual size."""

NOT_PARTITIONED = ("PMBR",)
"""Tables that stand for no partitions of their own."""


@implements(hooks.probe)
def find(reader: Reader) -> Iterable[Found]:
    """Find every GPT and its partitions, also damaged ones."""
    seen = survey(reader)
    for node in seen.nodes.values():
        signature = next((each for each in seen.signatures(node.number) if each.type == "gpt"), None)
        if signature is None:
            continue
        in_force: Mapping[int, BlockNode] = in_kernel(node, seen) if scheme(node, seen) == "gpt" else {}
        # A table that something hides, such as the array whose member this is, counts if the kernel goes by it.
        if in_force or not signature.hidden:
            yield from _found(node, _read(node, reader, seen), in_force, seen)


def in_kernel(node: BlockNode, seen: Survey) -> Mapping[int, BlockNode]:
    """Give the partitions the kernel has on a device, by number."""
    return {
        int(each.attributes["partition"]): each
        for each in seen.nodes.values()
        if each.parent == node.name and each.attributes.get("partition", "").isdecimal()
    }


def scheme(node: BlockNode, seen: Survey) -> str:
    """Name the kind of table a device's partitions come from, as libblkid calls it; empty if there is none.

    Of several the first is it: libblkid looks in the kernel's order, and what others hide comes last.
    """
    tables = (each.type for each in seen.signatures(node.number) if each.usage == "table")
    return next((each for each in tables if each not in NOT_PARTITIONED), "")


def type_of(partition: BlockNode, reader: Reader, seen: Survey) -> str:
    """Give the type of a partition as its table has it; empty if it is none of a GPT that the kernel goes by."""
    disk = seen.nodes.get(partition.parent)
    number = partition.attributes.get("partition", "")
    if disk is None or not number.isdecimal() or scheme(disk, seen) != "gpt":
        return ""
    entry = _read(disk, reader, seen).entries.get(int(number))
    start, size = int(partition.attributes.get("start", "0")) * 512, seen.device(partition).size
    return entry.type if entry is not None and (entry.start, entry.length) == (start, size) else ""


def _read(node: BlockNode, reader: Reader, seen: Survey) -> OnDisk:
    device = seen.device(node)
    size, sector = device.size, device.logical_block
    # In one go at either end: the MBR, a header and the entries.
    at_once = min(2 * sector + ENTRIES, size)
    ends = {
        start: reader.ask(ReadAt(number=node.number, offset=start, length=at_once)).data
        for start in (0, size - at_once)
    }

    def read(offset: int, length: int) -> bytes:
        for start, data in ends.items():
            if start <= offset and offset + length <= start + len(data):
                return data[offset - start : offset - start + length]
        # Only a table of unusual size, or one that is not where the device ends, leads here.
        return reader.ask(ReadAt(number=node.number, offset=offset, length=length)).data

    return read_table(read, size, sector)


def _found(node: BlockNode, table: OnDisk, in_force: Mapping[int, BlockNode], seen: Survey) -> Iterable[Found]:
    expected = _shows_partitions(node) and scheme(node, seen) == "gpt"
    partitions = [
        _partition(number, table.entries.get(number), in_force.get(number), seen, expected=expected)
        for number in sorted({*table.entries, *in_force})
    ]
    remarks = [*table.faults, *(f"partition {each.number} {each.remark}" for each in partitions if each.remark)]
    health = Health.DEGRADED if remarks else Health.OK
    found = Table(
        uuid=table.uuid,
        unusual=table.unusual,
        lasting=table.lasting,
        beside=table.beside,
        state=State.ACTIVE,
        health=health,
        remark="; ".join(remarks),
    )
    yield Found(found, on=[node.number])
    for partition in partitions:
        # By the device it is on: two disks cloned from one have tables with one UUID.
        yield Found(partition, on=[Ref(number=node.number, content="gpt")])


def _shows_partitions(node: BlockNode) -> bool:
    """Whether the kernel makes devices of partitions here: not inside partitions, mapped devices or most loops."""
    return not node.parent and not {"dm/name", "loop/backing_file"} & node.attributes.keys()


def _partition(number: int, entry: Entry | None, node: BlockNode | None, seen: Survey, *, expected: bool) -> Partition:
    """Make a partition of what the table says and what the kernel has; they may differ."""
    device = seen.device(node) if node else None
    start = int(node.attributes.get("start", "0")) * 512 if node else 0
    state = State.ACTIVE if node else State.INACTIVE
    if entry is None:
        size = Exact(bytes=device.size if device else 0)
        return Partition(
            number=number,
            type=types.UNUSED,
            start=start,
            size=size,
            device=device,
            state=state,
            health=Health.DEGRADED,
            remark="is in the kernel and not in the table",
        )
    remark = ""
    if device is None and expected:
        remark = "is in the table and not in the kernel"
    elif device is not None and (start, device.size) != (entry.start, entry.length):
        remark = (
            f"has {device.size} bytes from byte {start} in the kernel, {entry.length} from {entry.start} in the table"
        )
    return Partition(
        number=number,
        type=entry.type,
        start=entry.start,
        size=Exact(bytes=entry.length),
        label=entry.label or None,
        uuid=entry.uuid,
        attributes=entry.attributes,
        device=device,
        state=state,
        health=Health.DEGRADED if remark else Health.OK,
        remark=remark,
    )
