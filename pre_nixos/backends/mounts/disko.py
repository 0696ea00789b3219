"""Mounts in layouts: keys of whatever can be mounted, and the section `nodev` for what is on no disk of its own."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from pre_nixos.backends.mounts.kinds import Mount, Mountable, source_of
from pre_nixos.backends.mounts.options import overruled
from pre_nixos.plugin import AT, for_kind, for_type, hooks

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pre_nixos.plugin import Fragment, Handle, Sheet

NODEV = "nodev"
BINDING = ("bind", "rbind")


@for_type(hooks.from_disko, "mountpoint")
def read_mount(content: Fragment, on: Sequence[Handle]) -> None:
    """Read where something is mounted, if it is; of what several disks have, the first."""
    at, options = content.text("mountpoint"), content.texts("mountOptions")
    mode = _mode(content)
    if at is None or not content.first:
        return
    if not at.startswith("/"):
        content.note(f"a mount point is a path from the root, and {at!r} is not", "mountpoint")
        return
    counting = _counting(content, at)
    lost = overruled(options or (), counting)
    content.add(on, Mount, at=at, root=content.root, options=options or None, mode=mode, overruled=lost)


def _counting(content: Fragment, at: str) -> Sequence[str]:
    """Give the options that count because a part of the same filesystem is mounted before: they are of all of it."""
    above = content.above.above if content.above is not None else None
    whole = content if content.type == "btrfs" else above
    if whole is None or whole.type != "btrfs":
        return ()
    parts = [whole, *whole.children("subvolumes")]
    places = {place: each for each in parts if (place := each.text("mountpoint")) is not None and place < at}
    found: list[str] = []
    for place in sorted(places):
        said = places[place].texts("mountOptions") or ()
        found += [each for each in said if each not in overruled(said, found)]
    return found


def _mode(content: Fragment) -> int | None:
    said = content.text("mountMode")
    if said is None:
        return None
    if said and not set(said) - set("01234567") and int(said, 8) <= 0o7777:
        return int(said, 8)
    content.note(f"{said!r} is no mode; write for example 1777", "mountMode")
    return None


@for_type(hooks.from_disko, NODEV)
def read_nodev(entry: Fragment, on: Sequence[Handle]) -> None:
    """Read a filesystem in memory, or a directory of another that is mounted."""
    del on
    at = entry.text("mountpoint") or entry.key
    type_, device = entry.text("fsType", needed=True), entry.text("device")
    options, mode = entry.texts("mountOptions") or (), _mode(entry)
    if not at.startswith("/"):
        entry.note(f"a mount point is a path from the root, and {at!r} is not")
    elif set(BINDING) & set(options):
        _read_directory(entry, at, device, [each for each in options if each not in BINDING], mode)
    elif type_ is not None:
        entry.add([], Mount, at=at, root=entry.root, type=type_, options=options or None, mode=mode)


def _read_directory(entry: Fragment, at: str, device: str | None, options: Sequence[str], mode: int | None) -> None:
    """Read a bind mount: a directory of whatever the layout mounts where that is."""
    if device is None or not device.startswith("/") or ".." in device.split("/"):
        entry.note("which directory is to be seen there? Write its path from the root", "device")
        return
    path: str = "/" + posixpath.normpath(device).strip("/")
    own = _name(entry.root, at)
    if entry.described(own) is None:
        # The first time the layout is read. Others may be directories of this one, and where it is itself is not known.
        entry.add([], Mount, at=at, root=entry.root, directory=path)
        return
    followed = {own}
    while True:
        holder, held = _holder(entry, path, followed)
        if held is None:
            entry.note(f"{path} is on nothing that the layout mounts", "device")
            return
        inside = path[len(holder.rstrip("/")) :] or "/"
        if held.directory is None:
            break
        followed.add(_name(entry.root, holder))
        path = posixpath.normpath(f"{held.directory}/{inside}")
    below = entry.having(_name(entry.root, holder), below=True)
    entry.add([below], Mount, at=at, root=entry.root, options=tuple(options) or None, mode=mode, directory=inside)


def _holder(entry: Fragment, path: str, apart: Collection[str]) -> tuple[str, Mount | None]:
    """Find what is mounted at a path or nearest above it, as it was read before, and say where."""
    while True:
        name = _name(entry.root, path)
        held = entry.described(name) if name not in apart else None
        if isinstance(held, Mount) or path == "/":
            return path, held if isinstance(held, Mount) else None
        path = path.rpartition("/")[0] or "/"


def _name(root: str, at: str) -> str:
    return f"{AT}{Mount(at=at, root=root).place}"


@for_kind(hooks.to_disko, Mount)
def write_mount(layer: Mount, sheet: Sheet) -> Mapping[str, object]:
    """Write where it is mounted, to stand among the keys of what is mounted; what is on nothing has an entry."""
    below = sheet.graph.under(layer)
    said = _keys(layer, ())
    if not below:
        # What the running system has in memory is no part of any layout: that is seen from its own root.
        if layer.root != "/" and layer.type is not None:
            sheet.entry(NODEV, layer.at, {"type": NODEV, "fsType": layer.type, **said})
        return {}
    if layer.namespace:
        return {}
    if layer.directory is not None:
        if source := source_of(layer, sheet.graph):
            sheet.entry(NODEV, layer.at, {"type": NODEV, "fsType": "none", "device": source, **_keys(layer, ["bind"])})
            sheet.tells(layer)
        return {}
    if layer.source_root != "/" and not isinstance(below[0], Mountable):
        return {}
    return {"mountpoint": layer.at, **said}


def _keys(layer: Mount, more: Sequence[str]) -> dict[str, object]:
    options = [*more, *(layer.options or ())]
    found: dict[str, object] = {"mountOptions": options} if options else {}
    return found | ({"mountMode": f"{layer.mode:o}"} if layer.mode is not None else {})
