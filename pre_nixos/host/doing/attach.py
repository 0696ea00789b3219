"""Mounts, by system calls: no process, and an error number instead of a sentence to guess at."""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import TYPE_CHECKING

from pre_nixos.host.doing import kernel
from pre_nixos.host.doing.options import parse_options, subvolume
from pre_nixos.host.doing.problems import NotDoneError, RefusedError, words
from pre_nixos.host.doing.subvolumes import open_below
from pre_nixos.host.mounttable import block_number, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.host.doing.options import Options
    from pre_nixos.host.doing.places import Place
    from pre_nixos.host.doing.problems import Effort
    from pre_nixos.host.mounttable import Line
    from pre_nixos.model.step import Attach

MS_RDONLY, MS_REMOUNT, MS_BIND = 1, 32, 4096
OF_ALL = 16 | 128 | 1 << 25
"""Flags a filesystem has wherever it is mounted: sync, dirsync, lazytime."""


def carry_out(work: Attach, place: Place | None, effort: Effort) -> str:
    """Do what the step says."""
    if work.remount:
        return change(place, work.at, work.type, work.options, effort)
    return attach(place, work.at, work.type, work.options, effort, work.directory)


def attach(place: Place | None, at: str, kind: str, options: Sequence[str], effort: Effort, directory: str = "") -> str:
    """Mount at an existing directory; what is mounted there already is left as it is."""
    at = _mount_point(at)
    who = place or kind
    wanted = _parsed(who, options)
    there = top_mount(at)
    root = "/" + f"{subvolume(options)}/{directory}".strip("/")
    if there is not None:
        if _is_it(place, kind, there) and (place is None or _root(there) == os.path.normpath(root)):
            return f"{who} is mounted at {at} already"
        raise RefusedError(
            f"{at}: {there.source} ({there.type}) is mounted there already; {who} was not mounted over it"
        )
    inside = _seen_inside(at)
    if inside:
        raise RefusedError(f"{at}: mounting {who} there would hide what is mounted at {', '.join(inside)}")
    effort.wrote = True  # mounting may replay a journal, also when it fails in the end
    try:
        if directory and place is not None:
            _mount_directory(place, at, kind, wanted, directory.strip("/"))
        else:
            _mount(place.path if place else kind, at, kind, wanted)
    except OSError as error:
        raise NotDoneError(f"mounting {who} ({kind}) at {at}: {words(error)}; nothing is mounted there") from error
    there = top_mount(at)
    if there is None or not _is_it(place, kind, there):
        raise NotDoneError(f"{who} was mounted at {at}, but {there.source if there else 'nothing'} is there now")
    return f"{who} mounted at {at}"


def _mount(source: str, at: str, kind: str, wanted: Options) -> None:
    """Mount all of a filesystem, which may be mounted elsewhere already, read-only here and writable there."""
    try:
        kernel.mount(source, at, kind, wanted.flags, wanted.data)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        # The kernel begins a further mount only as it began the first: so, and then it is made what it should be.
        try:
            kernel.mount(source, at, kind, wanted.flags ^ MS_RDONLY, wanted.data)
        except OSError:
            raise error from None
        _or_nothing(at, kind, wanted.flags)


def _or_nothing(at: str, kind: str, flags: int) -> None:
    """Make what was just mounted, and it alone, read-only, or all of it writable; if that fails, it goes again."""
    try:
        kernel.mount("none", at, kind, MS_REMOUNT | (MS_BIND if flags & MS_RDONLY else 0) | flags, "")
    except OSError:
        kernel.unmount(at)
        raise


def _mount_unsealed(source: str, at: str, kind: str, wanted: Options) -> None:
    """Mount all of a filesystem writable, unless it cannot be: it may be mounted read-only, or be so itself."""
    try:
        kernel.mount(source, at, kind, wanted.flags & ~MS_RDONLY, wanted.data)
    except OSError:
        kernel.mount(source, at, kind, wanted.flags, wanted.data)


