"""Mounts in layouts: keys of whatever can be mounted, and the section `nodev` for what is on no disk of its own."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from pre_nixos.backends.mounts.kinds import Mount, Mountable
from pre_nixos.plugin import for_kind, for_type, hooks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    content.add(on, Mount, at=at, root=content.root, options=options or None, mode=mode)


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
    holder: str = path
    while not entry.described(_name(entry.root, holder)) and holder != "/":
        holder = holder.rpartition("/")[0] or "/"
    if not entry.described(_name(entry.root, holder)):
        entry.note(f"{path} is on nothing that the layout mounts", "device")
        return
    inside = path[len(holder.rstrip("/")) :] or None
    below = entry.having(_name(entry.root, holder), below=True)
    entry.add([below], Mount, at=at, root=entry.root, options=tuple(options) or None, mode=mode, directory=inside)


def _name(root: str, at: str) -> str:
    return f"at:{Mount(at=at, root=root).place}"


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
        siblings = [sheet.graph[each] for each in sheet.graph.standing_on(below[0].id)]
        whole = [each for each in siblings if isinstance(each, Mount) and each.directory is None]
        if whole:
            source = f"{whole[0].at.rstrip('/')}{layer.directory}"
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
