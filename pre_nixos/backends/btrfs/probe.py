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
    from collections.abc import Iterable, Iterator, Mapping

    from pre_nixos.backends.btrfs.ondisk import Superblock
    from pre_nixos.plugin import BlockNode, Reader, Signature

SMALLEST_TO_RESIZE = 256 * MIB
"""The kernel resizes no device to less than this."""


@implements(hooks.probe)
def find(reader: Reader) -> Iterable[Found]:
    """Find every btrfs, mounted or not, and its subvolumes; one that several devices share is one."""
    members: dict[str, list[tuple[BlockNode, Signature]]] = {}
    for node, signature in survey(reader).with_signature(SIGNATURE):
        members.setdefault(signature.uuid, []).append((node, signature))
    for uuid, each in members.items():
        supers = {node.number: _superblock(reader, node.number) for node, _ in each}
        count = max((known.devices for known in supers.values() if known), default=0)
        identities = {signature.detail.get("UUID_SUB", node.number) for node, signature in each}
        if count <= 1 and len(identities) == 1:
            # One device each: a second one is a copy, made behind the back of btrfs.
            for node, signature in each:
                yield from _whole(reader, uuid, {node.number: supers[node.number]}, signature)
            continue
        missing = count - len(identities)
        wrong = f"{missing} of {count} devices missing" if missing > 0 else ""
        yield from _whole(reader, uuid, supers, each[0][1], wrong)


def _superblock(reader: Reader, number: str) -> Superblock | None:
    return read_superblock(reader.ask(ReadAt(number=number, offset=SUPERBLOCK, length=SUPERBLOCK_LENGTH)).data)


def _whole(
    reader: Reader, uuid: str, supers: Mapping[str, Superblock | None], signature: Signature, wrong: str = ""
) -> Iterator[Found]:
    count = max((known.devices for known in supers.values() if known), default=0)
    inside, problem = _inside(reader, supers)
    seen = survey(reader)
    sizes = {number: seen.device(seen.by_number[number]).size for number in supers if number in seen.by_number}
    left = [
        sizes[number] - known.size
        for number, known in supers.items()
        if known and sizes.get(number, 0) >= SMALLEST_TO_RESIZE
    ]
    filesystem = Btrfs(
        label=signature.label or None,
        uuid=uuid or None,
        data=inside.data or None,
        metadata=inside.metadata or None,
        devices=count,
        unused=sum(each for each in left if each > SLACK),
        state=State.ACTIVE,
        health=Health.DEGRADED if wrong else Health.OK,
        remark=wrong or problem,
    )
    yield Found(filesystem, on=list(supers))
    first = next(iter(supers))
    for path, read_only in sorted(inside.paths.items()):
        subvolume = Subvolume(name=path, read_only=read_only, state=State.ACTIVE)
        yield Found(subvolume, on=[Ref(number=first, content=SIGNATURE)])


def _inside(reader: Reader, supers: Mapping[str, Superblock | None]) -> tuple[Subvolumes, str]:
    """Read what is inside; where that cannot be done, say why. Trees of one that is in use may change meanwhile."""
    known = {number: each for number, each in supers.items() if each}
    if not known:
        return Subvolumes({}, "", ""), "its superblock cannot be read"
    problem = ""
    for _ in range(3):
        newest = max(known.values(), key=lambda each: each.generation)
        try:
            return Filesystem(newest, _reading(reader, known)).subvolumes(), ""
        except DamagedError as error:
            problem = f"its subvolumes cannot be told: {error}"
        again = {number: _superblock(reader, number) for number in known}
        if not any(each and each.generation > newest.generation for each in again.values()):
            break
        known = {number: each for number, each in again.items() if each}
    return Subvolumes({}, "", ""), problem


def _reading(reader: Reader, known: Mapping[str, Superblock]) -> _Reading:
    return _Reading(reader, {each.device: number for number, each in known.items()})


class _Reading:
    """Reads from the devices of a filesystem, by its own numbers for them."""

    def __init__(self, reader: Reader, numbers: Mapping[int, str]) -> None:
        self._reader = reader
        self._numbers = numbers

    def __call__(self, device: int, offset: int, length: int) -> bytes:
        if device not in self._numbers:
            return b""
        return self._reader.ask(ReadAt(number=self._numbers[device], offset=offset, length=length)).data
