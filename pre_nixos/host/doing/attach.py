"""Mounts and swap, by system calls: no process, and an error number instead of a sentence to guess at."""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import TYPE_CHECKING

from pre_nixos.host.doing import kernel
from pre_nixos.host.doing.options import parse_options, subvolume
from pre_nixos.host.doing.problems import NotDoneError, RefusedError, words
from pre_nixos.host.mounttable import block_number, parse, read_swaps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.host.doing.places import Place
    from pre_nixos.host.doing.problems import Effort
    from pre_nixos.host.mounttable import Line

SWAP_PREFER = 0x8000
SWAP_DISCARD = 0x10000
HIGHEST_PRIORITY = 0x7FFF


def attach(place: Place, at: str, kind: str, options: Sequence[str], effort: Effort) -> str:
    """Mount a device at an existing directory; one that is mounted there already is left as it is."""
    at = _mount_point(at)
    try:
        wanted = parse_options(options)
    except ValueError as error:
        raise NotDoneError(f"{place}: {error}; nothing was mounted") from error
    there = top_mount(at)
    if there is not None:
        if is_same(place, there) and _root(there) == subvolume(options):
            return f"{place} is mounted at {at} already"
        raise RefusedError(
            f"{at}: {there.source} ({there.type}) is mounted there already; {place} was not mounted over it"
        )
    effort.wrote = True  # mounting may replay a journal, also when it fails in the end
    try:
        kernel.mount(place.path, at, kind, wanted.flags, wanted.data)
    except OSError as error:
        raise NotDoneError(f"mounting {place} ({kind}) at {at}: {words(error)}; nothing is mounted there") from error
    there = top_mount(at)
    if there is None or not is_same(place, there):
        raise NotDoneError(f"{place} was mounted at {at}, but {there.source if there else 'nothing'} is there now")
    return f"{place} mounted at {at}"


def detach(place: Place, at: str, effort: Effort) -> str:
    """Unmount a directory if it is this device that is mounted there."""
    at = os.path.normpath(at)
    there = top_mount(at)
    if there is None:
        return f"nothing is mounted at {at}"
    if not is_same(place, there):
        raise RefusedError(f"{at}: {there.source} ({there.type}) is mounted there, not {place}; it was left alone")
    for attempt in range(5):
        try:
            kernel.unmount(at)
        except OSError as error:
            if error.errno == errno.EBUSY:
                if attempt < 4:
                    time.sleep(0.2)
                    continue
                raise RefusedError(f"{at} is in use; {place} is still mounted there, nothing was changed") from error
            raise NotDoneError(f"unmounting {place} from {at}: {words(error)}; it is still mounted") from error
        break
    effort.wrote = True
    return f"{place} unmounted from {at}"


def swap_on(place: Place, priority: int | None, *, discard: bool, effort: Effort) -> str:
    """Use a device as swap."""
    if is_swap(place):
        return f"{place} is in use as swap already"
    flags = SWAP_DISCARD if discard else 0
    if priority is not None:
        if not 0 <= priority <= HIGHEST_PRIORITY:
            raise NotDoneError(f"{place}: a swap priority lies between 0 and {HIGHEST_PRIORITY}, {priority} does not")
        flags |= SWAP_PREFER | priority
    effort.wrote = True
    try:
        kernel.swap_on(place.path, flags)
    except OSError as error:
        effort.wrote = False
        raise NotDoneError(f"using {place} as swap: {words(error)}; it is not in use") from error
    return f"{place} in use as swap"


def swap_off(place: Place, effort: Effort) -> str:
    """Stop using a device as swap."""
    if not is_swap(place):
        return f"{place} is not in use as swap"
    try:
        kernel.swap_off(place.path)
    except OSError as error:
        raise NotDoneError(f"taking {place} out of swap: {words(error)}; it is still in use") from error
    effort.wrote = True
    return f"{place} no longer in use as swap"


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


def top_mount(at: str) -> Line | None:
    """What one sees at a path: the last thing mounted there."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        mounts = list(parse(file.read()))
    return next((mount for mount in reversed(mounts) if mount.at == at), None)


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


def is_swap(place: Place) -> bool:
    """Whether the kernel uses this device as swap."""
    return any(block_number(path) == place.number for path in read_swaps())
