"""btrfs: a filesystem that may stretch over several devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import (
    MIB,
    WINDOWS,
    Action,
    Backend,
    Command,
    Fact,
    Found,
    Health,
    Layer,
    Node,
    Range,
    Replace,
    RequireFree,
    Run,
    State,
    Verb,
    Zero,
    for_kind,
    hooks,
    implements,
    survey,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pre_nixos.plugin import BlockNode, DeviceGraph, Reader, Signature

SIGNATURE = "btrfs"
MIRRORS = (Range(start=64 * MIB, length=4096), Range(start=256 * 1024 * MIB, length=4096))
"""Further copies of the superblock, which libblkid does not look at and recovery tools do."""


class Btrfs(Layer, tag="btrfs"):
    """A btrfs on one device or several."""

    label: str | None = None
    uuid: str | None = None
    devices: Fact[int] = 0
    """How many devices it has by its own account; 0 if that could not be read."""

    def describe(self) -> str:
        """Label, and over how many devices it stretches."""
        label = f" {self.label!r}" if self.label else ""
        return f"btrfs{label}" + (f" over {self.devices} devices" if self.devices > 1 else "")

    def explains(self) -> frozenset[str]:
        """Its own signature, on every device."""
        return frozenset({SIGNATURE})


@implements(hooks.backend)
def backend() -> Backend:
    """Own btrfs."""
    return Backend(kinds=[Btrfs], tools=["btrfs"])


@implements(hooks.probe)
def probe(reader: Reader) -> Iterable[Found]:
    """Find every btrfs by the UUID its devices share; one process says how many there should be."""
    members: dict[str, list[tuple[BlockNode, Signature]]] = {}
    for node, signature in survey(reader).with_signature(SIGNATURE):
        members.setdefault(signature.uuid, []).append((node, signature))
    if not members:
        return
    paths = [f"/dev/{node.name}" for each in members.values() for node, _ in each]
    dumped = reader.ask(Command(argv=("btrfs", "inspect-internal", "dump-super", *paths)))
    counts = device_counts(dumped.stdout)
    for uuid, each in members.items():
        count = max((counts.get(f"/dev/{node.name}", 0) for node, _ in each), default=0)
        identities = {signature.detail.get("UUID_SUB", node.number) for node, signature in each}
        if count <= 1 and len(identities) == 1:
            # One device each: a second one is a copy, made behind the back of btrfs.
            for node, signature in each:
                yield Found(_filesystem(uuid, signature, count), on=[node.number])
            continue
        missing = count - len(identities)
        filesystem = _filesystem(
            uuid, each[0][1], count, f"{missing} of {count} devices missing" if missing > 0 else ""
        )
        yield Found(filesystem, on=[node.number for node, _ in each])


def _filesystem(uuid: str, signature: Signature, count: int, wrong: str = "") -> Btrfs:
    return Btrfs(
        label=signature.label or None,
        uuid=uuid or None,
        devices=count,
        state=State.ACTIVE,
        health=Health.DEGRADED if wrong else Health.OK,
        remark=wrong,
    )


def device_counts(dumped: str) -> Mapping[str, int]:
    """Read `btrfs inspect-internal dump-super`: how many devices the filesystem has, by the path of the one asked."""
    counts: dict[str, int] = {}
    path = ""
    for line in dumped.splitlines():
        if line.startswith("superblock:"):
            path = line.partition("device=")[2]
        elif line.startswith("num_devices"):
            counts[path] = int(line.split()[1])
    return counts


@for_kind(hooks.teardown, Btrfs)
def remove(layer: Btrfs, graph: DeviceGraph) -> Sequence[Action]:
    """Clear every copy of the superblock on every device, and make the kernel forget that they belonged together."""
    devices = graph.devices(layer)
    nodes = [Node(layer=each.id) for each in devices]
    # The kernel remembers devices of filesystems that have several, and can only forget what it remembers.
    forget = (
        (Run(argv=("btrfs", "device", "scan", *nodes)), Run(argv=("btrfs", "device", "scan", "--forget", *nodes)))
        if layer.devices > 1
        else ()
    )
    steps = (
        *(RequireFree(target=node) for node in nodes),
        *forget,
        *(Zero(target=node, ranges=(*WINDOWS, *MIRRORS)) for node in nodes),
    )
    summary = f"remove {layer.describe()} from {', '.join(graph.called(each) for each in devices)}"
    return [Action(verb=Verb.TEARDOWN, target=layer.id, summary=summary, steps=steps, destroys=(layer.id,))]


@for_kind(hooks.modify, Btrfs)
def change(old: Btrfs, new: Btrfs, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Nothing can be changed in place yet, and nothing may be lost for want of a way."""
    del before, after
    return Replace(why="; ".join(str(each) for each in new.mismatches(old)))
