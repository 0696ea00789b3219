"""How LVM is called: told everything, so that neither its configuration nor what it remembers plays a part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import Node, Run

if TYPE_CHECKING:
    from collections.abc import Iterable

SETTINGS = (
    # Only the devices named on the command line exist, and none of them is hidden by a filter.
    'devices { use_devicesfile=0 hints="none" scan_lvs=1 filter=["a|.*|"] global_filter=["a|.*|"] } '
    # No files of its own, no daemons, no bus.
    "backup { backup=0 archive=0 } activation { monitoring=0 } global { notify_dbus=0 use_lvmpolld=0 }"
)


def lvm(command: str, devices: Iterable[Node], *words: str | Node) -> Run:
    """Run one command of LVM, which is to see these devices and no others."""
    seen = [word for device in devices for word in ("--devices", device)]
    return Run(argv=("lvm", command, "--config", SETTINGS, *seen, *words))
