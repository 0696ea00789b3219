"""What is kept while an apply runs: the lock, the disks, and udev's restraint."""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING

from pre_nixos.host.doing import kernel
from pre_nixos.host.doing.places import locate, read_attribute, sysfs_of
from pre_nixos.host.doing.problems import NotDoneError, RefusedError, words
from pre_nixos.host.doing.udev import udevd_runs, wait_until_quiet
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from pre_nixos.host.doing.problems import Effort
    from pre_nixos.host.doing.tools import Runner

RESTRAINTS = (
    ("ANACONDA", "1"),  # md's rules leave arrays alone
    ("DM_MULTIPATH_DEVICE_PATH", "1"),  # LVM's rules take the device for a path of a multipath one
)


QUIET = 20.0
"""Seconds to wait for udevd, which others may keep busy for as long as they like."""


class MachineLock:
    """The lock that makes one apply, wipe or mount at a time."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._path = ""

    @property
    def inherited(self) -> tuple[int, ...]:
        """What every child is given, so that the lock is held as long as one of them runs."""
        return () if self._descriptor is None else (self._descriptor,)

    def take(self, path: str, holder: str) -> str:
        """Take the lock and write down who has it; refused, with the holder's name, if somebody has."""
        if self._descriptor is not None:
            raise RefusedError(f"{self._path}: this process has the lock already; nothing was changed")
        try:
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise NotDoneError(f"the lock {path}: {words(error)}; nothing was changed") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RefusedError(f"{path}: {_holder(descriptor)}; nothing was changed") from error
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()} {holder}\n".encode(), 0)
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - os names it so
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor, self._path = descriptor, path
        return f"{path} locked"

    def drop(self) -> str:
        """Give the lock back; the file stays, because removing it could give two processes a lock each."""
        if self._descriptor is None:
            return "no lock was held"
        os.ftruncate(self._descriptor, 0)
        # A child that still runs has this lock too, and keeping it is why it was given to the child.
        os.close(self._descriptor)
        self._descriptor = None
        return f"{self._path} released"


def _holder(descriptor: int) -> str:
    """Who has the lock, as far as the file tells."""
    text = os.pread(descriptor, 4096, 0).decode("utf-8", "replace").strip()
    pid, _, holder = text.partition(" ")
    if not pid.isdigit():
        return "another process has the lock, its name is not written there"
    if os.path.exists(f"/proc/{pid}"):
        return f"process {pid} has the lock: {holder}"
    return f"process {pid} had the lock ({holder}) and is gone, but a program it started still runs"


class Held(Data):
    """A disk as it was when it was taken hold of."""

    descriptor: int
    path: str
    size: int
    sequence: int | None


class HeldDisks:
    """The read-only descriptors by which consented disks are held."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}

    def hold(self, numbers: tuple[str, ...], sequences: tuple[int | None, ...] = ()) -> str:
        """Open these disks and remember what they are; all of them or none more than before.

        Refused if one is no longer the disk that had this diskseq.
        """
        new: dict[str, Held] = {}
        expected = dict(zip(numbers, sequences, strict=False))
        try:
            for number in numbers:
                if number not in self._held and number not in new:
                    new[number] = _open(number)
                    _insist(new[number], number, expected.get(number))
        except BaseException:
            for held in new.values():
                os.close(held.descriptor)
            raise
        self._held |= new
        return f"holding {', '.join(held.path for held in self._held.values()) or 'no disks'}"

    def check(self) -> str:
        """Refuse unless every held disk is still the one that was opened."""
        for number, held in self._held.items():
            difference = _difference(number, held)
            if difference:
                raise RefusedError(
                    f"{held.path} ({number}) is no longer the disk it was: {difference}; nothing was written"
                )
        return f"{len(self._held)} held disks are the same as before"

    def let_go(self) -> str:
        """Close every descriptor."""
        count = len(self._held)
        for held in self._held.values():
            os.close(held.descriptor)
        self._held.clear()
        return f"{count} disks let go"


def _open(number: str) -> Held:
    place = locate(number)
    try:
        descriptor = os.open(place.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise NotDoneError(f"{place} cannot be opened: {words(error)}; nothing was changed") from error
    try:
        status = os.fstat(descriptor)
        size, sequence = kernel.size_of(descriptor), kernel.sequence_of(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    if f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}" != number:
        os.close(descriptor)
        raise NotDoneError(f"{place} became another device while it was opened; nothing was changed")
    return Held(descriptor=descriptor, path=place.path, size=size, sequence=sequence)


def _insist(held: Held, number: str, sequence: int | None) -> None:
    """Refuse a disk that came to its number after the one that was looked at had left."""
    if sequence is not None and held.sequence is not None and held.sequence != sequence:
        raise RefusedError(
            f"{held.path} ({number}) is another disk than the one that was looked at: its diskseq is {held.sequence}, "
            f"it was {sequence}; nothing was written"
        )


def _difference(number: str, held: Held) -> str:
    """How a held disk differs from what it was; empty if it does not."""
    directory = sysfs_of(number)
    if directory is None:
        return "the kernel has no such device any more"
    try:
        size = kernel.size_of(held.descriptor)
        sequence = kernel.sequence_of(held.descriptor)
        listed = int(read_attribute(f"{directory}/diskseq")) if held.sequence is not None else None
    except (OSError, ValueError) as error:
        return words(error) if isinstance(error, OSError) else str(error)
    if size != held.size:
        return f"its size is {size} bytes, it was {held.size}"
    if sequence != held.sequence or listed != held.sequence:
        return f"its diskseq is {listed}, it was {held.sequence}"
    return ""


def hold_off_assembly(*, on: bool, runner: Runner, inherited: tuple[int, ...], effort: Effort) -> str:
    """Tell udevd to leave arrays and volume groups alone, or to treat them as ever again.

    The latter once it has dealt with what happened meanwhile: else it would come to that with nothing to hold it back.
    And by then the links are there by which what was made is found. The former counts once whoever has begun to look
    before has ended: they would put together what has been taken apart since.
    """
    if not udevd_runs():
        return "no udevd runs, so nobody assembles anything behind our back"
    if not on:
        wait_until_quiet(time.monotonic() + QUIET)
    properties = [f"--property={key}={value if on else ''}" for key, value in RESTRAINTS]
    effort.processes += 1
    ran = runner(("udevadm", "control", *properties), stdin=None, timeout=30.0, pass_fds=inherited)
    if ran.error == "missing":
        effort.processes -= 1
        return "udevadm is not installed, so udevd could not be told; safety rests on zeroed landing zones alone"
    if ran.status != 0:
        said = ran.error or ran.stderr.strip() or f"status {ran.status}"
        raise NotDoneError(f"udevd could not be told to {'leave' if on else 'assemble'} arrays and groups: {said}")
    if on:
        wait_until_quiet(time.monotonic() + QUIET)
    return f"udevd {'leaves arrays and volume groups alone' if on else 'treats arrays and volume groups as ever'}"
