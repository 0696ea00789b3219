"""Partition tables other than GPT: recognised and removed, never made.

MBRs are read; the schemes of other systems are known by the partitions the kernel shows. So is what is no table at all:
partitions the kernel still has of a table that is gone.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from pre_nixos.backends.gpt import in_kernel, landing_zones, removal, scheme
from pre_nixos.plugin import (
    Action,
    Backend,
    Exact,
    Fact,
    Found,
    Health,
    Layer,
    Name,
    ReadAt,
    Reader,
    Ref,
    Size,
    State,
    Verb,
    exact_bytes,
    for_kind,
    hooks,
    implements,
    survey,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pre_nixos.plugin import BlockNode, DeviceGraph, Pieces, Signature, Survey

MBR = "dos"
EXTENDED = frozenset({"05", "0f", "85", "c5"})
"""Types of the partition that holds the logical ones."""
NO_TABLE = "kernel"
"""The scheme of partitions that only the kernel knows of."""
SIGNATURE = b"\x55\xaa"
"""How the first sector ends."""
_ENTRY = struct.Struct("<B3xB3xII")
_ENTRIES = range(446, 510, 16)
"""Where it has the four entries."""


class Table(Layer, tag="dos"):
    """A partition table that is no GPT: an MBR, or that of another system."""

    precious = False
    scheme: Name[str] = MBR
    """libblkid's name of it: `dos`, `sun`, `mac`, `bsd`, ...; `kernel` if only the kernel has these partitions."""
    uuid: Fact[str] = ""
    """For an MBR its disk identifier."""

    def explains(self) -> frozenset[str]:
        """Itself, or what a table that is gone left behind."""
        return frozenset({_signature(self.scheme)})

    def describe(self) -> str:
        """Its scheme, in words."""
        if self.scheme == NO_TABLE:
            return "table that only the kernel knows of"
        return "MBR" if self.scheme == MBR else f"partition table of type {self.scheme}"


def _signature(scheme: str) -> str:
    return "PMBR" if scheme == NO_TABLE else scheme


class Partition(Layer, tag="dos.partition"):
    """One partition, primary or logical."""

    part_of = "dos"
    number: Name[int]
    size: Size | str
    start: int | None = None
    """In bytes from the start of the device."""
    type: str | None = None
    """Two hexadecimal digits, such as 83; None for logical partitions, of which only the place is known."""
    bootable: bool | None = None

    @property
    def title(self) -> str:
        """Its number."""
        return f"partition {self.number}"

    def describe(self) -> str:
        """Type and size."""
        return " ".join(filter(None, (f"type {self.type}" if self.type else "", str(self.size))))

    def mark(self) -> Mapping[str, str] | None:
        """The kernel shows its number."""
        return {"partition": str(self.number)}

    def usable(self, below: Sequence[int]) -> int | None:
        """Exactly its size."""
        del below
        return self.size.bytes if isinstance(self.size, Exact) else None


class Chain(Layer, tag="dos.logical"):
    """The list of logical partitions at the start of an extended one; the partitions belong to the table itself."""

    part_of = "dos.partition"

    def explains(self) -> frozenset[str]:
        """It looks like a table of its own."""
        return frozenset({MBR})


class Slot(NamedTuple):
    """One of the four entries of an MBR, in bytes."""

    number: int
    start: int
    length: int
    type: str
    bootable: bool


@implements(hooks.backend)
def backend() -> Backend:
    """Own the tables other than GPT."""
    return Backend(kinds=[Table, Partition, Chain])


@implements(hooks.probe)
def probe(reader: Reader) -> Iterable[Found]:
    """Find the tables that are in charge of their device's partitions, and those partitions."""
    seen = survey(reader)
    lists: set[str] = set()
    for node in sorted(seen.nodes.values(), key=lambda each: bool(each.parent)):
        there, name = in_kernel(node, seen), scheme(node, seen)
        if node.number in lists or name == "gpt":
            continue
        signature = next((each for each in seen.signatures(node.number) if each.type == name), None)
        if there or (signature is not None and not signature.hidden):
            found, extended = _table(node, signature, there, reader, seen)
            yield from found
            lists |= extended


