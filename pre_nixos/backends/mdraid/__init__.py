"""Linux software RAID: arrays of md's own metadata are made and removed, those of a firmware's are recognised."""

from __future__ import annotations

from pre_nixos.backends.mdraid.activate import assemble, stop, stop_container
from pre_nixos.backends.mdraid.disko import read_array, read_member, write_array
from pre_nixos.backends.mdraid.format import make
from pre_nixos.backends.mdraid.geometry import Level
from pre_nixos.backends.mdraid.kinds import Array, Container, Subarray
from pre_nixos.backends.mdraid.modify import change
from pre_nixos.backends.mdraid.nixos import assembled_at_boot, known_to_firmware, within_firmware
from pre_nixos.backends.mdraid.objections import deserted, object_to
from pre_nixos.backends.mdraid.probe import find
from pre_nixos.backends.mdraid.teardown import remove, remove_container
from pre_nixos.plugin import Backend, hooks, implements


@implements(hooks.backend)
def backend() -> Backend:
    """Own arrays, and what a firmware makes of disks."""
    return Backend(
        kinds=[Array, Container, Subarray], tools=["mdadm"], disko_types=["mdraid"], disko_sections=["mdadm"]
    )


__all__ = [
    "Array",
    "Container",
    "Level",
    "Subarray",
    "assemble",
    "assembled_at_boot",
    "backend",
    "change",
    "deserted",
    "find",
    "known_to_firmware",
    "make",
    "object_to",
    "read_array",
    "read_member",
    "remove",
    "remove_container",
    "stop",
    "stop_container",
    "within_firmware",
    "write_array",
]
