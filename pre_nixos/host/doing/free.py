"""The two guards: nothing is on it, and nothing uses it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from pre_nixos.host.doing.problems import NotNowError, RefusedError
from pre_nixos.host.questions import OpenExclusive, SafeProbe, Verdict, WhoUses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pre_nixos.host.api import Reader
    from pre_nixos.host.doing.places import Place
    from pre_nixos.host.questions import Content, User

PASSING = 15.0
"""Seconds to wait for those who only have a look."""


def require_blank(place: Place, reader: Reader) -> str:
    """Refuse unless the device is proven blank: every other verdict, and no verdict, is a refusal."""
    answer = reader.ask(SafeProbe(numbers=(place.number,), windows=True)).devices
    content = next((each for each in answer if each.number == place.number), None)
    if content is None:
        raise RefusedError(f"{place}: nothing could be learnt of its content; nothing was written")
    if content.verdict in {Verdict.UNREADABLE, Verdict.BUSY, Verdict.GONE}:
        raise NotNowError(f"{place} is not proven blank: {found(content)}; nothing was written")
    if content.verdict is not Verdict.BLANK:
        raise RefusedError(f"{place} is not blank: {found(content)}; nothing was written")
    if content.size <= 0:
        raise RefusedError(f"{place} has a size of zero, which proves nothing; nothing was written")
    return f"{place} is blank"


def found(content: Content) -> str:
    """What a device turned out to hold, in words."""
    signatures = ", ".join(
        " ".join(filter(None, (s.type, s.label and repr(s.label), s.uuid, f"at byte {s.offset}")))
        for s in content.signatures
    )
    meaning = {
        Verdict.BLANK: "blank",
        Verdict.KNOWN: "it holds",
        Verdict.DATA: "it holds data that nothing claims",
        Verdict.AMBIGUOUS: "it carries signatures that contradict each other",
        Verdict.UNREADABLE: "it cannot be read",
        Verdict.BUSY: "it does not answer",
        Verdict.GONE: "it is gone",
    }[content.verdict]
    if content.verdict is Verdict.KNOWN:
        meaning = f"it holds {signatures or 'something known'}"
    elif signatures:
        meaning = f"{meaning}: {signatures}"
    return f"{meaning} ({content.error})" if content.error else meaning


def require_free(
    place: Place, reader: Reader, pause: Callable[[float], None] = time.sleep, *, passing: Sequence[str] = ()
) -> str:
    """Refuse unless nothing uses the device; descriptors this process holds itself do not count.

    udev's workers look at every device that somebody has written to, and are gone soon: they are waited for, and so are
    the programs that are said to be `passing`.
    """
    users = _users(place, reader)
    deadline = time.monotonic() + PASSING
    while users and all(_is_passing(user, passing) for user in users) and time.monotonic() < deadline:
        pause(0.05)
        users = _users(place, reader)
    if users:
        raise RefusedError(f"{place} is in use by {named(users)}; nothing was written")
    opened = reader.ask(OpenExclusive(number=place.number))
    if not opened.free:
        raise RefusedError(
            f"{place} does not open exclusively: {opened.error or 'in use'}; no holder, mount, swap, loop device or "
            "open file was found; nothing was written"
        )
    return f"{place} is free"


def _users(place: Place, reader: Reader) -> list[User]:
    users = reader.ask(WhoUses(number=place.number)).users
    return [user for user in users if not (user.how == "open" and user.pid == os.getpid())]


def _is_passing(user: User, passing: Sequence[str]) -> bool:
    return user.how == "open" and ("udev" in user.what or user.what in passing)


def named(users: Iterable[User]) -> str:
    """The users of a device in words."""
    return ", ".join(
        (f"{user.what}, which does not say for whom" if user.how == "exclusive" else f"{user.how} {user.what}")
        + (f" (process {user.pid})" if user.pid is not None else "")
        for user in users
    )
