"""Disks with an identity, made inside the guest: the kernel's own SCSI target (LIO) looped back, set up by configfs.

The images are files on a hostfs mount, not block devices of the guest: a block device underneath would be a second
node with the same content, which udev, LVM and mdadm would all find.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pre_nixos.lab.description import LabDisk

MODULES = ("target_core_mod", "target_core_file", "tcm_loop", "sd_mod")
_TARGET = "/sys/kernel/config/target"
_PORT = f"{_TARGET}/loopback/naa.6001405000000001/tpgt_1"


def world_wide_name(serial: str) -> str:
    """Tell which WWN the target gives a disk of this serial: its own vendor's digits, then the serial's hex digits."""
    digits = "".join(letter for letter in serial.lower() if letter in "0123456789abcdef")
    return "naa." + ("6001405" + digits).ljust(32, "0")[:32]


def attach(disks: Iterable[LabDisk], images: str) -> dict[str, str]:
    """Make the disks appear, in this order; answer with their kernel names."""
    os.makedirs(_PORT)
    _put(f"{_PORT}/nexus", "naa.6001405000000002")
    names: dict[str, str] = {}
    for number, disk in enumerate(disks):
        core = f"{_TARGET}/core/fileio_{number}/{disk.name}"
        os.makedirs(core)
        _put(f"{core}/control", f"fd_dev_name={images}/{disk.name}.img,fd_dev_size={disk.size},fd_buffered_io=1")
        _put(f"{core}/wwn/vpd_unit_serial", disk.serial_shown)
        _put(f"{core}/wwn/vendor_id", disk.vendor)
        _put(f"{core}/wwn/product_id", disk.model)
        _put(f"{core}/enable", "1")
        _put(f"{core}/attrib/block_size", str(disk.block_size))
        _put(f"{core}/attrib/is_nonrot", "0" if disk.rotational else "1")
        # Hardware disks do not announce a preferred transfer of 8 MiB, and sfdisk would align everything to it.
        _put(f"{core}/attrib/optimal_sectors", "0")
        # A volatile write cache, like a real disk's: what was not flushed is lost in a power cut.
        _put(f"{core}/attrib/emulate_write_cache", "1")
        lun = f"{_PORT}/lun/lun_{number}"
        os.makedirs(lun)
        os.symlink(core, f"{lun}/{disk.name}")
        names[disk.name] = _wait_for_node(number, disk)
    return names


def _wait_for_node(lun: int, disk: LabDisk) -> str:
    """The kernel looks for the disk in the background: the next one waits for it, so that names follow the order."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for address in os.listdir("/sys/class/scsi_device"):
            if address.endswith(f":1:{lun}"):
                try:
                    (name,) = os.listdir(f"/sys/class/scsi_device/{address}/device/block")
                except (OSError, ValueError):
                    continue
                # Zeros are written out, as most hardware has it: the target takes less at once than the kernel asks.
                _put(f"/sys/class/scsi_disk/{address}/max_write_same_blocks", "0")
                return name
        time.sleep(0.01)
    raise TimeoutError(f"disk {disk.name!r} was attached but no node appeared within 10 s")


def _put(path: str, value: str) -> None:
    try:
        with open(path, "w") as file:
            file.write(value)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} (writing {value!r})", path) from error
