"""How NixOS starts the machine: systemd-boot on the EFI system partition, and copies of that on those of other disks.

What NixOS has for mirrors is GRUB's `mirroredBoots`. Here it is systemd-boot all the same, as for a single disk, and
whatever it wrote is copied: that needs no second configuration to be right when the first disk has failed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.gpt import ESP, Partition, for_bios
from pre_nixos.backends.mdraid import Array
from pre_nixos.backends.mounts.kinds import Mount, wholes
from pre_nixos.plugin import REMARKS, Default, InvalidLayout, Lines, Package

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.plugin import DeviceGraph, Layer

USUAL = ("/boot", "/efi", "/boot/efi")
PRIVATE = "umask=0077"
"""Boot loaders keep a random seed there, which is nobody's business."""
MASKS = ("umask=", "fmask=", "dmask=")
MAY_BE_MISSING = ("nofail", "x-systemd.device-timeout=10s")
"""Of several, each is on a disk that may have failed: the machine is to start all the same."""
MIRROR = "raid1"
AT_END = ("0.90", "1.0")
"""Metadata that is behind what an array holds, so that firmware takes its members for filesystems."""
GRUB: Mapping[str, object] = {
    "enable": Default(value=True),
    "efiSupport": Default(value=True),
    "efiInstallAsRemovable": Default(value=True),
    "devices": Default(value=["nodev"]),
}
"""How GRUB is installed in an ESP alone, without an entry of the firmware's own."""
ON_ARRAY = (
    "the machine starts from an EFI system partition on it. The installer of systemd-boot takes nothing but "
    "partitions, so it is GRUB. What firmware itself writes there is on one disk only, and the array does not know: "
    "better have one ESP on each disk, which are kept alike."
)
NOT_COPIED = "an EFI system partition that may be another system's: nothing is copied to it, because"
_PLAIN = re.compile(r"/[A-Za-z0-9/._+-]*")


def start(layer: Mount, graph: DeviceGraph, options: Mapping[str, object]) -> Mapping[str, object]:
    """Give what NixOS must be told of a mount, with what follows from its being that of an EFI system partition."""
    below = graph.under(layer)
    if layer.directory is not None or not below or not _is_esp(below[0], graph):
        return options
    systems = [each for each in graph.of(Filesystem) if _is_esp(each, graph)]
    main = _main(systems, graph)
    if main is None or layer.id != main.id:
        return {"fileSystems": {layer.at: _entry(graph.found_at(below[0]), layer.options, several=len(systems) > 1)}}
    if not _PLAIN.fullmatch(layer.at):
        text = "which scripts of NixOS would not take for one word; mount it at /boot"
        raise InvalidLayout([f"{layer.title}: the EFI system partition is at {layer.at!r}, {text}"])
    others = [each for each in systems if each.id != below[0].id]
    foreign = {each.id: why for each in others if (why := _why_foreign(each, main, systems, graph))}
    copies = _copies(main, [each for each in others if each.id not in foreign], graph)
    array = _array_below(below[0], graph)
    loader: dict[str, object] = {"enable": Default(value=True)} if array is None else dict(GRUB)
    if copies:
        loader["extraInstallCommands"] = Lines(blocks=tuple(_copying(main.at, each) for each in copies))
    # A link in the firmware leads to a partition, and an array is none: GRUB goes where it is looked for without one.
    efi = {"efiSysMountPoint": main.at, **({"canTouchEfiVariables": Default(value=True)} if array is None else {})}
    remarks = [] if array is None else [f"{graph.called(array)}: {ON_ARRAY}"]
    remarks += [f"{graph.called(graph[each])} ({each}): {NOT_COPIED} {why}." for each, why in foreign.items()]
    entries = {each: _entry(device, main.options, several=True) for each, device in copies.items() if device}
    own = _entry(graph.found_at(below[0]), layer.options, several=bool(copies))
    named = "systemd-boot" if array is None else "grub"
    options = {"fileSystems": {layer.at: own, **entries}, "boot": {"loader": {named: loader, "efi": efi}}}
    return {**options, REMARKS: remarks} if remarks else options


