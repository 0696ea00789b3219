"""Finding arrays: the kernel knows those that are assembled; superblocks tell of the others.

A device that carries a superblock is a member only if the array still has it. An assembled array has the devices sysfs
names; one that is not assembled has those its freshest members remember. What is left over, a disk that failed long
ago or half of an array that went its own way, is a signature nobody claims: the array does not reach that disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mdraid.examine import Superblock, bare_name, members, read_superblocks
from pre_nixos.backends.mdraid.geometry import Level
from pre_nixos.backends.mdraid.health import AT_WORK, Running, Slot, of_running, of_stopped
from pre_nixos.backends.mdraid.kinds import EVERYBODYS, MONITOR, Array, Container, Firmware, Subarray
from pre_nixos.backends.mdraid.room import unused
from pre_nixos.plugin import (
    BlockNode,
    Command,
    Found,
    Health,
    Reader,
    ReadFile,
    Ref,
    State,
    Survey,
    Unrecognised,
    hooks,
    implements,
    kind_of,
    survey,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pre_nixos.plugin import Signature

MEMBER = "linux_raid_member"
NOTES = ("/run/mdadm", "/dev/.mdadm")
"""Where the monitors of containers leave their process ids; the second is NixOS's."""
NOBODY = "00000000-0000-0000-0000-000000000000"


@implements(hooks.probe)
def find(reader: Reader) -> Iterable[Found]:
    """Find arrays and containers; mdadm is asked only about superblocks the kernel has not put to use."""
    look = _Look(reader)
    for node in look.assembled:
        version = node.attributes.get("md/metadata_version", "")
        if version.startswith(("external:/", "external:-")):
            yield from look.subarray(node, version)
        elif version.startswith("external:"):
            yield from look.container(node, version.removeprefix("external:"))
        else:
            yield from look.array(node)
    yield from look.dormant()
    yield from look.untold


