"""Swap: areas on devices, devices in use as swap, and files in use as swap."""

from pre_nixos.backends.swap.activate import file_on, switch_on
from pre_nixos.backends.swap.deactivate import file_off, switch_off
from pre_nixos.backends.swap.disko import read_area, read_files, write_area, write_file, write_use
from pre_nixos.backends.swap.format import make
from pre_nixos.backends.swap.kinds import Area, File, Use
from pre_nixos.backends.swap.modify import change, use_file_otherwise, use_otherwise
from pre_nixos.backends.swap.nixos import device_used, file_used, made_ready
from pre_nixos.backends.swap.objections import labels_cut_off, not_to_be_used
from pre_nixos.backends.swap.probe import find
from pre_nixos.backends.swap.teardown import remove
from pre_nixos.plugin import Backend, hooks, implements


@implements(hooks.backend)
def backend() -> Backend:
    """Own swap in all its forms."""
    return Backend(
        kinds=[Area, Use, File],
        tools=["mkswap", "rm", "swaplabel", "swapoff"],
        disko_types=["swap"],
        disko_keys=["swapfiles"],
    )


__all__ = [
    "Area",
    "File",
    "Use",
    "backend",
    "change",
    "device_used",
    "file_off",
    "file_on",
    "file_used",
    "find",
    "labels_cut_off",
    "made_ready",
    "make",
    "not_to_be_used",
    "read_area",
    "read_files",
    "remove",
    "switch_off",
    "switch_on",
    "use_file_otherwise",
    "use_otherwise",
    "write_area",
    "write_file",
    "write_use",
]
