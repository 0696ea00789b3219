"""Talking to udevd: whether it is there, and whether it has finished with a device."""

from __future__ import annotations

import os
import select
import socket
import time
from typing import TYPE_CHECKING
from uuid import uuid4

from pre_nixos.host.doing.problems import NotDoneError, words
from pre_nixos.host.processes import UDEVD, is_listening

if TYPE_CHECKING:
    from collections.abc import Callable

    from pre_nixos.host.doing.places import Place

NETLINK_KOBJECT_UEVENT = 15
QUEUE = "/run/udev/queue"
"""Is there as long as udevd has events to deal with."""
FROM_UDEVD = 2
"""The multicast group on which udevd repeats each event when it has dealt with it."""


def udevd_runs(control: str = UDEVD) -> bool:
    """Whether udevd listens."""
    return is_listening(control)


def wait_until_quiet(
    deadline: float,
    queue: str = QUEUE,
    pause: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> bool:
    """Wait until udevd has nothing left to do; false if it still had at the deadline."""
    while os.path.exists(queue):
        if now() >= deadline:
            return False
        pause(0.02)
    return True


def wait_until_handled(place: Place, deadline: float) -> bool:
    """Ask udevd to look at a device again and wait until it says that it has; false if it never did.

    Events of one device are handled in order, so whatever it still had to do for this one comes first. Halfway to the
    deadline the question is put once more.
    """
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT
    ) as news:
        # Without room for a burst of events, ours may be the one that is dropped.
        news.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        news.bind((0, FROM_UDEVD))
        asked = [_ask(place)]
        again = time.monotonic() + max(0.0, deadline - time.monotonic()) / 2
        while (now := time.monotonic()) < deadline:
            if len(asked) == 1 and now >= again:
                asked.append(_ask(place))
            until = again if len(asked) == 1 else deadline
            if select.select([news], [], [], max(0.0, until - now))[0]:
                try:
                    message = news.recv(1 << 16)
                except OSError:
                    asked.append(_ask(place))  # the burst was too large after all; ask again rather than wait for ever
                    continue
                if any(answers(message, each) for each in asked):
                    return True
        return False


def answers(message: bytes, asked: str) -> bool:
    """Whether an event of udevd's answers our question."""
    return message.startswith(b"libudev\0") and b"\0SYNTH_UUID=" + asked.encode() + b"\0" in message + b"\0"


def _ask(place: Place) -> str:
    """Have the kernel send a change event that carries a number of our own."""
    number = str(uuid4())
    path = f"{place.sysfs}/uevent"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, f"change {number}".encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise NotDoneError(f"{place}: asking for an event by {path}: {words(error)}") from error
    return number
