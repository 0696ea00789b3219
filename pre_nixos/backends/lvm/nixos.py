"""What NixOS must be told of LVM: that there is some, and what its kinds of volumes need at boot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.lvm.kinds import Group, Volume
from pre_nixos.plugin import for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.plugin import DeviceGraph

MODULES = {
    "cache": ("dm-cache", "dm-cache-smq"),
    "mirror": ("dm-mirror",),
    "raid0": ("dm-raid", "raid0"),
    "raid1": ("dm-raid", "raid1"),
    "raid10": ("dm-raid", "raid10"),
    "raid4": ("dm-raid", "raid456"),
    "raid5": ("dm-raid", "raid456"),
    "raid6": ("dm-raid", "raid456"),
    "snapshot": ("dm-snapshot",),
    "writecache": ("dm-writecache",),
}
"""What the kernel needs for each type, beyond what is in every initrd with LVM."""


@for_kind(hooks.nixos_options, Group)
def activated_at_boot(layer: Group, graph: DeviceGraph) -> Mapping[str, object]:
    """Have groups activated, in the initrd too: nobody can tell what else will be needed there one day."""
    del layer, graph
    return {"boot": {"initrd": {"services": {"lvm": {"enable": True}}}}, "services": {"lvm": {"enable": True}}}


@for_kind(hooks.nixos_options, Volume)
def needed_for_it(layer: Volume, graph: DeviceGraph) -> Mapping[str, object]:
    """Have what the type of a volume needs: programs for thin ones, modules of the kernel for others."""
    del graph
    type_ = (layer.type or "").split("_")[0]
    if type_.startswith("thin"):
        return {"services": {"lvm": {"boot": {"thin": {"enable": True}}}}}
    modules = MODULES.get(type_)
    return {"boot": {"initrd": {"kernelModules": list(modules)}}} if modules else {}