class _Look:
    """One look at the arrays of a machine."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.seen: Survey = survey(reader)
        # A node in the state `clear` is an empty shell, left by whoever opened it.
        self.assembled = [
            node
            for node in self.seen.whole()
            if "md/level" in node.attributes and node.attributes.get("md/array_state", "clear") != "clear"
        ]
        self.untold: Sequence[Found] = ()
        """Members of arrays that mdadm could not be asked about."""
        self.superblocks = self._superblocks()

    def _superblocks(self) -> Mapping[str, Superblock]:
        """Ask about all members of arrays that are not running, by device number."""
        running = {member for node in self.assembled if node.attributes["md/level"] for member in self._members(node)}
        carrying = [node for node, _ in self.seen.with_signature(MEMBER) if node.number not in running]
        # A superblock at the end of a disk's last partition can be at the end of the disk too; it is the partition's.
        parents = {node.parent for node in carrying}
        asked = {f"/dev/{node.name.replace('!', '/')}": node.number for node in carrying if node.name not in parents}
        if not asked:
            return {}
        ran = self.reader.ask(Command(argv=("mdadm", "--examine", *asked)))
        if ran.error:
            # Half of an array looks just like a stray superblock; the other half may be on disks nobody is to touch.
            what = f"it belongs to an array, and mdadm cannot tell which: {ran.error}"
            self.untold = [
                Found(Unrecognised(what=what, immovable=True, state=State.INACTIVE), on=[number])
                for number in asked.values()
            ]
            return {}
        return {asked[each.device]: each for each in read_superblocks(ran.stdout) if each.device in asked}

    def _members(self, node: BlockNode) -> Sequence[str]:
        return [self.seen.nodes[name].number for name in node.slaves if name in self.seen.nodes]

    def _signature(self, numbers: Iterable[str]) -> Signature | None:
        signatures = (each for number in numbers for each in self.seen.signatures(number) if each.type == MEMBER)
        return next(signatures, None)

    def _read(self, node: BlockNode, attribute: str) -> str:
        return (self.reader.ask(ReadFile(path=f"{node.path}/md/{attribute}")).content or "").strip()

    def array(self, node: BlockNode) -> Iterator[Found]:
        """Give an assembled array, started or not."""
        numbers = self._members(node)
        signature = self._signature(numbers)
        told = next((self.superblocks[each] for each in numbers if each in self.superblocks), None)
        try:
            level = Level.of(node.attributes["md/level"] or (told.level if told else ""))
        except ValueError:  # a level without redundancy or data of its own, such as `faulty`: nobody's business here
            return
        uuid = _uuid(signature, node)
        raid_disks = _number(node.attributes.get("md/raid_disks")) or (told.raid_devices if told else len(numbers))
        running = Running(
            level=level,
            raid_disks=raid_disks,
            state=node.attributes["md/array_state"],
            action=node.attributes.get("md/sync_action", ""),
            resync_start=self._read(node, "resync_start"),
            slots=tuple(
                Slot(slot=self._read(node, f"dev-{name}/slot"), state=self._read(node, f"dev-{name}/state"))
                for name in node.slaves
            ),
        )
        health, remark = of_running(running)
        if not running.started:
            kept = self._kept(uuid)
            # What came too late to be taken in is a member too.
            numbers = [*numbers, *(each for each in kept.values() if each not in numbers)]
            health = of_stopped(list(kept))[0] if kept else health
        label = bare_name(signature.label) if signature else ""
        sizes = {name: self.seen.device(self.seen.nodes[name]).size for name in node.slaves if name in self.seen.nodes}
        room = unused(
            level,
            node.attributes.get("md/metadata_version", ""),
            self.seen.device(node).size,
            sizes if running.started else {},
            ours=signature is not None and signature.label.startswith(f"{EVERYBODYS}:"),
            read=lambda attribute: self._read(node, attribute),
        )
        found = Array(
            name=label or uuid or node.attributes.get("md/metadata_version", ""),
            level=level,
            metadata=node.attributes.get("md/metadata_version") or None,
            chunk=(_number(self._read(node, "chunk_size")) or None) if level.is_striped else None,
            spares=max(0, len(numbers) - running.failed - raid_disks),
            members=raid_disks,
            uuid=uuid,
            unused=room,
            action=running.action,
            shell="" if running.started else node.number,
            state=State.ACTIVE,
            device=self.seen.device(node) if running.started else None,
            health=health,
            remark=remark,
        )
        yield Found(found, on=numbers)

    def _kept(self, uuid: str | None) -> Mapping[Superblock, str]:
        """Give the superblocks of an array that was not started, the freshest first, with their devices."""
        number_of = {superblock: number for number, superblock in self.superblocks.items() if superblock.uuid == uuid}
        return {each: number_of[each] for each in members(number_of)} if number_of else {}

    def dormant(self) -> Iterator[Found]:
        """Give the arrays whose members are there, but which are not assembled."""
        awake = {_uuid(self._signature(self._members(node)), node) for node in self.assembled}
        held = {number for node in self.assembled for number in self._members(node)}
        by_uuid: dict[str, list[tuple[Superblock, str]]] = {}
        for number, superblock in self.superblocks.items():
            if number not in held and superblock.uuid not in awake:
                by_uuid.setdefault(superblock.uuid, []).append((superblock, number))
        for uuid, found in sorted(by_uuid.items()):
            number_of = {superblock.device: number for superblock, number in found}
            kept = members(superblock for superblock, _ in found)
            freshest = kept[0]
            health, remark = of_stopped(kept)
            array = Array(
                name=freshest.name,
                level=freshest.level,
                metadata=freshest.version,
                chunk=freshest.chunk,
                spares=max(0, len(kept) - freshest.raid_devices),
                members=freshest.raid_devices,
                uuid=uuid,
                state=State.INACTIVE,
                health=health,
                remark=remark,
            )
            yield Found(array, on=[number_of[each.device] for each in kept])

    def container(self, node: BlockNode, metadata: str) -> Iterator[Found]:
        """Give an assembled container of the firmware's metadata."""
        if metadata not in set(Firmware):
            return
        found = Container(metadata=metadata, uuid=_container_uuid(node), shell=node.number, state=State.ACTIVE)
        yield Found(found, on=self._members(node))

    def subarray(self, node: BlockNode, version: str) -> Iterator[Found]:
        """Give an array in a container: `external:/md127/0`, or with a dash while it may not be written."""
        name, _, place = version.removeprefix("external:")[1:].partition("/")
        container = self.seen.nodes.get(name)
        try:
            level = Level.of(node.attributes["md/level"])
        except ValueError:
            return
        if container is None:
            return
        degraded, action = _number(node.attributes.get("md/degraded")), node.attributes.get("md/sync_action", "")
        health, remark = Health.OK, ""
        if action in AT_WORK:
            health, remark = Health.SYNCING, f"{action} runs"
        elif degraded:
            health, remark = Health.DEGRADED, f"{degraded} of its members are missing"
        array = Subarray(
            name=place,
            uuid=f"{_container_uuid(container) or ''}/{place}",
            level=level,
            state=State.ACTIVE,
            device=self.seen.device(node),
            health=health,
            remark=remark,
            deserted=self._deserted(container) if level.is_redundant else "",
        )
        metadata = container.attributes.get("md/metadata_version", "").removeprefix("external:")
        inside = Ref(kind=kind_of(Container), name=metadata, uuid=_container_uuid(container) or "")
        yield Found(array, on=[inside, *self._members(node)])

    def _deserted(self, container: BlockNode) -> str:
        """Give the name of a container whose monitor has left its note behind and does not live."""
        for directory in NOTES:
            pid = (self.reader.ask(ReadFile(path=f"{directory}/{container.name}.pid")).content or "").strip()
            if pid.isdecimal():
                comm = self.reader.ask(ReadFile(path=f"/proc/{pid}/comm")).content or ""
                return "" if comm.strip() == MONITOR else container.name
        return ""


def _uuid(signature: Signature | None, node: BlockNode) -> str | None:
    """Give an array's UUID as mdadm writes it; sysfs has it too, but turns that of metadata 0.90 around."""
    said = signature.uuid if signature else ""
    said = said or node.attributes.get("md/uuid", NOBODY).replace(NOBODY, "")
    digits = said.replace("-", "").replace(":", "").lower()
    return ":".join(digits[start : start + 8] for start in range(0, 32, 8)) if len(digits) == 32 else None


def _container_uuid(node: BlockNode) -> str | None:
    """Give what udev noted: the kernel knows nothing of a container, and it only tells two of them apart."""
    return node.udev.get("MD_UUID") or None


def _number(text: str | None) -> int:
    digits = (text or "").split(" ")[0]
    return int(digits) if digits.isdecimal() else 0
