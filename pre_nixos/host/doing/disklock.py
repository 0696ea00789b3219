"""The lock udev respects, and the descriptors that keep partitions from vanishing.

Both are for our own writes only. The lock is taken on a read-only descriptor because closing a writable one makes udev
read the table again, and it is never held while another program runs or while something is waited for. udev hears of a
closed descriptor only later, when the lock may be gone; what then keeps it from taking every partition away and giving
it back is that each one is held open, read-only, until the wait for it is over.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pre_nixos.host.doing.places import disk_of, locate
from pre_nixos.host.doing.problems import NotDoneError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Generator

    from pre_nixos.host.doing.places import Place

PATIENCE = 30.0
"""Seconds to wait for whoever holds the lock; udev's own workers hold it while they look at a device."""


@contextmanager
def disk_lock(place: Place, patience: float = PATIENCE) -> Generator[int]:
    """Lock the whole disk a device belongs to; gives the disk's read-only descriptor."""
    disk = disk_of(place)
    descriptor = os.open(disk.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RefusedError(
                        f"{disk}: another program has had it locked for {patience:.0f} s; nothing was written"
                    ) from None
                time.sleep(0.02)
        yield descriptor
    finally:
        os.close(descriptor)


class Pins:
    """Read-only descriptors of partitions, kept so that nobody can make the kernel read the table again."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}

    def add(self, number: str) -> None:
        """Hold a device open, if it can be opened."""
        if number in self._open:
            return
        try:
            place = locate(number)
            self._open[number] = os.open(place.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, NotDoneError):
            return  # A pin only makes a wait quieter; a partition that cannot be opened says so where it is needed.

    def release(self, number: str) -> None:
        """Let go of one device."""
        descriptor = self._open.pop(number, None)
        if descriptor is not None:
            os.close(descriptor)

    def release_all(self) -> None:
        """Let go of every device."""
        for number in tuple(self._open):
            self.release(number)
