"""What NixOS must be told of partition tables: on which disks the boot loader of a BIOS belongs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.gpt.kinds import Partition, Table
from pre_nixos.backends.gpt.types import BIOS_BOOT, ESP
from pre_nixos.plugin import AT, Default, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.nixos_options, Table)
def only_a_table(layer: Table, graph: DeviceGraph) -> Mapping[str, object]:
    """Say nothing: what is in its partitions is found by UUIDs."""
    del layer, graph
    return {}


@for_kind(hooks.nixos_options, Partition)
def for_the_boot_loader(layer: Partition, graph: DeviceGraph) -> Mapping[str, object]:
    """Have GRUB on every disk with a partition for it, unless there is an ESP that the system writes to."""
    if layer not in for_bios(graph):
        return {}
    disk = graph.under(graph.under(layer)[0])[0]
    # Of a disk without any lasting link NixOS asks itself, in words of its own.
    devices = [each] if (each := disk.found_at()) else []
    return {"boot": {"loader": {"grub": {"enable": Default(value=True), "devices": devices}}}}


def for_bios(graph: DeviceGraph) -> Sequence[Partition]:
    """Give the partitions from which a BIOS starts the machine: none if there is an ESP that the system writes to."""
    partitions = graph.of(Partition)
    if any(_is_mounted(each, graph) for each in partitions if each.type == ESP):
        return ()
    return [each for each in partitions if each.type == BIOS_BOOT]


def _is_mounted(partition: Partition, graph: DeviceGraph) -> bool:
    """Whether what is in it has a place among the directories."""
    return any(place.startswith(AT) for each in graph.above(partition.id) for place in graph[each].occupies())
