"""One look at a machine that every probe shares: the device tree first, then the content of what may be read.

The first stage reads sysfs alone, which cannot block. Only devices that passed it are opened in the second: no floppy,
no optical drive, no RAM disk, nothing suspended and nothing that stands on something suspended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from pre_nixos.host.questions import ReadBlockNodes, ReadMounts, SafeProbe, Verdict
from pre_nixos.model.device import BlockDevice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pre_nixos.host.api import Reader
    from pre_nixos.host.questions import BlockNode, Content, Question, Signature

A = TypeVar("A")

REACHED = frozenset({"", "live", "running"})
"""What the kernel says of how a disk is reached, if it says anything and all is well."""
IGNORED = ("fd", "sr", "ram", "zram", "mtdblock", "nbd")
"""Names of drivers whose devices are never targets and may not even like to be opened."""
FIRST = 4096
"""Bytes at the start of a device in which a kernel looks for most kinds of tables."""


class Memo:
    """A reader that asks each question once: what one probe shares. Guards have none."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._answers: dict[bytes, object] = {}
        self.survey: Survey | None = None

    def ask(self, question: Question[A]) -> A:
        """Answer from memory, or ask and remember."""
        import msgspec

        key = msgspec.json.encode(question)
        if key not in self._answers:
            self._answers[key] = self._reader.ask(question)
        return cast("A", self._answers[key])


class Survey:
    """The device tree and what the devices hold."""

    def __init__(
        self,
        nodes: Sequence[BlockNode],
        contents: Sequence[Content],
        left_out: Sequence[BlockNode],
        mirages: Sequence[BlockNode] = (),
    ) -> None:
        imagined = {each.number for each in mirages}
        self.nodes: Mapping[str, BlockNode] = {each.name: each for each in nodes if each.number not in imagined}
        self.contents: Mapping[str, Content] = {each.number: each for each in contents if each.number not in imagined}
        self.left_out = tuple(left_out)
        """Nodes that were not opened: suspended or out of reach, or on something that is."""
        self.mirages = tuple(mirages)
        """Nodes of partitions that are none; they are not among the others."""
        self.looked_at: Mapping[str, Content] = {each.number: each for each in contents}
        """What everything that was opened holds, these included."""
        self.by_number: Mapping[str, BlockNode] = {each.number: each for each in self.nodes.values()}

    def device(self, node: BlockNode | str) -> BlockDevice:
        """Give the block device of a node (or of a `major:minor`), with what a partition inherits from its disk."""
        return block_device(self.by_number[node] if isinstance(node, str) else node, self.nodes)

    def out_of_reach(self) -> Sequence[tuple[BlockNode, str]]:
        """Give the disks that were not opened because the way to them is not open now, each with what is the matter."""
        return [(each, state) for each in self.left_out if (state := _unreached(each))]

    def whole(self) -> Sequence[BlockNode]:
        """Give the nodes that are no partitions, by name."""
        return [each for each in self.nodes.values() if not each.parent]

    def signatures(self, number: str) -> Sequence[Signature]:
        """Give every signature on a device."""
        content = self.contents.get(number)
        return content.signatures if content else ()

    def with_signature(self, *types: str) -> Sequence[tuple[BlockNode, Signature]]:
        """Give the nodes that carry a signature of one of these types, with it; none that another one hides."""
        return [
            (self.by_number[number], signature)
            for number, content in self.contents.items()
            for signature in content.signatures
            if signature.type in types and not signature.hidden
        ]

    def unread(self) -> Sequence[Content]:
        """Give the devices whose content could not be told."""
        told = {Verdict.BLANK, Verdict.KNOWN, Verdict.DATA, Verdict.AMBIGUOUS}
        return [each for each in self.contents.values() if each.verdict not in told]


def survey(reader: Reader) -> Survey:
    """Look at a machine; within one probe it is done once."""
    if isinstance(reader, Memo) and reader.survey is not None:
        return reader.survey
    # A driver nobody looks at may still carry a part of what is looked at: then it is known of, and not opened.
    nodes = [each for each in reader.ask(ReadBlockNodes()).nodes if _counts(each) or (_ignored(each) and each.holders)]
    stuck = _suspended(nodes) | {each.name for each in nodes if _ignored(each)}
    readable = tuple(each.number for each in nodes if each.name not in stuck)
    contents = reader.ask(SafeProbe(numbers=readable)).devices if readable else ()
    left_out = [each for each in nodes if each.name in stuck]
    found = Survey(nodes, contents, left_out, _mirages(nodes, contents, reader))
    if isinstance(reader, Memo):
        reader.survey = found
    return found


