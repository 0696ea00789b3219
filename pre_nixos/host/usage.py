"""Who uses a device: everything that would be hurt, or would get in the way, if its content went."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pre_nixos.host import mappings
from pre_nixos.host.loopdevices import behind
from pre_nixos.host.mounttable import namespace_of, read_mounts
from pre_nixos.host.questions import User, Users
from pre_nixos.host.statx import Status, look, look_in_time
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pre_nixos.host.questions import MountEntry, Opened, WhoUses
    from pre_nixos.host.sysfs import Sysfs


_DIRECTORIES = frozenset({"subvol", "lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir"})
"""Options of a mount whose values are paths, but never those of devices."""


class Usage(Data):
    """Where to look for users; the parts that touch devices are given as functions."""

    sysfs: Sysfs
    open_exclusive: Callable[[str], Opened]
    proc: str = "/proc"
    look: Callable[[str], Status | None] = look
    behind: Callable[[str, str], Status | None] = behind

    def who_uses(self, question: WhoUses) -> Users:
        """Answer `WhoUses`."""
        name = self.sysfs.name(question.number)
        if not name:
            return Users()
        names = {question.number: name}
        for partition in self.sysfs.partitions(name):
            names[self.sysfs.number(partition)] = partition
        mounts = read_mounts(self.proc, self._number_at)
        users: list[User] = []
        for finder in (
            self._holders(names),
            self._mounts(names, mounts.mounts),
            self._swaps(names, mounts.swaps),
            self._loops(names),
            self._exports(names),
            self._processes(names),
        ):
            users += finder
        if not users:
            users += self._unknown(question.number)
        return Users(users=tuple(dict.fromkeys(users)))

    def _holders(self, names: dict[str, str]) -> Iterator[User]:
        for name in names.values():
            for holder in self.sysfs.holders(name):
                yield User(how="holder", what=holder)

    def _mounts(self, names: dict[str, str], mounts: Iterable[MountEntry]) -> Iterator[User]:
        members = {number: uuid for uuid, numbers in self._btrfs().items() for number in numbers}
        concerned = {members[number] for number in names if number in members}
        reached: set[str] = set()
        for mount in mounts:
            uuid = members.get(mount.device, "")
            if mount.device in names or uuid in concerned or self._names_more(mount, names):
                reached.add(uuid)
                yield User(how="mount", what=mount.at, pid=namespace_of(mount))
        for uuid in sorted(concerned - reached):
            yield User(how="mount", what=f"btrfs {uuid}")

    def _names_more(self, mount: MountEntry, names: dict[str, str]) -> bool:
        """Tell whether a mount's options say that one of the devices is a part of it, such as the log of an XFS."""
        values = (option.partition("=") for option in mount.options)
        return any(
            value.startswith("/") and key not in _DIRECTORIES and self._number_at(value) in names
            for key, _, value in values
        )

    def _btrfs(self) -> dict[str, set[str]]:
        """Give the devices of every btrfs the kernel has mounted."""
        root = f"{self.sysfs.root}/fs/btrfs"
        return {
            uuid: {self.sysfs.number(name) for name in _list(f"{root}/{uuid}/devices")}
            for uuid in _list(root)
            if os.path.isdir(f"{root}/{uuid}/devices")
        }

    def _swaps(self, names: dict[str, str], swaps: Iterable[str]) -> Iterator[User]:
        for path in swaps:
            if self._lies_in(path, names):
                yield User(how="swap", what=path)

    def _loops(self, names: dict[str, str]) -> Iterator[User]:
        for name in _list(f"{self.sysfs.root}/class/block"):
            path = self.sysfs.attribute(name, "loop/backing_file") if name.startswith("loop") else None
            if path is None:
                continue
            status = self.behind(name, self.sysfs.number(name))
            # A path that is gone, or another's, says nothing, so it counts only where the kernel does not.
            if _concerns(status, names) if status else self._lies_in(path, names):
                yield User(how="loop", what=name)

    def _exports(self, names: dict[str, str]) -> Iterator[User]:
        """Find what this machine serves to others over NVMe or SCSI."""
        config = f"{self.sysfs.root}/kernel/config"
        for subsystem in _list(f"{config}/nvmet/subsystems"):
            for namespace in _list(f"{config}/nvmet/subsystems/{subsystem}/namespaces"):
                path = _line(f"{config}/nvmet/subsystems/{subsystem}/namespaces/{namespace}/device_path")
                if path and self._lies_in(path, names):
                    yield User(how="export", what=f"nvmet {subsystem} namespace {namespace}")
        for hba in _list(f"{config}/target/core"):
            for store in _list(f"{config}/target/core/{hba}"):
                # Some tools leave a path there; what the kernel has open it says itself.
                noted = _line(f"{config}/target/core/{hba}/{store}/udev_path")
                number, path = _served(_line(f"{config}/target/core/{hba}/{store}/info"))
                if number in names or any(each and self._lies_in(each, names) for each in (path, noted)):
                    yield User(how="export", what=f"LIO {hba}/{store}")

    def _processes(self, names: dict[str, str]) -> Iterator[User]:
        """Find who has a device open, or works in a filesystem on it."""
        own = str(os.getpid())
        places = {f"{self.proc}/{pid}": pid for pid in _list(self.proc) if pid.isdigit() and pid != own}
        maps = mappings.read_maps(tuple(places))
        for place, pid in places.items():
            paths = [f"{place}/fd/{descriptor}" for descriptor in _list(f"{place}/fd")]
            ways = {self._way(path, names) for path in (*paths, f"{place}/cwd", f"{place}/root", f"{place}/exe")}
            ways.update(mappings.ways(place, maps.get(place, b""), names, self.look))
            name = self._called(pid) if ways - {""} else ""
            # Without a name it is gone by now, and uses nothing.
            for how in sorted(ways - {""}) if name else ():
                yield User(how=how, what=name, pid=int(pid))

    def _called(self, pid: str) -> str:
        """Name a process; what udev's rules start is said to be udev's, for it goes as soon as it has had its look.

        Empty if it is gone by now.
        """
        name = _line(f"{self.proc}/{pid}/comm")
        if name and "udev" not in name and "udev" in _line(f"{self.proc}/{self._session(pid)}/comm"):
            return f"{name} (started by udev)"  # also if who started it has ended, and init has it now
        parent = pid
        for _ in range(8):  # a rule's program may start another, but not forever
            status = _line(f"{self.proc}/{parent}/status")
            parent = next((each.split()[1] for each in status.splitlines() if each.startswith("PPid:")), "0")
            above = _line(f"{self.proc}/{parent}/comm") if parent not in {"0", "1"} else ""
            if not above:
                break
            if "udev" in above and "udev" not in name:
                return f"{name} (started by udev)"
        if not os.path.isdir(f"{self.proc}/{pid}"):
            return ""
        return name or "a process without a name"

    def _session(self, pid: str) -> str:
        """Give the process that leads the session of another."""
        # The name, which may hold anything, is in parentheses; the session is the fourth field after it.
        fields = _line(f"{self.proc}/{pid}/stat").rpartition(")")[2].split()
        return fields[3] if len(fields) > 3 else "0"

    def _way(self, path: str, names: dict[str, str]) -> str:
        """Tell how a process uses a device by what a link of its leads to: `open`, `file`, or not at all."""
        try:
            # Sockets, pipes and the like have no path, and most descriptors are such.
            if not os.readlink(path).startswith("/"):
                return ""
        except OSError:
            return ""
        status = self.look(path)
        if status is None:
            return ""
        return "open" if status.device in names else "file" if status.filesystem in names else ""

    def _unknown(self, number: str) -> Iterator[User]:
        opened = self.open_exclusive(number)
        if not opened.free:
            busy = opened.error.endswith("busy")
            yield User(how="exclusive", what="the kernel" if busy else f"cannot be told: {opened.error}")

    def _number_at(self, path: str) -> str:
        """Give the number of the device whose node is at a path that anybody may have chosen."""
        status = look_in_time(path, self.look)
        return status.device if status else ""

    def _lies_in(self, path: str, names: dict[str, str]) -> bool:
        """Tell whether a path is one of the devices, or a file on a filesystem on one of them."""
        return _concerns(look_in_time(path, self.look), names)


def _concerns(status: Status | None, names: dict[str, str]) -> bool:
    return status is not None and not {status.device, status.filesystem}.isdisjoint(names)


def _served(info: str) -> tuple[str, str]:
    """Give the number of the device, or the path of the file, that LIO says it serves, and nothing for the other."""
    # First what all kinds of stores have, then the kind's own words, in which a path may look like anything.
    its_own = info.partition("\n")[2].strip()
    if its_own.startswith("iBlock "):
        major, _, rest = its_own.rpartition("Major: ")[2].partition(" Minor: ")
        return f"{major}:{rest.partition(' ')[0]}", ""
    return "", its_own.partition(" File: ")[2].rpartition("  Size: ")[0]


def _list(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def _line(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(4096).decode("utf-8", "backslashreplace").strip()
    except OSError:
        return ""
