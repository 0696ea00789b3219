"""The block device tree as sysfs shows it, and udev's notes on it: quick to read, and no device is opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pre_nixos.host.questions import ATTRIBUTES, BlockNode, BlockNodes, Located
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pre_nixos.host.questions import Mark

_READ_ONLY = os.O_RDONLY | os.O_CLOEXEC
_BY_ENTRY: dict[str, list[str]] = {}
for _attribute in ATTRIBUTES:
    _BY_ENTRY.setdefault(_attribute.partition("/")[0], []).append(_attribute)

SEVERAL_PATHS = "/nvme-subsystem/"
"""In the directory of a disk that may be reached through several controllers, none of which is its parent."""
ALIVE = "live"


class Sysfs(Data):
    """Where sysfs and udev's database are; what they say is read anew each time."""

    root: str = "/sys"
    udev: str = "/run/udev/data"

    def nodes(self) -> BlockNodes:
        """Read every block device there is, by name."""
        found: list[BlockNode] = []
        for name in _list(f"{self.root}/class/block"):
            node = self.node(name)
            if node is not None:
                found.append(node)
        return BlockNodes(nodes=tuple(found))

    def node(self, name: str) -> BlockNode | None:
        """Read one block device; None if it went away meanwhile, or is a path of another with no node of its own."""
        try:
            path = self._path(name)
            directory = os.open(path, _READ_ONLY | os.O_DIRECTORY)
        except OSError:
            return None
        try:
            entries = set(_list(path))
            number = _read(directory, "dev")
            if not number:
                return None
            attributes: dict[str, str] = {}
            for entry, names in _BY_ENTRY.items():
                if entry in entries:
                    for attribute in names:
                        value = _read(directory, attribute)
                        if value is not None:
                            attributes[attribute] = value
            if SEVERAL_PATHS in path:
                attributes |= _paths(f"{path}/device")
            properties, links = self._notes(number)
            return BlockNode(
                name=name,
                number=number,
                parent=os.path.basename(os.path.dirname(path)) if "partition" in entries else "",
                attributes=attributes,
                holders=_list(f"{path}/holders") if "holders" in entries else (),
                slaves=_list(f"{path}/slaves") if "slaves" in entries else (),
                udev=properties,
                links=links,
                path=path,
            )
        finally:
            os.close(directory)

    def name(self, number: str) -> str:
        """Give the name of the device with this number, or nothing if there is none."""
        try:
            return os.path.basename(os.readlink(f"{self.root}/dev/block/{number}"))
        except OSError:
            return ""

    def number(self, name: str) -> str:
        """Give the number of the device with this name, or nothing if there is none."""
        return self.attribute(name, "dev") or ""

    def attribute(self, name: str, attribute: str) -> str | None:
        """Read one attribute of a device, stripped; None if it has no such attribute."""
        return _read_path(f"{self.root}/class/block/{name}/{attribute}")

    def whole_disk(self, name: str) -> str:
        """Give the disk a partition is on, or the device itself if it is not a partition."""
        try:
            path = self._path(name)
        except OSError:
            return name
        return os.path.basename(os.path.dirname(path)) if os.path.exists(f"{path}/partition") else name

    def partitions(self, name: str) -> tuple[str, ...]:
        """Name the partitions the kernel has on a disk."""
        path = f"{self.root}/class/block/{name}"
        return tuple(entry for entry in _list(path) if os.path.exists(f"{path}/{entry}/partition"))

    def holders(self, name: str) -> tuple[str, ...]:
        """Name the devices that stand on this one, not counting its partitions."""
        return _list(f"{self.root}/class/block/{name}/holders")

    def slaves(self, name: str) -> tuple[str, ...]:
        """Name the devices this one stands on, not counting the disk it is a partition of."""
        return _list(f"{self.root}/class/block/{name}/slaves")

    def stuck(self, name: str, known: dict[str, str] | None = None) -> str:
        """Say why opening this device could block for ever, or nothing if no reason shows.

        `known` remembers what was found of each device, for those that stand on the same ones.
        """
        known = {} if known is None else known
        if name not in known:
            known[name] = ""  # should the kernel show a circle, it ends here
            below = (*self.slaves(name), self.whole_disk(name))
            known[name] = self._stands_still(name) or next(
                filter(None, (self.stuck(each, known) for each in below)), ""
            )
        return known[name]

    def _stands_still(self, name: str) -> str:
        if name.startswith("dm-") and self.attribute(name, "dm/suspended") == "1":
            return f"{name} is suspended"
        paths = self.nvme_paths(name)
        if paths and "live" not in paths.values():
            return ", ".join(f"the path {path} is {state}" for path, state in paths.items())
        return ""

    def nvme_paths(self, name: str) -> dict[str, str]:
        """Give the state of each controller that leads to an NVMe namespace; nothing for any other device."""
        if not name.startswith("nvme"):
            return {}
        disk = self.whole_disk(name)
        state = self.attribute(disk, "device/state")
        if state is not None:
            return {os.path.basename(os.path.realpath(f"{self.root}/class/block/{disk}/device")): state}
        states: dict[str, str] = {}
        for controller in _list(f"{self.root}/class/block/{disk}/device"):
            state = self.attribute(disk, f"device/{controller}/state") if controller.startswith("nvme") else None
            if state is not None:
                states[controller] = state
        return states

    def locate(self, start: str, trail: Iterable[Mark]) -> Located:
        """Follow the marks upwards from a device; see `Locate`."""
        name = self.name(start) if start else ""
        if start and not name:
            return Located(error=f"there is no block device {start}")
        for mark in trail:
            matches = self._nearest(name, mark) if name else self._anywhere(mark)
            if len(matches) != 1:
                wanted = ", ".join(f"{key}={value}" for key, value in sorted(mark.attributes.items()))
                which = f"{len(matches)} devices ({', '.join(matches)})" if matches else "no device"
                return Located(error=f"{which} above {name or 'anything'} with {wanted}")
            name = matches[0]
        number = self.number(name)
        return Located(number=number, name=name) if number else Located(error=f"{name} went away")

    def _nearest(self, name: str, mark: Mark) -> list[str]:
        seen = {name}
        level = [name]
        while level:
            above: list[str] = []
            for below in level:
                for upper in (*self.partitions(below), *self.holders(below)):
                    if upper not in seen:
                        seen.add(upper)
                        above.append(upper)
            matches = sorted(upper for upper in above if self._shows(upper, mark))
            if matches:
                return matches
            level = above
        return []

    def _anywhere(self, mark: Mark) -> list[str]:
        return [name for name in _list(f"{self.root}/class/block") if self._shows(name, mark)]

    def _shows(self, name: str, mark: Mark) -> bool:
        for attribute, wanted in mark.attributes.items():
            value = self.attribute(name, attribute)
            if value is None or wanted not in ("*", value):
                return False
        return True

    def _path(self, name: str) -> str:
        """Give the real path of a device's directory: one link leads there, and asking about each step costs more."""
        link = os.readlink(f"{self.root}/class/block/{name}")
        return os.path.normpath(os.path.join(self.root, "class/block", link))

    def _notes(self, number: str) -> tuple[dict[str, str], tuple[str, ...]]:
        """Read what udev wrote down about a device: its properties, and the links it made."""
        properties: dict[str, str] = {}
        links: list[str] = []
        for line in (_read_path(f"{self.udev}/b{number}") or "").splitlines():
            kind, _, rest = line.partition(":")
            if kind == "E":
                key, _, value = rest.partition("=")
                properties[key] = value
            elif kind == "S":
                links.append(f"/dev/{rest}")
        return properties, tuple(sorted(links))


