"""Finding every btrfs by the UUID its devices share, and what is inside by reading them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.btrfs.kinds import SIGNATURE, Btrfs, Subvolume
from pre_nixos.backends.btrfs.ondisk import (
    SUPERBLOCK,
    SUPERBLOCK_LENGTH,
    DamagedError,
    Filesystem,
    Subvolumes,
    read_superblock,
)
from pre_nixos.backends.superblocks import SLACK
from pre_nixos.plugin import MIB, Found, Health, ReadAt, Ref, State, hooks, implements, survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pre_nixos.backends.btrfs.ondisk import Superblock
    from pre_nixos.plugin import BlockNode, Reader, Signature

SMALLEST_TO_RESIZE = 256 * MIB
"""The kernel resizes no device to less than this."""


@implements(hooks.probe)
def find(reader: Reader) -> Iterable[Found]:
    """Find every btrfs, mounted or not, and its subvolumes; one that several devices share is one.

    One that was grown from a seed has most of what is in it there, so it stands on the seed as well.
    """
    members: dict[str, list[tuple[BlockNode, Signature]]] = {}
    for node, signature in survey(reader).with_signature(SIGNATURE):
        members.setdefault(signature.uuid, []).append((node, signature))
    families = [family for each in members.values() for family in _families(reader, each)]
    everywhere = {number: family for family in families for number in family.supers}
    for family in families:
        family.look(reader, everywhere)
    for family in families:
        # Nothing can have grown from itself, but bytes may say so all the same.
        family.seeds = [each for each in family.seeds if not _leads_to(family, everywhere[each], everywhere)]
        yield from family.found(reader)


def _families(reader: Reader, members: Sequence[tuple[BlockNode, Signature]]) -> Iterator[_Family]:
    supers = {node.number: _superblock(reader, node.number) for node, _ in members}
    identities = {signature.detail.get("UUID_SUB", node.number) for node, signature in members}
    if _count(supers) <= 1 and len(identities) == 1:
        # One device each: a second one is a copy, made behind the back of btrfs.
        for node, signature in members:
            yield _Family({node.number: supers[node.number]}, signature, 0)
    else:
        yield _Family(supers, members[0][1], _count(supers) - len(identities))


class _Family:
    """The devices of one filesystem, and those that it grew from."""

    def __init__(self, supers: Mapping[str, Superblock | None], signature: Signature, missing: int) -> None:
        self.supers = supers
        self.seeds: Sequence[str] = ()
        """Numbers of devices that are another filesystem's."""
        self._signature = signature
        self._missing = self._lacking = missing
        self._inside = Subvolumes({}, "", "")
        self._problem = ""

    def look(self, reader: Reader, everywhere: Mapping[str, _Family]) -> None:
        """Read what is inside; where that cannot be done, say why. Trees of one that is in use may change meanwhile."""
        known = {number: each for number, each in self.supers.items() if each}
        self._problem = "" if known else "its superblock cannot be read"
        for _ in range(3 if known else 0):
            newest = max(known.values(), key=lambda each: each.generation)
            try:
                self._read(reader, newest, known, everywhere)
            except DamagedError as error:
                self._problem = f"its subvolumes cannot be told: {error}"
            else:
                self._problem = ""
                return
            again = {number: _superblock(reader, number) for number in known}
            if not any(each and each.generation > newest.generation for each in again.values()):
                return
            known = {number: each for number, each in again.items() if each}

    def _read(
        self, reader: Reader, newest: Superblock, known: Mapping[str, Superblock], everywhere: Mapping[str, _Family]
    ) -> None:
        numbers = {each.member.number: number for number, each in known.items()}
        others = {
            number: each
            for number, family in everywhere.items()
            if family is not self and (each := family.supers[number])
        }
        if self._missing > 0:
            # Until it is known which it grew from, it may be any.
            self.seeds = [number for number, each in others.items() if each.is_seed]
        members = Filesystem(newest, _Reading(reader, numbers)).members()
        foreign = {each for each in members if each.filesystem != newest.member.filesystem}
        grown_from = {number: each.member for number, each in others.items() if each.member in foreign}
        self.seeds = list(grown_from)
        self._lacking = self._missing - len(set(grown_from.values()))
        numbers |= {member.number: number for number, member in grown_from.items()}
        self._inside = Filesystem(newest, _Reading(reader, numbers)).subvolumes()

    def found(self, reader: Reader) -> Iterator[Found]:
        """Give the filesystem and its subvolumes."""
        count = _count(self.supers)
        wrong = f"{self._lacking} of {count} devices missing" if self._lacking > 0 else ""
        filesystem = Btrfs(
            label=self._signature.label or None,
            uuid=self._signature.uuid or None,
            data=self._inside.data or None,
            metadata=self._inside.metadata or None,
            devices=count,
            unused=self._unused(reader),
            state=State.ACTIVE,
            health=Health.DEGRADED if wrong else Health.OK,
            remark=wrong or self._problem,
        )
        yield Found(filesystem, on=[*self.supers, *(Ref(number=each, content=SIGNATURE) for each in self.seeds)])
        first = next(iter(self.supers))
        for path, read_only in sorted(self._inside.paths.items()):
            subvolume = Subvolume(name=path, read_only=read_only, state=State.ACTIVE)
            yield Found(subvolume, on=[Ref(number=first, content=SIGNATURE)])

    def _unused(self, reader: Reader) -> int:
        seen = survey(reader)
        left = [
            size - known.size
            for number, known in self.supers.items()
            if known
            and number in seen.by_number
            and (size := seen.device(seen.by_number[number]).size) >= SMALLEST_TO_RESIZE
        ]
        return sum(each for each in left if each > SLACK)


def _leads_to(goal: _Family, start: _Family, everywhere: Mapping[str, _Family]) -> bool:
    """Whether one filesystem grew from another, or from what that was grown from, and so on."""
    queue = [start]
    for each in queue:
        queue += [seed for number in each.seeds if (seed := everywhere[number]) not in queue]
    return goal in queue


def _count(supers: Mapping[str, Superblock | None]) -> int:
    return max((known.devices for known in supers.values() if known), default=0)


def _superblock(reader: Reader, number: str) -> Superblock | None:
    return read_superblock(reader.ask(ReadAt(number=number, offset=SUPERBLOCK, length=SUPERBLOCK_LENGTH)).data)


class _Reading:
    """Reads from the devices of a filesystem, by its own numbers for them."""

    def __init__(self, reader: Reader, numbers: Mapping[int, str]) -> None:
        self._reader = reader
        self._numbers = numbers

    def __call__(self, device: int, offset: int, length: int) -> bytes:
        if device not in self._numbers:
            return b""
        return self._reader.ask(ReadAt(number=self._numbers[device], offset=offset, length=length)).data