def _table(
    node: BlockNode, signature: Signature | None, there: Mapping[int, BlockNode], reader: Reader, seen: Survey
) -> tuple[Sequence[Found], set[str]]:
    """Give a table with its partitions, and the numbers of the extended ones."""
    sector = seen.device(node).logical_block
    name = signature.type if signature else NO_TABLE
    remark = ""
    slots: Mapping[int, Slot] = {}
    if name == MBR:
        answer = reader.ask(ReadAt(number=node.number, offset=0, length=512))
        slots = slots_of(answer.data, sector)
        remark = f"it cannot be read: {answer.error}" if answer.error else ""
    table = Table(
        scheme=name,
        uuid=signature.uuid if signature else "",
        state=State.ACTIVE,
        health=Health.DEGRADED if remark else Health.OK,
        remark=remark,
    )
    found = [Found(table, on=[node.number])]
    extended: set[str] = set()
    for number in sorted({*slots, *there}):
        slot, shown = slots.get(number), there.get(number)
        partition = _partition(number, slot, shown, seen)
        found.append(Found(partition, on=[Ref(number=node.number, content=_signature(name))]))
        if shown and partition.type in EXTENDED:
            found.append(Found(Chain(state=State.ACTIVE), on=[shown.number]))
            extended.add(shown.number)
    return found, extended


def _partition(number: int, slot: Slot | None, node: BlockNode | None, seen: Survey) -> Partition:
    device = seen.device(node) if node else None
    start = int(node.attributes.get("start", "0")) * 512 if node else 0
    return Partition(
        number=number,
        # The kernel shows no more of an extended partition than its first sectors; the table knows how long it is.
        size=Exact(bytes=slot.length if slot else device.size if device else 0),
        start=slot.start if slot else start,
        type=slot.type if slot else None,
        bootable=slot.bootable if slot else None,
        device=device,
        state=State.ACTIVE if device else State.INACTIVE,
    )


def slots_of(sector: bytes, size: int = 512) -> Mapping[int, Slot]:
    """Read the four entries of an MBR, given the bytes in a logical block; what is no MBR has none."""
    if len(sector) < 512 or sector[510:512] != SIGNATURE:
        return {}
    found: dict[int, Slot] = {}
    for number, at in enumerate(_ENTRIES, 1):
        flags, type_, first, count = _ENTRY.unpack_from(sector, at)
        if type_ and count:
            found[number] = Slot(number, first * size, count * size, f"{type_:02x}", flags == 0x80)
    return found


@implements(hooks.disguise)
def only_the_entries(pieces: Pieces, other: Callable[[str], str]) -> Mapping[int, bytes]:
    """Show where partitions are, and of what type; neither the disk's identifier nor code."""
    del other
    sector = pieces.at(0, 512)
    if sector[510:] != SIGNATURE or any(sector[at] & 0x7F for at in _ENTRIES):
        return {}
    entries = b"".join(_ENTRY.pack(*_ENTRY.unpack_from(sector, at)) for at in _ENTRIES)
    return {_ENTRIES[0]: entries, 510: SIGNATURE}


@for_kind(hooks.teardown, Table)
def remove(layer: Table, graph: DeviceGraph) -> Sequence[Action]:
    """Take the partitions out of the kernel, then clear both ends of each, and of the disk."""
    parts = graph.parts_of_kind(layer, Partition)
    device = graph.devices(layer)[0]
    zones = landing_zones((each.start or 0, exact_bytes(each.size)) for each in parts)
    count = "1 partition" if len(parts) == 1 else f"{len(parts)} partitions"
    return [
        Action(
            verb=Verb.TEARDOWN,
            target=layer.id,
            summary=f"remove the {layer.describe()} with {count} from {graph.called(device)}",
            steps=removal(device, zones),
            destroys=(layer.id, *(each.id for each in parts)),
        )
    ]
