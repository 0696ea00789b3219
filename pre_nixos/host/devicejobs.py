"""What passes between the asker of devices and the child that opens them."""

from __future__ import annotations

from typing import TypedDict


class Job(TypedDict):
    """One thing to do with one device."""

    do: str
    """`probe`, `read` or `exclusive`."""
    number: str
    path: str
    align: int
    """The logical block size."""
    window: int
    """probe: bytes to look at, at each end, where there is no signature; 0 for none."""
    partition: bool
    """probe: this is a partition."""
    offset: int
    """read: from where."""
    length: int


class Facts(TypedDict):
    """What became of a job."""

    errno: int
    """Of opening or reading; 0 if it went well."""
    error: str
    data: bytes
    size: int
    size_after: int
    safeprobe: int
    """libblkid's own verdict: 0 something, 1 nothing, -2 several things that contradict each other, else an error."""
    winner: dict[str, str]
    """What libblkid alone would have said."""
    signatures: list[dict[str, str]]
    incomplete: int
    """The error that kept some detectors from looking, or 0."""
    blank: bool | None
    """Of the windows; None if they were not read."""
    window_error: str
    """Why not all of them could be read."""
