"""Activating and deactivating volumes, which loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.lvm.command import lvm
from pre_nixos.backends.lvm.kinds import Group, Volume
from pre_nixos.plugin import Action, Await, Node, State, Verb, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph, Step


@for_kind(hooks.activate, Group)
def switch_on(layer: Group, graph: DeviceGraph) -> Sequence[Action]:
    """Activate the volumes that are wanted, each by its name in this group on these devices.

    No other group can be meant: LVM sees only this one's devices.
    """
    nodes = [Node(layer=device.id) for device in graph.devices(layer)]
    volumes = graph.parts_of_kind(layer, Volume)
    names = [f"{layer.name}/{each.name}" for each in volumes]
    # Snapshots carry a mark by which they are left out unless it is ignored, and nobody listed them for nothing.
    how = ("--activate", "y", "--ignoreactivationskip")
    steps: list[Step] = [lvm("lvchange", nodes, *how, *names)] if names else []
    steps += [Await(target=Node(layer=each.id)) for each in volumes if not each.is_pool]
    summary = f"activate {', '.join(names) or f'volume group {layer.name}'}"
    return [Action(verb=Verb.ACTIVATE, target=layer.id, summary=summary, steps=tuple(steps))]


@for_kind(hooks.deactivate, Group)
def switch_off(layer: Group, graph: DeviceGraph) -> Sequence[Action]:
    """Deactivate every volume of the group with this UUID: another may have its name."""
    nodes = [Node(layer=device.id) for device in graph.devices(layer)]
    chosen = ("--select", f"vg_uuid={layer.uuid}") if layer.uuid else (layer.name,)
    active = [each for each in graph.parts_of_kind(layer, Volume) if each.state is State.ACTIVE and not each.is_pool]
    steps: tuple[Step, ...] = (
        lvm("vgchange", nodes, "--activate", "n", *chosen),
        *(Await(target=Node(layer=each.id), present=False) for each in active),
    )
    summary = f"deactivate volume group {layer.name}"
    return [Action(verb=Verb.DEACTIVATE, target=layer.id, summary=summary, steps=steps)]
