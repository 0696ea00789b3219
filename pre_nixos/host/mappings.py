"""What processes have mapped into their memory: a device whose descriptor they have closed shows nowhere else."""

from __future__ import annotations

import _thread
from typing import TYPE_CHECKING

from pre_nixos.host.statx import PATIENCE, look_in_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pre_nixos.host.statx import Status

_TELLING = (b" /dev/", b"-s ", b"xs ")
"""What may stand in the line of a device: its path, or that what is written to the memory reaches it."""
_never_came_back: set[str] = set()
"""What was being read when we stopped waiting, and is so still."""
_turn = _thread.allocate_lock()
"""Held to see who has been read and to give up on somebody, which must not happen at once."""


def read_maps(places: Sequence[str], patience: float = PATIENCE) -> dict[str, bytes]:
    """Read what the processes with these directories below /proc have mapped, nothing of those that are gone.

    A process whose memory is being worked on cannot be read meanwhile, and with a server that is gone this may be for
    ever: such a one is left out.
    """
    found: dict[str, bytes] = {}
    left = [place for place in places if place not in _never_came_back]
    while left:
        finished = _thread.allocate_lock()
        finished.acquire()
        _thread.start_new_thread(_read_all, (left, found, finished.release))
        read = -1
        while not finished.acquire(timeout=patience) and len(found) > read:
            read = len(found)
        with _turn:
            left = [place for place in left if place not in found]
            if left:
                _never_came_back.add(left.pop(0))
    return found


def ways(place: str, text: bytes, names: Iterable[str], look: Callable[[str], Status | None]) -> Iterator[str]:
    """Tell how a process uses the devices with these numbers by what it has mapped, as often as it does.

    `open` for a device itself, `file` for a file on a filesystem on it.
    """
    marks = {b"%02x:%02x" % (int(major), int(minor)) for major, _, minor in (name.partition(":") for name in names)}
    if any(line.split(maxsplit=4)[3] == mark for mark in marks for line in _lines(text, b" %b " % mark)):
        yield "file"
    candidates = (line for mark in _TELLING for line in _lines(text, mark) if b" /" in line)
    files = {tuple(line.split(maxsplit=5)[3:5]): line for line in candidates}
    for line in files.values():
        # Its own file, whatever is at that path for us; where it may not be followed, the path must do.
        begin, end = (int(each, 16) for each in line.partition(b" ")[0].split(b"-"))
        status = look_in_time(f"{place}/map_files/{begin:x}-{end:x}", look) or _at_its_path(line, look)
        if status is not None and status.device in names:
            yield "open"


def _lines(text: bytes, mark: bytes) -> Iterator[bytes]:
    """Find the lines with this in them; there are many lines, and hardly any is."""
    at = text.find(mark)
    while at >= 0:
        end = text.find(b"\n", at) % (len(text) + 1)  # the last line may have no end
        yield text[text.rfind(b"\n", 0, at) + 1 : end]
        at = text.find(mark, end)


def _at_its_path(line: bytes, look: Callable[[str], Status | None]) -> Status | None:
    path = (b"/" + line.partition(b" /")[2]).decode("utf-8", "surrogateescape")
    return look_in_time(path, look) if path.startswith("/dev/") else None


def _read_all(places: Sequence[str], found: dict[str, bytes], finished: Callable[[], None]) -> None:
    for place in places:
        text = _read(f"{place}/maps")
        with _turn:
            if place in _never_came_back:  # nobody waits any more, and another reads the others
                _never_came_back.discard(place)
                break
            found[place] = text
    finished()


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return b"".join(iter(lambda: file.read(1 << 16), b""))
    except OSError:
        return b""
