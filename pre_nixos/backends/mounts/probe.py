"""Finding what is mounted, in every mount namespace, and which filesystem a file lies on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mounts.kinds import Mount
from pre_nixos.plugin import Found, Reader, ReadMounts, Ref, State, hooks, implements, survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pre_nixos.plugin import MountEntry

SIGNATURES = {"ntfs3": "ntfs", "fuseblk": "ntfs", "msdos": "vfat", "hfsplus": "hfsplus"}
"""Types of mounts whose filesystems libblkid calls otherwise."""


@implements(hooks.probe)
def find(reader: Reader) -> Iterable[Found]:
    """Find the mounts of block devices, and of whatever else takes a place in our own namespace."""
    seen = survey(reader)
    entries = reader.ask(ReadMounts()).mounts
    held = holders([entry for entry in entries if not entry.namespace])
    covered: dict[tuple[str, str], int] = {}
    for position, entry in enumerate(entries):
        hidden = () if entry.namespace else _hiding(entry.at, entries[position + 1 :])
        place = (entry.namespace, entry.at)
        covered[place] = covered.get(place, -1) + 1
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
            holders=tuple(dict.fromkeys((*held.get(id(entry), ()), *hidden))),
            covers=covered[place],
            hidden_by=hidden,
            covered=any(each.at == entry.at and each.namespace == entry.namespace for each in entries[position + 1 :]),
            permissions=entry.mode,
            remark=witness.rstrip(")"),
            state=State.ACTIVE,
        )
        yield Found(mount, on=[_source(entry)] if known else [])


def holders(entries: Sequence[MountEntry]) -> Mapping[int, Sequence[str]]:
    """Say which mounts of one namespace keep others from being unmounted: places, by the identity of the entry held.

    The entries are in the order they were mounted in: what came earlier is not inside what came later.
    """
    found: dict[int, list[str]] = {}
    for position, entry in enumerate(entries):
        inner = [entry.at]
        if entry.type == "overlay":
            inner += [path for option in entry.options for path in _layers(option)]
        for path in inner:
            outer = _enclosing(path, entries[:position])
            if outer is not None and entry.at not in found.setdefault(id(outer), []):
                found[id(outer)].append(entry.at)
    return found


def _hiding(at: str, later: Sequence[MountEntry]) -> tuple[str, ...]:
    """Find what was mounted around a place after it."""
    around = (each.at for each in later if not each.namespace)
    return tuple(dict.fromkeys(each for each in around if each != at and at.startswith(each.rstrip("/") + "/")))


def _layers(option: str) -> Sequence[str]:
    """Give the directories an option says an overlay is made of."""
    key, _, value = option.partition("=")
    return value.split(":") if key in {"lowerdir", "upperdir", "workdir"} else ()


def _enclosing(path: str, entries: Sequence[MountEntry]) -> MountEntry | None:
    """Find the mount a path lies in: the innermost, and of several at one place the last."""
    best: MountEntry | None = None
    for entry in entries:
        inside = path == entry.at or path.startswith(entry.at.rstrip("/") + "/")
        if inside and (best is None or len(entry.at) >= len(best.at)):
            best = entry
    return best


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
    # What is mounted of a subvolume may be a directory in it: only the option says where the one begins.
    inside = next((each for each in entry.options if each.startswith("subvol=")), f"={entry.root}")
    name = inside.partition("=")[2].strip("/")
    return Ref(number=entry.device, content=SIGNATURES.get(entry.type, entry.type), name=name)
