"""What the storage service of the NixOS module may do is enough for whole jobs, and it may do no more than that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pre_nixos.lab.description import LabDisk
from tests.integration.booted import STORAGE, UNITS, starting, status, until_active

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import BootGuest

MIB = 1 << 20
RAID = {"size": "100%", "content": {"type": "mdraid", "name": "main"}}
SWAP = {"mountpoint": "/swap", "swap": {"file": {"size": "32M"}}}
TREE = {"type": "btrfs", "subvolumes": {"/tree": {"mountpoint": "/tree"}, "/swap": SWAP}}
LUKS = {"type": "luks", "name": "secret", "passwordFile": "/run/key", "content": TREE}
ROOT = {"type": "filesystem", "format": "ext4", "mountpoint": "/"}
LAYOUT = {
    "disk": {
        "main": {
            "select": {"count": 2, "min": "500M"},
            "content": {"type": "gpt", "partitions": {"raid": RAID}},
        }
    },
    "mdadm": {"main": {"type": "mdadm", "level": 1, "content": {"type": "lvm_pv", "vg": "pool"}}},
    "lvm_vg": {
        "pool": {
            "type": "lvm_vg",
            "lvs": {
                "root": {"size": "200M", "content": ROOT},
                "tmp": {"size": "100M", "content": {"type": "swap"}},
                "tree": {"size": "500M", "content": LUKS},
            },
        }
    },
}
FILE = "/etc/layout.json"
DENIED = ("chroot / true", 'date --set="$(date)"', "unshare --net true")
"""What root may do, and the service may not."""


def test_a_boot_makes_it_all_and_another_brings_it_back(boot_fresh: BootGuest, tmp_path: Path) -> None:
    disks = (LabDisk(name="a", size=1200 * MIB), LabDisk(name="b", size=1200 * MIB))
    chosen = {"enable": True, "layout": FILE, "autoApply": True}
    files = {FILE: json.dumps(LAYOUT), "/run/key": "correct horse"}
    guest = boot_fresh(starting(chosen, tmp_path, *disks, more=files, modules=("dm-crypt", "btrfs")))
    until_active(guest, STORAGE)
    assert status(guest)["STATE"] == "auto-applied", status(guest)
    guest.script("echo still here > /mnt/tree/witness")
    guest.power_off()

    guest.boot()
    until_active(guest, STORAGE)
    assert status(guest)["STATE"] == "auto-applied", status(guest)
    assert guest.run(["cat", "/mnt/tree/witness"]).stdout == "still here\n"
    swaps = guest.run(["cat", "/proc/swaps"]).stdout
    assert len(swaps.splitlines()) == 3

    # Whatever else somebody has a unit like this one do, such as taking it all away again.
    service = guest.run(["cat", f"{UNITS}/{STORAGE}"]).stdout
    kept = "\n".join(line for line in service.splitlines() if not line.startswith("ExecStart="))
    serials = " ".join(each.serial_shown for each in disks)
    for each in DENIED:
        guest.script(each)
    denied = "\n".join(f"ExecStartPre=/bin/sh -c '! {each}'" for each in DENIED)
    wiping = f"{kept}\n{denied}\nExecStart=/usr/local/bin/pre-nixos wipe --yes {serials}\n"
    guest.run(["tee", f"{UNITS}/wiping.service"], stdin=wiping)
    guest.run(["systemctl", "daemon-reload"])
    until_active(guest, "wiping.service")
    assert guest.run(["lsblk", "--noheadings", "--list", "--output", "NAME"]).stdout.split() == ["sda", "sdb"]
    assert status(guest)["STATE"] == "wiped"
