"""A machine as probing found it, and the choice of disks on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pre_nixos.model.data import Data
from pre_nixos.model.draft import InvalidLayout
from pre_nixos.model.graph import DeviceGraph
from pre_nixos.model.layer import Disk
from pre_nixos.model.size import human, parse_bytes
from pre_nixos.model.twins import told_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pre_nixos.model.draft import Wanted

BY_ID = "/dev/disk/by-id/"
REMOVABLE_TRANSPORTS = frozenset({"usb", "mmc", "virtual"})


class NoSuchDisks(InvalidLayout):
    """The disks that are needed are not there; says which are."""

    def __init__(self, problem: str) -> None:
        super().__init__([problem])


class BootMedium(Data):
    """What this system runs from."""

    disks: tuple[str, ...] = ()
    """Ids of disks: never touched."""
    determined: bool = True
    """False if it could not be found out: then nothing runs unattended."""
    how: str = ""


class Machine(Data):
    """What `probe` returns and policies read."""

    graph: DeviceGraph
    memory: int = 0
    firmware: str = "bios"
    architecture: str = ""
    tools: dict[str, str] = {}
    boot_medium: BootMedium = BootMedium()
    unfinished: tuple[str, ...] = ()
    """Ids of layers that an earlier run had begun to make or change when it was stopped: not to be trusted."""
    leaving: tuple[str, ...] = ()
    """Ids of those of them that it had begun to remove: what is in them may be whole yet."""
    erased: tuple[str, ...] = ()
    """Ids of disks that a run which was stopped had erased already."""
    erased_for: str = ""
    """What that run was for, as a digest."""
    remarks: tuple[str, ...] = ()
    """What a person should know of how this was found out: a tool that is missing, a device that did not answer."""

    @property
    def suspects(self) -> frozenset[str]:
        """What of that nobody uses: who mounts something, or swaps to it, has seen to it that it is whole.

        Nor has used since: what was to be made had nothing on its devices. But what was to go may have been used
        before, and what is found above it may have lain there.
        """
        graph, leaving = self.graph, frozenset(self.leaving)

        def is_trusted(id_: str) -> bool:
            if any(graph[above].ephemeral for above in graph.above(id_)):
                return True
            return id_ not in leaving and graph[id_].was_used()

        return frozenset(each for each in self.unfinished if each not in graph or not is_trusted(each))

    @property
    def disks(self) -> Disks:
        """The disks a policy may take without being told their names: fixed, writable, and not what we run from."""
        return Disks(machine=self, chosen=tuple(each for each in self.graph.of(Disk) if self.may_take(each)))

    @property
    def all_disks(self) -> Disks:
        """Every disk, for those that are named."""
        return Disks(machine=self, chosen=tuple(self.graph.of(Disk)))

    def against(self, wanted: Wanted) -> Machine:
        """Give it to be compared with what is wanted: of things that share an id, the one that is meant has it."""
        graph = told_apart(self.graph, wanted)
        return self if graph is self.graph else msgspec.structs.replace(self, graph=graph)

    def may_take(self, disk: Disk) -> bool:
        """Whether a policy may take this disk without its having been named."""
        device = disk.device
        if device is None or device.read_only or device.size == 0 or disk.id in self.boot_medium.disks:
            return False
        return not (device.removable or device.transport in REMOVABLE_TRANSPORTS)


class Disks:
    """A choice of disks, narrowed step by step."""

    __slots__ = ("_chosen", "_machine", "_so_far")

    def __init__(self, *, machine: Machine, chosen: Sequence[Disk], so_far: str = "") -> None:
        self._machine = machine
        self._chosen = tuple(chosen)
        self._so_far = so_far

    def __iter__(self) -> Iterator[Disk]:
        return iter(self._chosen)

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, position: int) -> Disk:
        return self._chosen[position]

    def where(  # noqa: PLR0913 - each is a question one may ask of a disk
        self,
        *,
        transport: str | None = None,
        rotational: bool | None = None,
        at_least: str | int | None = None,
        at_most: str | int | None = None,
        serial: str | None = None,
        wwn: str | None = None,
        model: str | None = None,
        link: str | None = None,
        matching: Callable[[Disk], bool] | None = None,
    ) -> Disks:
        """Keep the disks of which all that is said here is true. Sizes may be written `400GB`."""
        asked = {
            "transport": transport,
            "rotational": rotational,
            "at_least": at_least,
            "at_most": at_most,
            "serial": serial,
            "wwn": wwn,
            "model": model,
            "link": link,
        }
        floor, ceiling = _bytes(at_least), _bytes(at_most)

        def fits(disk: Disk) -> bool:
            device = disk.device
            return device is not None and all(
                (
                    transport is None or device.transport == transport,
                    rotational is None or device.rotational is rotational,
                    floor is None or device.size >= floor,
                    ceiling is None or device.size <= ceiling,
                    serial is None or device.serial == serial,
                    wwn is None or device.wwn == wwn,
                    model is None or device.model == model,
                    link is None or link in device.links,
                    matching is None or matching(disk),
                )
            )

        said = ", ".join(f"{key}={value}" for key, value in asked.items() if value is not None)
        so_far = ", ".join(filter(None, (self._so_far, said)))
        return Disks(machine=self._machine, chosen=[each for each in self._chosen if fits(each)], so_far=so_far)

    def named(self, names: Sequence[str]) -> Disks:
        """Find the disks a person named: by id, serial, WWN or by-id link, each of which must fit exactly one.

        Raises InvalidLayout with every name that does not. The kernel's names are no names: another disk may have them
        tomorrow.
        """
        if isinstance(names, str):
            raise TypeError(f"names are a list, also of one: write named([{names!r}])")
        problems: list[str] = []
        chosen: dict[str, Disk] = {}
        for name in names:
            found = [disk for disk in self._chosen if name in _names(disk)]
            if len(found) == 1:
                chosen[found[0].id] = found[0]
            elif found:
                problems.append(f"{name!r} is {len(found)} disks: {', '.join(each.id for each in found)}")
            else:
                problems.append(self._unknown(name))
        if problems:
            there = [f"  {each.title}, {human(_size(each))}: {each.id}" for each in self._chosen]
            raise InvalidLayout([*problems, "\n".join(["The disks of this machine:", *(there or ["  none"])])])
        return Disks(machine=self._machine, chosen=tuple(chosen.values()), so_far=self._so_far)

    def _unknown(self, name: str) -> str:
        if name.removeprefix("/dev/") in {each.device.name for each in self._chosen if each.device}:
            why = "another disk may have tomorrow; use its serial, WWN or by-id link"
            return f"{name!r} is the kernel's name, which {why}"
        return f"there is no disk {name!r}"

    def exactly(self, count: int) -> Disks:
        """Insist on so many. Raises NoSuchDisks, an InvalidLayout, which says which disks there are."""
        if len(self._chosen) == count:
            return self
        raise NoSuchDisks(self._complain("exactly", count))

    def some(self, at_least: int = 1) -> Disks:
        """Insist on at least so many. Raises NoSuchDisks, an InvalidLayout, which says which disks there are."""
        if len(self._chosen) >= at_least:
            return self
        raise NoSuchDisks(self._complain("at least", at_least))

    def _complain(self, how: str, count: int) -> str:
        asked = f" with {self._so_far}" if self._so_far else ""
        listed = [
            f"  {each.title}, {human(_size(each))}" + ("" if self._machine.may_take(each) else " (taken only if named)")
            for each in self._machine.graph.of(Disk)
        ]
        there = "\n".join(listed) if listed else "  none"
        wanted = f"{how} {count} disk{'' if count == 1 else 's'}{asked}"
        fit = {0: "none fits", 1: "1 fits"}.get(len(self._chosen), f"{len(self._chosen)} fit")
        return f"This needs {wanted}, and {fit}. The disks of this machine:\n{there}"


def _size(disk: Disk) -> int:
    return disk.device.size if disk.device else disk.size


def _names(disk: Disk) -> frozenset[str]:
    links = [link for link in (disk.device.links if disk.device else ()) if link.startswith(BY_ID)]
    said = (disk.id, disk.id.removeprefix("disk:"), disk.serial, disk.wwn)
    return frozenset(filter(None, (*said, *links, *(link.removeprefix(BY_ID) for link in links))))


def _bytes(size: str | int | None) -> int | None:
    return parse_bytes(size) if isinstance(size, str) else size
