"""Waiting until a device is there and udev is done with it, or until it is gone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pre_nixos.host.doing.places import locate, sysfs_of
from pre_nixos.host.doing.problems import NotDoneError
from pre_nixos.host.doing.udev import udevd_runs, wait_until_handled

if TYPE_CHECKING:
    from pre_nixos.host.doing.places import Place


def await_present(number: str, layer: str, timeout: float) -> str:
    """Wait until the device has its node and udevd, where one runs, has finished with it."""
    deadline = time.monotonic() + timeout
    place = _appear(number, layer, deadline)
    if not udevd_runs():
        return f"{place} is there; no udevd runs, so there was nothing else to wait for"
    if not wait_until_handled(place, deadline):
        raise NotDoneError(f"{place} is there, but udevd has not finished with it within {timeout:g} s")
    place = locate(number, layer)  # udevd may have seen it go
    return f"{place} is there, and udevd is done with it"


def _appear(number: str, layer: str, deadline: float) -> Place:
    while True:
        try:
            return locate(number, layer)
        except NotDoneError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.02)


LEAVING = 2.0
"""Seconds in which what has ended goes: the kernel takes a device away a moment after it has stopped it."""


def goes(number: str) -> bool:
    """Say whether the device is gone, or goes in a moment."""
    try:
        await_absent(number, "", LEAVING)
    except NotDoneError:
        return False
    return True


def await_absent(number: str | None, layer: str, timeout: float) -> str:
    """Wait until the kernel no longer has the device."""
    if number is None:
        return f"{layer}: no device is there"
    deadline = time.monotonic() + timeout
    while sysfs_of(number) is not None:
        if time.monotonic() >= deadline:
            raise NotDoneError(f"{layer} ({number}) is still there after {timeout:g} s")
        time.sleep(0.02)
    return f"{layer} ({number}) is gone"
