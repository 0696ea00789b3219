"""What no backend claims: signatures and bytes, which can be cleared by a consent that names them.

They are found by the core once every plugin has had its say; here is only how they go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import (
    MIB,
    WINDOWS,
    Action,
    Backend,
    Node,
    Range,
    RequireFree,
    Step,
    Unrecognised,
    Verb,
    Zero,
    for_kind,
    hooks,
    implements,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph

GIB = 1024 * MIB

COPIES = {
    "btrfs": (64 * MIB, 256 * GIB, 1024 * 1024 * GIB),  # superblocks that recovery tools accept without the first
    "ceph_bluestore": (1 * GIB, 10 * GIB, 100 * GIB, 1000 * GIB),  # labels
}
"""Where a signature has copies beyond both ends of its device; what lies beyond the device itself is left off."""

COPY = MIB
"""How much is cleared at each of these places: more than any of the copies is long."""


ZFS = "ZFS is recognised and cleared away, and not made here"
BCACHEFS = "bcachefs is recognised and cleared away, and not made here"
NOT_MADE = {
    "zfs": ZFS,
    "zfs_fs": ZFS,
    "zfs_volume": ZFS,
    "zpool": ZFS,
    "bcachefs": BCACHEFS,
    "bcachefs_filesystem": BCACHEFS,
    "bcachefs_filesystems": BCACHEFS,
}
"""Types and sections of layouts that a plugin may bring one day; whoever does has the last word."""


@implements(hooks.backend)
def backend() -> Backend:
    """Own what nobody else does."""
    return Backend(kinds=[Unrecognised], disko_refused=NOT_MADE)


@for_kind(hooks.teardown, Unrecognised)
def remove(layer: Unrecognised, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends of each device and every copy known of; what is immovable is only looked at, and refused."""
    devices = graph.devices(layer)
    steps: list[Step] = []
    for device in devices:
        node = Node(layer=device.id)
        steps.append(RequireFree(target=node))
        if not layer.immovable:
            steps.append(Zero(target=node, ranges=places(layer.what)))
    names = ", ".join(graph.called(device) for device in devices)
    summary = f"leave {layer.what} alone" if layer.immovable else f"clear {layer.describe()} from {names}"
    return [
        Action(verb=Verb.TEARDOWN, target=layer.id, summary=summary, steps=tuple(steps), destroys=(layer.id,)),
    ]


def places(what: str) -> tuple[Range, ...]:
    """Give every range of a device in which a signature, or a copy of it, may be."""
    return (*WINDOWS, *(Range(start=start, length=COPY) for start in COPIES.get(what, ())))