def is_grub(graph: DeviceGraph) -> bool:
    """Whether NixOS is told to have GRUB, which needs a /boot that lasts."""
    systems = [each for each in graph.of(Filesystem) if _is_esp(each, graph)]
    main = _main(systems, graph)
    return bool(for_bios(graph)) if main is None else _array_below(graph.under(main)[0], graph) is not None


def _array_below(system: Layer, graph: DeviceGraph) -> Array | None:
    return next((each for each in graph.under(system) if isinstance(each, Array)), None)


def _is_esp(layer: object, graph: DeviceGraph) -> bool:
    if not isinstance(layer, Filesystem) or layer.type != "vfat":
        return False
    below = graph.under(layer)
    if len(below) == 1 and isinstance(below[0], Array) and below[0].level == MIRROR and below[0].metadata in AT_END:
        below = graph.under(below[0])  # each of its members can be read as if it were alone
    return any(isinstance(each, Partition) and each.type == ESP for each in below)


def _main(systems: Sequence[Filesystem], graph: DeviceGraph) -> Mount | None:
    """Give the mount of the one NixOS writes to."""
    mounts = [each for system in systems for each in wholes(system.id, graph)]
    return min(mounts, key=lambda each: (each.at not in USUAL, each.at), default=None)


def _why_foreign(system: Filesystem, main: Mount, systems: Sequence[Filesystem], graph: DeviceGraph) -> str:
    """Say why it may be another system's, in which a copy would delete what that starts from; nothing if it is not."""
    own = graph.under(main)[0]
    beside = [
        each.id
        for each in systems
        if each is not system and not graph.disks(each.id).isdisjoint(graph.disks(system.id))
    ]
    if own.id in beside:
        return "the machine starts from another one on its disk"
    mounts = wholes(system.id, graph)
    if beside and not mounts:
        return f"there is another one on its disk, and nobody said that it is a copy by mounting it at {main.at}-2"
    copy = re.compile(rf"{re.escape(main.at)}-[0-9]+")
    chosen = [each.at for each in mounts if each.at not in USUAL and not copy.fullmatch(each.at)]
    return f"it has a place of its own, {chosen[0]}" if chosen else ""


def _copies(main: Mount, others: Sequence[Filesystem], graph: DeviceGraph) -> dict[str, str]:
    """Give the places of the others, with the device of those that nobody mounts yet."""
    found: dict[str, str] = {}
    taken = {each.at for each in graph.of(Mount)}
    for system in others:
        mounts = wholes(system.id, graph)
        if mounts:
            found[mounts[0].at] = ""
            continue
        place = next(at for number in range(2, 1000) if (at := f"{main.at}-{number}") not in {*taken, *found})
        device = graph.found_at(system)
        if not device:
            raise InvalidLayout([f"{graph.called(system)} ({system.id}): it has no UUID by which NixOS would find it"])
        found[place] = device
    return found


def _entry(device: str, options: Sequence[str] | None, *, several: bool) -> dict[str, object]:
    if not device:
        raise InvalidLayout(["the EFI system partition has no UUID by which NixOS would find it"])
    said = list(options or ())
    if not any(each.startswith(MASKS) for each in said):
        said.append(PRIVATE)
    said += [each for each in MAY_BE_MISSING if several and each not in said]
    return {"device": device, "fsType": "vfat", "options": said}


def _copying(main: str, copy: str) -> tuple[str | Package, ...]:
    """Give the commands that make one like the other, if both are there: a directory that is none of them fills up."""
    from shlex import quote  # which nobody needs who only plans

    source, target = quote(f"{main}/"), quote(f"{copy}/")
    mountpoint = Package(name="util-linux", path="bin/mountpoint")
    how = "--recursive --times --modify-window=2 --delete-before"
    return (
        # What failed before is not to be copied, nor to be covered by what follows.
        "[ $? -eq 0 ] || exit 1\n",
        "if ",
        mountpoint,
        f" --quiet {quote(main)} && ",
        mountpoint,
        f" --quiet {quote(copy)}; then\n  ",
        Package(name="rsync", path="bin/rsync"),
        f" {how} -- {source} {target} || exit 1\nelse\n",
        f"  echo {quote(f'{copy} is not mounted: what the machine starts from was not copied to it')} >&2\nfi\n",
    )
