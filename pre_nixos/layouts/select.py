"""Which disks a layout means: by what it calls them, or by what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pre_nixos.model.data import Data
from pre_nixos.model.draft import InvalidLayout
from pre_nixos.model.size import human, parse_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.hooks.fragment import Fragment
    from pre_nixos.model.layer import Disk
    from pre_nixos.model.machine import Disks, Machine

LASTING = ("/dev/disk/by-id/", "/dev/disk/by-path/")
"""Names that mean the same disk, or the same place, tomorrow."""
MANY = 999
"""More disks than this nobody means."""
KERNELS = (
    "is the kernel's name of the moment, which another disk may have after the next boot; write a link below "
    "/dev/disk/by-id, or select = { serial = ... }"
)


class Choice(Data):
    """What a layout says of one disk, or of several that get the same content."""

    path: str
    name: str
    names: tuple[str, ...] = ()
    """What it is called: each must mean the same one disk."""
    several: tuple[str, ...] = ()
    """What each of several disks is called."""
    link: str = ""
    """The place it is plugged in at."""
    ssd: bool | None = None
    transport: str | None = None
    model: str | None = None
    least: int | None = None
    most: int | None = None
    count: int = 1
    unclear: bool = False
    """Whether what it says is wrong, so that no disk can be found by it."""

    @property
    def named(self) -> bool:
        """Whether it is said which disk it is, so that also a removable one may be taken."""
        return bool(self.names or self.several or self.link)

    @property
    def said(self) -> str:
        """What it asks for, in words."""
        media = {True: "solid-state", False: "rotational"}.get(self.ssd) if self.ssd is not None else None
        parts = (
            *self.names,
            *self.several,
            self.link,
            media,
            self.transport,
            self.model,
            f"at least {human(self.least)}" if self.least is not None else None,
            f"at most {human(self.most)}" if self.most is not None else None,
        )
        return ", ".join(filter(None, parts)) or "any disk"


def read_choice(entry: Fragment, overruled: str | Sequence[str] | None = None) -> Choice:
    """Read which disk an entry means; `overruled` is what somebody called it instead."""
    entry.ignore("imageName", "imageSize")
    if not entry.flag("destroy", default=True):
        entry.note("a disk whose content is to stay is left out of the layout", "destroy")
    device, select = entry.text("device"), entry.child("select")
    said = _selected(select, entry) if select is not None else Choice(path=entry.path, name=entry.name)
    entry.has("content")
    if overruled is not None:
        return _overruled([overruled] if isinstance(overruled, str) else overruled, said, entry)
    if select is not None:
        return said  # a layout that Disko is to read as well has to have a device
    if device is None:
        if not entry.has("device"):
            entry.note('which disk is it? Write device = "/dev/disk/by-id/...", or select = { serial = ... }')
    elif device.startswith("/dev/") and not device.startswith(LASTING):
        entry.note(f"{device!r} {KERNELS}", "device")
    else:
        return _called(device, entry)
    return Choice(path=entry.path, name=entry.name)


def _called(said: str, entry: Fragment) -> Choice:
    if said.startswith(LASTING[1]):
        return Choice(path=entry.path, name=entry.name, link=said)
    return Choice(path=entry.path, name=entry.name, names=(said,))


def _overruled(names: Sequence[str], said: Choice, entry: Fragment) -> Choice:
    if len(names) != said.count:
        entry.note(f"this stands for {said.count} disks, and {len(names)} were named for it: {', '.join(names)}")
    if len(names) == 1:
        return _called(names[0], entry)
    return Choice(path=entry.path, name=entry.name, several=tuple(names), count=len(names))


def _selected(select: Fragment, entry: Fragment) -> Choice:
    names = [found for key in ("serial", "wwn", "id") if (found := select.text(key)) is not None]
    link = select.text("link") or ""
    if link and not link.startswith(LASTING):
        select.note(f"{link!r} {KERNELS}", "link")
    if link.startswith(LASTING[0]):
        names, link = [*names, link], ""
    ssd = select.flag("ssd") if select.has("ssd") else None
    least, most = _bytes(select, "min"), _bytes(select, "max")
    transport, model = select.text("transport"), select.text("model")
    count = select.number("count")
    if count is not None and not 1 <= count <= MANY:
        select.note(f"it must be from 1 to {MANY}", "count")
        count = 1
    if (names or link) and count not in {None, 1}:
        select.note("what is named is one disk", "count")
    if least is not None and most is not None and least > most:
        select.note(f"no disk has at least {human(least)} and at most {human(most)}")
    choice = Choice(
        path=entry.path,
        name=entry.name,
        names=tuple(names),
        link=link,
        ssd=ssd,
        transport=transport,
        model=model,
        least=least,
        most=most,
        count=max(1, count or 1),
    )
    if choice.said == "any disk" and count is None:
        select.note('it says nothing; write for example { serial = ... } or { ssd = true, min = "400G" }')
    return choice


def _bytes(select: Fragment, key: str) -> int | None:
    said = select.text(key)
    try:
        return None if said is None else parse_bytes(said)
    except ValueError as error:
        select.note(str(error), key)
        return None


class Chosen(Data):
    """The disks of each choice, in its order."""

    disks: tuple[tuple[Disk, ...], ...] = ()
    problems: tuple[str, ...] = ()


def choose(choices: Sequence[Choice], machine: Machine) -> Chosen:
    """Find the disks of a machine that are meant; what is named first, so that the others are chosen from the rest."""
    found: dict[int, tuple[Disk, ...]] = {}
    taken: dict[str, Choice] = {}
    problems: list[str] = []
    listed = False
    for position in sorted(range(len(choices)), key=lambda each: not choices[each].named):
        choice = choices[position]
        among = machine.all_disks if choice.named else machine.disks
        fitting = [each for each in _fitting(choice, among) if choice.named or each.id not in taken]
        if choice.unclear:
            fitting = []
        elif len(fitting) != choice.count:
            listed = True
            problems.append(f"{choice.path}: {_complaint(choice, fitting)}")
            fitting = []
        for disk in fitting:
            if disk.id in taken:
                problems.append(f"{choice.path}: {disk.title} is the disk of {taken[disk.id].path} already")
            taken.setdefault(disk.id, choice)
        found[position] = tuple(fitting)
    if listed:
        problems.append(_candidates(machine, taken))
    return Chosen(disks=tuple(found[each] for each in range(len(choices))), problems=tuple(problems))


def _fitting(choice: Choice, among: Disks) -> Sequence[Disk]:
    if choice.several:
        apart = (msgspec.structs.replace(choice, several=(), names=(name,)) for name in choice.several)
        return [disk for each in apart for disk in _fitting(each, among)]
    for name in choice.names:
        try:
            ids = {each.id for each in among.named([name])}
        except InvalidLayout:
            ids = {each.id for each in among if name in {each.serial, each.wwn}}
        among = among.where(matching=lambda disk, ids=ids: disk.id in ids)  # type: ignore[misc]  # bound at once, on purpose
    among = among.where(
        link=choice.link or None,
        rotational=None if choice.ssd is None else not choice.ssd,
        transport=choice.transport,
        model=choice.model,
        at_least=choice.least,
        at_most=choice.most,
    )
    return sorted(among, key=lambda each: each.id)


def _complaint(choice: Choice, fitting: Sequence[Disk]) -> str:
    if not fitting:
        return f"no disk that is still free is {choice.said}" if not choice.named else f"there is no disk {choice.said}"
    names = ", ".join(f"{each.title} ({human(each.size)})" for each in fitting)
    count = "one disk is" if choice.count == 1 else f"{choice.count} disks are"
    return f"{count} wanted that is {choice.said}, and {len(fitting)} are: {names}"


def _candidates(machine: Machine, taken: dict[str, Choice]) -> str:
    lines = ["The disks of this machine:"]
    for disk in machine.all_disks:
        remarks = [f"taken by {taken[disk.id].path}"] if disk.id in taken else []
        remarks += [] if machine.may_take(disk) else ["taken only if named"]
        remark = f" ({'; '.join(remarks)})" if remarks else ""
        lines.append(f"  {disk.title}, {human(disk.size)}: {disk.id}{remark}")
    return "\n".join([*lines, *(["  none"] if len(lines) == 1 else [])])
