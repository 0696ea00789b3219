"""What is emptied at every boot, and what has to be elsewhere because of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mounts.kinds import NO_DEVICE, Emptied, Mount
from pre_nixos.backends.mounts.starting import is_grub
from pre_nixos.plugin import REMARKS, InvalidLayout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.plugin import DeviceGraph

STORES = ("/nix", "/nix/store")
"""Where the system itself may be mounted: all of what it is made of, or all but its own account of that."""
KEPT_AT = ("/persist", "/persistent", "/nix/persist", "/state")
"""Where people mount what outlives an empty root."""
KEPT_DIRECTORIES = ("/etc/nixos", "/var/lib/nixos", "/var/lib/systemd", "/var/log")
"""What it is configured with, numbers of users that were given away, random seed and timers, and what happened."""
KEPT_FILES = (
    "/etc/machine-id",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssh/ssh_host_ed25519_key.pub",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssh/ssh_host_rsa_key.pub",
)
"""By what others know the machine."""

NOTHING_KEPT = (
    f"The root is empty at every boot, and nothing that stays is mounted at {', '.join(KEPT_AT)}: "
    "the machine has another identity, other host keys and no logs every time."
)

PASSWORDS_LOST = (
    "The root is empty at every boot, and so is /etc/shadow: passwords that are typed, also for nixos-install, "
    "are gone after the first boot, and nobody can log in:"
)
ACCOUNT_LOST = (
    "The root is empty at every boot, and so is /nix/var, by which Nix knows what is in its store, and which systems "
    "there are to go back to: mount something at /nix, or keep /nix/var."
)
BOOT_LOST = (
    "GRUB keeps its menu and all but the first of its code in /boot, which is in the root and empty at every boot: "
    "the machine would start once, and then no more; mount something that stays at /boot"
)


def roots(graph: DeviceGraph) -> Sequence[Mount]:
    """Give what is mounted as the root of the system."""
    return [each for each in graph.of(Mount) if each.at == "/" and not each.namespace]


def is_emptied(root: Mount, graph: DeviceGraph) -> bool:
    """Whether the root is empty at every boot."""
    below = graph.under(root)
    if not below:
        return root.type in NO_DEVICE
    return isinstance(below[0], Emptied) and below[0].is_emptied(graph)


def keeper(graph: DeviceGraph) -> str:
    """Give the place of what outlives an empty root; empty if there is none, or only memory."""
    mounts = [each for each in graph.of(Mount) if not each.namespace]
    places = {each.at for each in mounts if all(_outlives(each, root, graph) for root in roots(graph))}
    return next((each for each in KEPT_AT if each in places), "")


def outliving(root: Mount, graph: DeviceGraph) -> Mapping[str, object]:
    """Have the module impermanence keep what a machine must not lose, and say what it loses all the same.

    Raises InvalidLayout if that would be the system itself, or what starts it.
    """
    apart = [each for each in graph.of(Mount) if not each.namespace and each.id != root.id]
    lasting = {each.at for each in apart if _outlives(each, root, graph)}
    problems: list[str] = []
    if not lasting.intersection(STORES):
        text = f"the root is empty at every boot, and the store is in it; mount something at {' or '.join(STORES)}"
        problems.append(f"{root.title}: {text}")
    if "/boot" not in lasting and is_grub(graph):
        problems.append(f"{root.title}: {BOOT_LOST}")
    if problems:
        raise InvalidLayout(problems)
    place = keeper(graph)
    how = f"hashedPasswordFile to a file below {place}" if place else "hashedPassword"
    remarks = [f"{PASSWORDS_LOST} set users.users.root.{how} before, or openssh.authorizedKeys."]
    if not lasting.intersection({"/nix", "/nix/var"}):
        remarks.append(ACCOUNT_LOST)
    said = {REMARKS: remarks}
    if not place:
        return {"warnings": [NOTHING_KEPT], **said}
    places = {each.at for each in apart}
    directories = [each for each in KEPT_DIRECTORIES if each not in places]
    kept = {"hideMounts": True, "directories": directories, "files": list(KEPT_FILES)}
    return {"environment": {"persistence": {place: kept}}, **said}


def _outlives(mount: Mount, root: Mount, graph: DeviceGraph) -> bool:
    """Whether what is mounted is neither in memory nor part of the root itself."""
    below = [each.id for each in graph.under(mount)]
    return bool(below) and below != [each.id for each in graph.under(root)]
