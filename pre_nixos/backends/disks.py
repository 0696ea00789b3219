"""Disks: the whole devices every stack begins on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.plugin import Backend, Disk, Found, Reader, State, for_kind, hooks, implements, survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pre_nixos.plugin import BlockNode, DeviceGraph

MADE_OF_OTHERS = re.compile(r"(?:md|dm-|loop|drbd|zd|nullb|device-mapper)\d*.*")
"""Drivers whose devices stand on something else, or on nothing, wherever sysfs puts them."""

FIRMWARE_AREA = re.compile(r"mmcblk\d+(?:boot|gp|rpmb)\d*")
"""Areas of an eMMC beside the disk proper: they share its serial and hold firmware."""


@implements(hooks.backend)
def backend() -> Backend:
    """Own disks."""
    return Backend(kinds=[Disk])


@implements(hooks.probe)
def probe(reader: Reader) -> Iterable[Found]:
    """Find the disks in sysfs alone; none is opened for it."""
    seen = survey(reader)
    for node in seen.whole():
        if is_disk(node):
            device = seen.device(node)
            yield Found(
                Disk(
                    wwn=device.wwn,
                    serial=device.serial,
                    model=device.model,
                    size=device.size,
                    device=device,
                    state=State.ACTIVE,
                )
            )


@for_kind(hooks.nixos_options, Disk)
def only_a_disk(layer: Disk, graph: DeviceGraph) -> Mapping[str, object]:
    """Say nothing: which driver it takes is for the configuration of the hardware."""
    del layer, graph
    return {}


def is_disk(node: BlockNode) -> bool:
    """Tell hardware, real or emulated, from what the kernel makes of other devices."""
    if node.parent or node.slaves or MADE_OF_OTHERS.fullmatch(node.name) or FIRMWARE_AREA.fullmatch(node.name):
        return False
    # A namespace with several paths has its node below a virtual directory, and is a disk all the same.
    return "/devices/virtual/" not in node.path or "/virtual/nvme-subsystem/" in node.path