def _mirages(nodes: Sequence[BlockNode], contents: Sequence[Content], reader: Reader) -> Sequence[BlockNode]:
    """Find partitions that nobody uses and that only the kernel sees, in the first bytes of what is no table at all.

    It knows the tables of some systems by a sum of one byte, or by less: the header of something encrypted, or code to
    boot from, looks like one now and then.
    """
    held = {each.number: each for each in contents}
    of_disk: dict[str, list[BlockNode]] = {}
    for each in nodes:
        if each.parent:
            of_disk.setdefault(each.parent, []).append(each)
    seen = {
        disk.name: partitions
        for disk in nodes
        if (partitions := of_disk.get(disk.name))
        and held.keys() >= {disk.number, *(each.number for each in partitions)}
        if are_mirages(held[disk.number], [(_start(each), held[each.number]) for each in partitions])
    }
    if not seen:
        return ()
    table = reader.ask(ReadMounts())
    used = {each.device for each in table.mounts} | {each.source for each in table.mounts} | set(table.swaps)
    used |= {backing for each in nodes if (backing := each.attributes.get("loop/backing_file"))}
    return [
        each
        for partitions in seen.values()
        if not any(part.holders or not used.isdisjoint({part.number, f"/dev/{part.name}"}) for part in partitions)
        for each in partitions
    ]


def are_mirages(disk: Content, partitions: Iterable[tuple[int, Content]]) -> bool:
    """Whether a disk has no table, and its partitions, each with its start, hold nothing but what it holds itself.

    What is on it from its first bytes on is known then, and is what the kernel takes for a table. A table that was
    overwritten looks the same; but what is in its partitions is in none of what is on the disk.
    """
    whole = {(each.type, each.uuid, each.offset) for each in disk.signatures}
    return (
        disk.verdict is Verdict.KNOWN
        and any(not each.hidden and each.offset < FIRST for each in disk.signatures)
        and not any(each.usage == "table" for each in disk.signatures)
        and all(
            part.verdict is Verdict.BLANK
            or (
                part.verdict is Verdict.KNOWN
                and {(each.type, each.uuid, start + each.offset) for each in part.signatures} <= whole
            )
            for start, part in partitions
        )
    )


def _start(node: BlockNode) -> int:
    return int(node.attributes.get("start", "0")) * 512


def _ignored(node: BlockNode) -> bool:
    return node.name.rstrip("0123456789") in IGNORED or node.attributes.get("device/type") == "5"


def _counts(node: BlockNode) -> bool:
    if _ignored(node):
        return False
    return node.attributes.get("size", "0") not in {"", "0"} or bool(node.slaves) or "md/level" in node.attributes


def _unreached(node: BlockNode) -> str:
    state = node.attributes.get("device/state", "")
    return "" if state in REACHED else state


def _suspended(nodes: Sequence[BlockNode]) -> set[str]:
    stuck = {each.name for each in nodes if each.attributes.get("dm/suspended") == "1" or _unreached(each)}
    while True:
        more = {
            each.name
            for each in nodes
            if each.name not in stuck and (stuck.intersection(each.slaves) or each.parent in stuck)
        }
        if not more:
            return stuck
        stuck |= more


def block_device(node: BlockNode, nodes: Mapping[str, BlockNode]) -> BlockDevice:
    """Say what sysfs and udev's database tell of a node, as the model has it."""
    whole = nodes.get(node.parent, node) if node.parent else node
    mine, disk = node.attributes, whole.attributes
    hints = whole.udev
    return BlockDevice(
        name=node.name,
        number=node.number,
        size=int(mine.get("size", "0") or 0) * 512,
        diskseq=int(disk["diskseq"]) if disk.get("diskseq", "").isdecimal() else None,
        logical_block=int(disk.get("queue/logical_block_size", "512")),
        physical_block=int(disk.get("queue/physical_block_size", "512")),
        rotational={"0": False, "1": True}.get(disk.get("queue/rotational", "")),
        transport=_transport(whole),
        model=disk.get("device/model") or hints.get("ID_MODEL") or None,
        serial=hints.get("ID_SCSI_SERIAL")
        or hints.get("ID_SERIAL_SHORT")
        or disk.get("device/serial")
        or disk.get("serial")
        or None,
        wwn=_wwn(whole),
        unit=_unit(whole),
        path=hints.get("ID_PATH") or None,
        read_only=mine.get("ro") == "1" or disk.get("ro") == "1",
        removable=disk.get("removable") == "1",
        links=node.links,
    )


def _transport(node: BlockNode) -> str | None:
    said = node.attributes.get("device/transport")
    if said:
        return "nvme" if said == "pcie" else f"nvme-{said}" if node.name.startswith("nvme") else said
    if "/usb" in node.path:
        return "usb"
    for part, transport in (("/ata", "sata"), ("/virtio", "virtio"), ("/mmc", "mmc"), ("/nvme", "nvme")):
        if part in node.path:
            return transport
    if "/host" in node.path:
        return "scsi"
    return node.udev.get("ID_BUS")


def _wwn(node: BlockNode) -> str | None:
    """Give what identifies the unit everywhere; the kernel's `t10.` names are vendors' words and do not."""
    for said in (node.attributes.get("wwid"), node.attributes.get("device/wwid")):
        if said and said.startswith(("naa.", "eui.", "uuid.")):
            return said
    return node.udev.get("ID_WWN_WITH_EXTENSION") or node.udev.get("ID_WWN")


def _unit(node: BlockNode) -> str | None:
    namespace = node.name.rpartition("n")[2]
    if node.name.startswith("nvme") and namespace.isdecimal():
        return f"ns{namespace}"
    return None


__all__ = ["Memo", "Survey", "are_mirages", "block_device", "survey"]
