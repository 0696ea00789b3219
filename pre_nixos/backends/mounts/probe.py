"""Finding what is mounted, in every mount namespace, and which filesystem a file lies on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mounts.kinds import Mount
from pre_nixos.plugin import Found, Reader, ReadMounts, Ref, State, hooks, implements, survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pre_nixos.plugin import MountEntry

SIGNATURES = {"ntfs3": "ntfs", "fuseblk": "ntfs", "msdos": "vfat", "hfsplus": "hfsplus"}
"""Types of mounts whose filesystems libblkid calls otherwise."""


@implements(hooks.probe)
def find(reader: Reader) -> Iterable[Found]:
    """Find the mounts of block devices, and of whatever else takes a place in our own namespace."""
    seen = survey(reader)
    for entry in reader.ask(ReadMounts()).mounts:
        known = entry.device in seen.by_number
        if entry.namespace and not known:
            continue
        # The process in the label is only a witness; the namespace's own number is what stays.
        namespace, _, witness = entry.namespace.partition(" (")
        mount = Mount(
            at=entry.at,
            root="/",
            namespace=f"mount namespace {namespace}" if namespace else "",
            options=entry.options,
            type=entry.type,
            source_root=entry.root,
            remark=witness.rstrip(")"),
            state=State.ACTIVE,
        )
        yield Found(mount, on=[_source(entry)] if known else [])


def holding_file(path: str, reader: Reader) -> Sequence[Ref]:
    """Say on which filesystem a file lies: nothing if that is on no block device."""
    best: MountEntry | None = None
    for entry in reader.ask(ReadMounts()).mounts:
        above = entry.at.rstrip("/") + "/"
        # Of two mounts at one place the later one hides the other.
        if not entry.namespace and path.startswith(above) and (best is None or len(entry.at) >= len(best.at)):
            best = entry
    if best is None or best.device not in survey(reader).by_number:
        return ()
    return (_source(best),)


def _source(entry: MountEntry) -> Ref:
    return Ref(number=entry.device, content=SIGNATURES.get(entry.type, entry.type), name=entry.root.strip("/"))