def _mount_directory(place: Place, at: str, kind: str, wanted: Options, directory: str) -> None:
    """Mount one directory of a filesystem: all of it first, and then that in its place.

    That it is to be read-only is no reason for the rest of the filesystem to be: nothing could be made in it.
    """
    sealing = wanted.flags & MS_RDONLY
    if sealing:
        _mount_unsealed(place.path, at, kind, wanted)
    else:
        _mount(place.path, at, kind, wanted)
    try:
        if directory:
            top = os.open(at, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.close(open_below(top, directory, make=True))
            finally:
                os.close(top)
        part = kernel.copy_mount(f"{at}/{directory}")
    finally:
        kernel.unmount(at)
    try:
        kernel.show_at(part, at)
    finally:
        os.close(part)
    if sealing:
        _or_nothing(at, kind, wanted.flags)


def change(place: Place | None, at: str, kind: str, options: Sequence[str], effort: Effort) -> str:
    """Give what is mounted at a directory further options; those it has, it keeps."""
    who = place or kind
    wanted = _parsed(who, options)
    there = top_mount(os.path.normpath(at))
    if there is None or not _is_it(place, kind, there):
        found = f"{there.source} ({there.type})" if there else "nothing"
        raise RefusedError(f"{at}: {found} is mounted there, not {who}; nothing was changed")
    # Flags that are not said again are taken away; what belongs to the filesystem stays unless it is said otherwise.
    flags = parse_options([*there.options, *options]).flags
    effort.wrote = True
    # Read-only is to be this mount, not the filesystem: that may be mounted elsewhere too.
    alone = flags & MS_RDONLY and _is_elsewhere(there)
    try:
        if not alone:
            kernel.mount("none", there.at, kind, MS_REMOUNT | flags, wanted.data)
        else:
            if wanted.data or wanted.flags & OF_ALL:
                kept = flags if there.sealed else flags & ~MS_RDONLY
                kernel.mount("none", there.at, kind, MS_REMOUNT | kept, wanted.data)
            kernel.mount("none", there.at, kind, MS_REMOUNT | MS_BIND | flags, "")
    except OSError as error:
        raise NotDoneError(f"changing the options of {who} at {at}: {words(error)}; they are what they were") from error
    return f"{who} at {at} has {','.join(options)} now"


def _is_elsewhere(there: Line) -> bool:
    """Whether a filesystem is mounted at another place too."""
    return any(each.device == there.device and each.id != there.id for each in _lines())


def _parsed(who: Place | str, options: Sequence[str]) -> Options:
    try:
        return parse_options(options)
    except ValueError as error:
        raise NotDoneError(f"{who}: {error}; nothing was mounted") from error


def _is_it(place: Place | None, kind: str, there: Line) -> bool:
    """Whether a mount is of this device; of what is on no device, whether it is of that kind."""
    return there.type == kind if place is None else is_same(place, there)


def detach(place: Place | None, at: str, effort: Effort) -> str:
    """Unmount a directory if it is this device, or something on none, that is mounted there."""
    at = os.path.normpath(at)
    there = top_mount(at)
    if there is None:
        return f"nothing is mounted at {at}"
    if place is None and block_number(there.source):
        raise RefusedError(f"{at}: {there.source} ({there.type}) is mounted there now; it was left alone")
    if place is not None and not is_same(place, there):
        raise RefusedError(f"{at}: {there.source} ({there.type}) is mounted there, not {place}; it was left alone")
    who = place or there.type
    for attempt in range(5):
        try:
            kernel.unmount(at)
        except OSError as error:
            if error.errno == errno.EBUSY:
                if attempt < 4:
                    time.sleep(0.2)
                    continue
                raise RefusedError(f"{at} is in use; {who} is still mounted there, nothing was changed") from error
            raise NotDoneError(f"unmounting {who} from {at}: {words(error)}; it is still mounted") from error
        break
    effort.wrote = True
    return f"{who} unmounted from {at}"


def _mount_point(at: str) -> str:
    """Insist on a directory that is where it says it is."""
    if not os.path.isabs(at):
        raise NotDoneError(f"{at!r} is not an absolute path; nothing was mounted")
    at = os.path.normpath(at)
    try:
        status = os.lstat(at)
    except OSError as error:
        raise NotDoneError(f"{at}: {words(error)}; nothing was mounted") from error
    if stat.S_ISLNK(status.st_mode) or not stat.S_ISDIR(status.st_mode):
        raise RefusedError(f"{at} is no directory (a link does not count); nothing was mounted")
    real = os.path.realpath(at)
    if real != at:
        raise RefusedError(f"{at} leads through a link to {real}; nothing was mounted")
    return at


def _seen_inside(at: str) -> Sequence[str]:
    """Name the places inside a directory at which something is mounted."""
    return sorted({mount.at for mount in _lines() if mount.at.startswith(at.rstrip("/") + "/")})


def top_mount(at: str) -> Line | None:
    """What one sees at a path: the last thing mounted there."""
    return next((mount for mount in reversed(_lines()) if mount.at == at), None)


def _lines() -> Sequence[Line]:
    """What is mounted, in the order of the kernel."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return list(parse(file.read()))


def is_same(place: Place, mount: Line) -> bool:
    """Whether a mount is of this device; a btrfs is of each of its devices, and has a device number of its own."""
    if mount.device == place.number:
        return True
    number = block_number(mount.source)
    if number == place.number:
        return True
    return mount.type == "btrfs" and number != "" and _one_btrfs(number, place.number)


def _one_btrfs(one: str, other: str) -> bool:
    """Whether two devices belong to one mounted btrfs."""
    base = "/sys/fs/btrfs"
    if not os.path.isdir(base):
        return False
    for name in os.listdir(base):
        devices = f"{base}/{name}/devices"
        if os.path.isdir(devices):
            numbers = {_attribute(f"{devices}/{device}/dev") for device in os.listdir(devices)}
            if {one, other} <= numbers:
                return True
    return False


def _attribute(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _root(mount: Line) -> str:
    return "/" + mount.root.strip("/")
