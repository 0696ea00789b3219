"""Files of the system below some root: read in peace, written whole, never through a link somebody left there."""

from __future__ import annotations

import os


class NotDone(Exception):
    """Something on this system was not done; the message says what, what was and was not changed, and what to do."""


def below(root: str, path: str) -> str:
    """Give where an absolute path is below a root directory."""
    return os.path.join(os.path.realpath(root), path.lstrip("/"))


def read(path: str) -> str:
    """Give the content of a small file, stripped; empty if it cannot be read, as many in sysfs at times cannot."""
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20).decode("utf-8", "backslashreplace").strip()
    except OSError:
        return ""


def write(path: str, content: str, *, mode: int = 0o644, directory_mode: int | None = None) -> bool:
    """Write a file whole, with the directories above it; false if it was like this already. Raises NotDone.

    With `directory_mode` the directory it is in gets that mode, whoever made it.
    """
    # Here, because what does it is dear to load, and most who might write find nothing to be written.
    from pre_nixos.host.doing.files import make_directory, write_file
    from pre_nixos.host.doing.problems import Effort, NotDoneError

    effort = Effort()
    try:
        make_directory(os.path.dirname(path), directory_mode, effort)
        before = effort.wrote
        effort.wrote = False
        write_file(path, content, mode, effort)
    except NotDoneError as error:
        raise NotDone(f"{error}.") from error
    return effort.wrote or before


def remove(path: str) -> None:
    """Remove a file, if it is there. Raises NotDone."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise NotDone(f"Removing {path}: {error.strerror}. It is still there.") from error