def node_path(name: str) -> str:
    """Give the path of a device's node; sysfs writes the slashes of a name as exclamation marks."""
    return "/dev/" + name.replace("!", "/")


def _list(path: str) -> tuple[str, ...]:
    try:
        return tuple(sorted(os.listdir(path)))
    except OSError:
        return ()


def _read(directory: int, attribute: str) -> str | None:
    """Read an attribute below an open directory; None if there is none, or it has no value now."""
    try:
        descriptor = os.open(attribute, _READ_ONLY, dir_fd=directory)
    except OSError:
        return None
    return _content(descriptor)


def _read_path(path: str) -> str | None:
    try:
        descriptor = os.open(path, _READ_ONLY)
    except OSError:
        return None
    return _content(descriptor)


def _content(descriptor: int) -> str | None:
    """Read all there is and close."""
    try:
        pieces: list[bytes] = []
        while piece := os.read(descriptor, 1 << 16):
            pieces.append(piece)
            if len(piece) < 4096:  # an attribute is at most a page, and a second read costs as much as the first
                break
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return b"".join(pieces).decode("utf-8", "backslashreplace").strip()


def _paths(directory: str) -> dict[str, str]:
    """Read how each path to a disk is and what it goes over, as if there were but one: the worst is what counts."""
    states: dict[str, None] = {}
    transports: dict[str, None] = {}
    for name in _list(directory):
        if not (name.startswith("nvme") and name[4:].isdecimal()):
            continue
        try:
            path = os.open(f"{directory}/{name}", _READ_ONLY | os.O_DIRECTORY)
        except OSError:
            continue  # a path that left just now
        try:
            states[_read(path, "state") or "of unknown state"] = None
            transports[_read(path, "transport") or "unknown"] = None
        finally:
            os.close(path)
    lost = [each for each in states if each != ALIVE]
    return {
        "device/state": ", ".join(lost) or (ALIVE if states else "without a path"),
        "device/transport": "+".join(sorted(transports)) or "unknown",
    }
