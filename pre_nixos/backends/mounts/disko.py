"""Mounts in layouts: keys of whatever can be mounted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mounts.kinds import Mount, Mountable
from pre_nixos.plugin import for_kind, for_type, hooks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.plugin import Fragment, Handle, Sheet

NODEV = "what is on no disk (memory, other directories) is not mounted here"


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


@for_kind(hooks.to_disko, Mount)
def write_mount(layer: Mount, sheet: Sheet) -> Mapping[str, object]:
    """Write where it is mounted, to stand among the keys of what is mounted; of a directory there is no saying it."""
    below = sheet.graph.under(layer)
    whole = layer.source_root == "/" or (below and isinstance(below[0], Mountable))
    if layer.namespace or not whole or not below:
        return {}
    options = {"mountOptions": list(layer.options)} if layer.options else {}
    mode = {"mountMode": f"{layer.mode:o}"} if layer.mode is not None else {}
    return {"mountpoint": layer.at, **options, **mode}
