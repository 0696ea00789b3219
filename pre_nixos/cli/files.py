"""Writing results to files, and never to anything else: a path that is a device would be a disk."""

from __future__ import annotations

import os
import stat

from pre_nixos.cli.complaint import NOTHING_CHANGED, Complaint


def check_writable(path: str) -> None:
    """Refuse, before anything is done, a path that could not be written when it is done."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise Complaint(f"{path}: there is no directory {folder}. {NOTHING_CHANGED}") from None
        if not os.access(folder, os.W_OK):
            raise Complaint(f"{path}: {folder} cannot be written to. {NOTHING_CHANGED}") from None
        return
    except OSError as error:
        raise Complaint(f"{path}: {error.strerror}. {NOTHING_CHANGED}") from error
    if not stat.S_ISREG(mode):
        raise Complaint(f"{path} is no ordinary file, and nothing else is written to. {NOTHING_CHANGED}")
    if not os.access(path, os.W_OK):
        raise Complaint(f"{path} cannot be written to. {NOTHING_CHANGED}")


def write_file(path: str, content: bytes, mode: int = 0o600) -> None:
    """Write a file whole: the old one stays until the new one is complete."""
    check_writable(path)
    draft = f"{path}.part"
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(draft, path)
    except OSError as error:
        raise Complaint(f"{path}: {error.strerror}.") from error
