"""Files, directories, sysfs attributes and the journal."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pre_nixos.host.doing.problems import NotDoneError, RefusedError, words
from pre_nixos.model.size import human, told_apart

if TYPE_CHECKING:
    from pre_nixos.host.doing.places import Place
    from pre_nixos.host.doing.problems import Effort
    from pre_nixos.model.step import SetAttribute


def set_attribute(place: Place, work: SetAttribute, effort: Effort) -> str:
    """Write a value into an attribute below the device's directory in sysfs."""
    attribute, value = work.attribute, work.value
    parts = attribute.split("/")
    if not attribute or any(part in {"", ".", ".."} for part in parts):
        raise NotDoneError(f"{place}: {attribute!r} names no attribute below it; nothing was changed")
    path = f"{place.sysfs}/{attribute}"
    if work.instead_of and (now := _attribute(path)) not in work.instead_of:
        return f"{place}: {attribute} is {now!r}, so there was nothing to set"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            effort.wrote = True
            os.write(descriptor, value.encode())  # in one piece: each write is one order to the kernel
        finally:
            os.close(descriptor)
    except OSError as error:
        raise NotDoneError(f"{place}: setting {attribute} to {value!r}: {words(error)}; it was not set") from error
    return f"{place}: {attribute} set to {value!r}"


def _attribute(path: str) -> str:
    """Read an attribute; what is not there says nothing."""
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "backslashreplace").strip()
    except OSError:
        return ""


def write_file(path: str, content: str, mode: int, effort: Effort) -> str:
    """Write a file whole: readers see the old one or the new one, also after a crash."""
    _absolute(path)
    data = content.encode("utf-8", "surrogateescape")
    if _is_already(path, data, mode):
        return f"{path} is as wanted already"
    directory = os.path.dirname(path)
    draft = f"{directory}/.{os.path.basename(path)}.{os.getpid()}"
    effort.wrote = True
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, mode)
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(draft, path)
        _flush_directory(directory)
    except OSError as error:
        if os.path.lexists(draft):
            os.unlink(draft)
        raise NotDoneError(f"writing {path}: {words(error)}; what was there before still is") from error
    return f"{path} written"


def make_directory(path: str, mode: int | None, effort: Effort) -> str:
    """Make a directory; parents that are missing get 0755, and so does it unless a mode is given."""
    _absolute(path)
    require_no_link(path)
    there = os.path.isdir(path)
    try:
        if there and (mode is None or stat.S_IMODE(os.stat(path).st_mode) == mode):
            return f"{path} is there already"
        effort.wrote = True
        os.makedirs(path, 0o755, exist_ok=True)
        if mode is not None:
            os.chmod(path, mode)
    except OSError as error:
        raise NotDoneError(f"making the directory {path}: {words(error)}") from error
    return f"directory {path} {'has its mode now' if there else 'made'}"


def require_no_link(path: str) -> None:
    """Refuse a path on which a link leads elsewhere: that may be on a disk that nobody speaks for."""
    real = os.path.realpath(path)
    if real != os.path.normpath(path):
        raise RefusedError(f"{path} leads through a link to {real}; nothing was made there")


def require_room(path: str, size: int) -> str:
    """Refuse unless a file has room in the place of another, which is still there; what root keeps is no room."""
    try:
        taken = os.lstat(path).st_blocks * 512
    except FileNotFoundError:
        taken = 0
    around = os.statvfs(os.path.dirname(path))
    room = around.f_bavail * around.f_frsize + taken
    if room < size:
        has, asked = told_apart(human(room), human(size), room, size)
        raise RefusedError(
            f"{path} is to have {asked}, and without what is there now it would have room for {has}; "
            "it was left as it is. Make room, or ask for less"
        )
    return f"{path} has room for {human(size)}"


def append_line(path: str, line: str, mode: int) -> str:
    """Append one line to a file and wait until it is on the disk."""
    _absolute(path)
    if "\n" in line:
        raise NotDoneError(f"{path}: a line with a line break in it is two; nothing was written")
    directory = os.path.dirname(path)
    try:
        os.makedirs(directory, 0o700, exist_ok=True)
        new = not os.path.lexists(path)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, mode)
        try:
            # A line torn by a crash must not swallow this one.
            end = os.fstat(descriptor).st_size
            torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
            _write_all(descriptor, (b"\n" if torn else b"") + line.encode("utf-8", "surrogateescape") + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            _flush_directory(directory)
    except OSError as error:
        raise NotDoneError(f"appending to {path}: {words(error)}") from error
    return f"{path}: line appended"


def _absolute(path: str) -> None:
    if not os.path.isabs(path):
        raise NotDoneError(f"{path!r} is not an absolute path; nothing was written")


def _is_already(path: str, data: bytes, mode: int) -> bool:
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) != mode or status.st_size != len(data):
            return False
        with open(path, "rb") as file:
            return file.read() == data
    except OSError:
        return False


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _flush_directory(path: str) -> None:
    """Make a new name in a directory survive a crash."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
