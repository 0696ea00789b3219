"""Making subvolumes, all at once and through a mount that nobody else ever sees."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pre_nixos.host.doing import kernel
from pre_nixos.host.doing.problems import NotDoneError, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.host.doing.places import Place
    from pre_nixos.host.doing.problems import Effort
    from pre_nixos.model.step import NewSubvolume

TOP = 256
"""The inode of the first directory of every subvolume, and of nothing else."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def make_subvolumes(place: Place, wanted: Sequence[NewSubvolume], effort: Effort) -> str:
    """Make them in order; one that is there already is left as it is."""
    effort.wrote = True  # mounting alone may replay a log
    try:
        mounted = kernel.mount_unseen(place.path, "btrfs", {"subvolid": "5"})
    except OSError as error:
        raise NotDoneError(f"{place}: mounting it to make subvolumes: {words(error)}; none was made") from error
    made: list[str] = []
    try:
        top = os.open(".", _DIRECTORY, dir_fd=mounted)
        try:
            for each in wanted:
                if _make(top, each, place, made):
                    made.append(each.path)
            kernel.commit(top)
        finally:
            os.close(top)
    except OSError as error:
        raise NotDoneError(f"{place}: {words(error)}; made before that: {', '.join(made) or 'nothing'}") from error
    finally:
        os.close(mounted)
    there = len(wanted) - len(made)
    return f"{place}: made {', '.join(made) or 'nothing'}" + (f"; {there} were there already" if there else "")


def _make(top: int, wanted: NewSubvolume, place: Place, made: Sequence[str]) -> bool:
    """Make one; false if it is there."""
    path, _, name = wanted.path.rpartition("/")
    so_far = f"made before that: {', '.join(made) or 'nothing'}"
    try:
        directory = open_below(top, path, make=True)
    except OSError as error:
        raise NotDoneError(f"{place}: the directory {path} in it: {words(error)}; {so_far}") from error
    try:
        try:
            there = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            there = None
        if there is not None:
            if there.st_ino != TOP:
                raise NotDoneError(f"{place}: there is something else at {wanted.path}; {so_far}")
            return False
        if wanted.origin is None:
            kernel.make_subvolume(directory, name, read_only=wanted.read_only)
            return True
        origin = open_below(top, wanted.origin, make=False)
        try:
            kernel.make_subvolume(directory, name, origin=origin, read_only=wanted.read_only)
        finally:
            os.close(origin)
    except OSError as error:
        raise NotDoneError(f"{place}: making subvolume {wanted.path}: {words(error)}; {so_far}") from error
    finally:
        os.close(directory)
    return True


def open_below(top: int, path: str, *, make: bool) -> int:
    """Open a directory below the top, following no link; make what is missing of it if that is wanted."""
    current = os.open(".", _DIRECTORY, dir_fd=top)
    for name in path.split("/") if path else ():
        try:
            try:
                following = os.open(name, _DIRECTORY, dir_fd=current)
            except FileNotFoundError:
                if not make:
                    raise
                os.mkdir(name, 0o755, dir_fd=current)
                following = os.open(name, _DIRECTORY, dir_fd=current)
        finally:
            os.close(current)
        current = following
    return current
