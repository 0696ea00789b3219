"""What is mounted and swapped on, in every mount namespace."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from pre_nixos.host.questions import MountEntry, MountTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


KERNEL_PLACES = ("/proc", "/sys", "/dev")
"""Where the kernel shows itself; nothing of anybody's is mounted there."""


LOCAL = frozenset({"btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "ramfs", "tmpfs", "vfat", "xfs"})
"""Types whose roots the kernel keeps in its memory: asking for them waits for no device and no server."""
THROUGH = LOCAL | {"devtmpfs", "erofs", "hostfs", "iso9660", "overlay", "rootfs", "squashfs"}
"""Types that can be gone through to what is mounted in them without waiting."""


class Line(NamedTuple):
    """One line of a mountinfo, see proc(5)."""

    id: str
    parent: str
    device: str
    root: str
    at: str
    options: tuple[str, ...]
    propagation: tuple[str, ...]
    """`shared:N`, `master:N`: whose unmounts reach below this mount."""
    type: str
    source: str
    sealed: bool = False
    """Whether all of the filesystem is read-only, and not only this mount of it."""


def permissions(path: str) -> int | None:
    """Give the permissions of a directory; None if it cannot be asked for them."""
    try:
        return stat.S_IMODE(os.lstat(path).st_mode)
    except OSError:
        return None


def read_mounts(
    proc: str = "/proc",
    number_at: Callable[[str], str] | None = None,
    mode_at: Callable[[str], int | None] = permissions,
    size_at: Callable[[str, str, str], int | None] = lambda _type, _at, _number: None,
) -> MountTable:
    """Answer `ReadMounts`."""
    resolve = number_at or block_number
    namespaces = _namespaces(proc)
    ours = list(parse(_text(f"{proc}/self/mountinfo")))
    asked = _answering(ours)

    def own(line: Line) -> MountEntry | None:
        if line.id not in asked:
            return _entry(line, "", resolve)
        return _entry(line, "", resolve, mode_at(line.at), size_at(line.type, line.at, line.device))

    mounts = [entry for line in ours if (entry := own(line))]
    for inode, (pid, name) in sorted(namespaces.items()):
        label = f"{inode} (pid {pid} {name})"
        foreign = list(parse(_text(f"{proc}/{pid}/mountinfo")))
        mounts += [entry for line in _differing(foreign, ours) if (entry := _entry(line, label, resolve))]
    return MountTable(mounts=tuple(mounts), swaps=read_swaps(proc))


def read_swaps(proc: str = "/proc") -> tuple[str, ...]:
    """Name what is in use as swap."""
    return tuple(swap_priorities(proc))


def swap_priorities(proc: str = "/proc") -> Mapping[str, int]:
    """Give the priority of all that is in use as swap, by its name; below zero are those the kernel gave out."""
    lines = [line.split() for line in _text(f"{proc}/swaps").splitlines()[1:]]
    return {decode(words[0]): int(words[-1]) for words in lines if words}


def parse(text: str) -> Iterable[Line]:
    """Take a mountinfo apart; a line that is not one is passed over."""
    for raw in text.splitlines():
        fields = raw.split(" ")
        if "-" not in fields[6:]:
            continue
        dash = fields.index("-", 6)
        if len(fields) < dash + 3:
            continue
        # Behind the dash: type, source, the filesystem's own options. An empty source leaves two blanks.
        its_own = fields[dash + 3].split(",") if len(fields) > dash + 3 else []
        options = fields[5].split(",")
        if "ro" in its_own:  # of all of the filesystem, however this mount of it was meant
            options = ["ro" if option == "rw" else option for option in options]
        options += [option for option in its_own if option not in options and option not in ("rw", "ro")]
        yield Line(
            id=fields[0],
            parent=fields[1],
            device=fields[2],
            root=decode(fields[3]),
            at=decode(fields[4]),
            options=tuple(decode(option) for option in options),
            propagation=tuple(fields[6:dash]),
            type=fields[dash + 1],
            source=decode(fields[dash + 2]),
            sealed="ro" in its_own,
        )


def decode(field: str) -> str:
    """Undo the kernel's octal escapes of blanks, tabs, line ends, backslashes and hashes."""
    head, *pieces = field.split("\\")
    for piece in pieces:
        code = piece[:3]
        octal = len(code) == 3 and all(digit in "01234567" for digit in code)
        head += chr(int(code, 8)) + piece[3:] if octal else "\\" + piece
    return head


def block_number(path: str) -> str:
    """Give the `major:minor` of a block device's node, or nothing if there is none at that path."""
    if path.startswith("/dev/"):
        try:
            state = os.lstat(path)  # of a node itself, which the kernel keeps in its memory
        except (OSError, ValueError):
            return ""
        if stat.S_ISBLK(state.st_mode):
            return f"{os.major(state.st_rdev)}:{os.minor(state.st_rdev)}"
    from pre_nixos.host.statx import look_in_time  # most sources are nodes, and ctypes takes long to load

    # Anything may be called the source of a mount, also a path on a server that does not answer.
    status = look_in_time(path)
    return status.device if status else ""


def namespace_of(entry: MountEntry) -> int | None:
    """Give a process in whose namespace, other than ours, a mount is."""
    _, _, words = entry.namespace.partition("(pid ")
    return int(words.split(" ")[0]) if words else None


def _answering(ours: list[Line]) -> frozenset[str]:
    """Pick the mounts of our own namespace whose directory can be asked about itself without waiting for anything."""
    top = {line.at: position for position, line in enumerate(ours)}

    def is_seen(at: str, position: int) -> bool:
        around = {at[:each] or "/" for each, letter in enumerate(at) if letter == "/"} - {at}
        above = [top[each] for each in around if each in top]
        return top[at] == position and all(each < position and ours[each].type in THROUGH for each in above)

    return frozenset(line.id for position, line in enumerate(ours) if line.type in LOCAL and is_seen(line.at, position))


def _entry(
    line: Line, namespace: str, resolve: Callable[[str], str], mode: int | None = None, size: int | None = None
) -> MountEntry | None:
    """Make an entry of a line if somebody may want to know of it.

    That is every mount of a block device, and in our own namespace whatever else takes a place in the tree. A
    filesystem over several devices has a number that belongs to none of them; the device is then what the source
    says. A btrfs whose source leads nowhere is kept as it is, for it has devices all the same.
    """
    device = line.device
    if device.startswith("0:"):
        number = resolve(line.source) if line.source.startswith("/") else ""
        if not number and line.type != "btrfs":
            if namespace or line.at.startswith(KERNEL_PLACES):
                return None
            device = ""
        device = number or device
    return MountEntry(
        device=device,
        root=line.root,
        at=line.at,
        type=line.type,
        source=line.source,
        options=line.options,
        namespace=namespace,
        mode=mode,
        size=size,
    )


def _differing(foreign: list[Line], ours: list[Line]) -> Iterable[Line]:
    """Pick the mounts of another namespace that would outlive ours.

    Most are copies that vanish together with ours: the mount above them receives what happens below its original.
    """
    by_id = {line.id: line for line in foreign}
    our_ids = {line.id: line for line in ours}
    same: dict[tuple[str, str, str], list[Line]] = {}
    for line in ours:
        same.setdefault((line.device, line.root, line.at), []).append(line)
    for line in foreign:
        above = by_id.get(line.parent)
        receives = {mark.partition(":")[2] for mark in above.propagation} if above else set[str]()
        follows = False
        for twin in same.get((line.device, line.root, line.at), []):
            our_above = our_ids.get(twin.parent)
            sends = (mark for mark in our_above.propagation if mark.startswith("shared:")) if our_above else ()
            if line.parent == twin.parent or any(mark.partition(":")[2] in receives for mark in sends):
                follows = True
        if not follows:
            yield line


def _namespaces(proc: str) -> dict[str, tuple[int, str]]:
    """Find the mount namespaces other than ours, each with a process in it."""
    try:
        own = os.readlink(f"{proc}/self/ns/mnt")
        processes = sorted(int(entry) for entry in os.listdir(proc) if entry.isdigit())
    except OSError:
        return {}
    found: dict[str, tuple[int, str]] = {}
    for pid in processes:
        try:
            link = os.readlink(f"{proc}/{pid}/ns/mnt")
        except OSError:
            continue
        inode = link.partition("[")[2].rstrip("]")
        if link != own and inode not in found:
            found[inode] = (pid, _text(f"{proc}/{pid}/comm").strip())
    return found


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "backslashreplace")
    except OSError:
        return ""
