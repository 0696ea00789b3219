"""What whoever starts an installer says on the kernel's command line, in words that begin with `pre.`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pre_nixos.installer.files import below, read
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "pre."
KEYS = ("pre.mode", "pre.plan.only", "pre.policy", "pre.lan.mac")
YES = frozenset({"", "1", "y", "yes", "true", "on"})
NO = frozenset({"0", "n", "no", "false", "off"})


class Mode(StrEnum):
    """What is done about disks while an installer starts."""

    OFF = "off"
    """They are not looked at."""
    PLAN = "plan"
    """It is said what would be done."""
    APPLY = "apply"
    """It is done, where nothing is lost by it."""


class KernelLine(Data):
    """What was said; what makes no sense is in the remarks, and what follows from it is always the careful thing."""

    mode: Mode | None = None
    """None if nothing was said."""
    plan_only: bool = False
    """Nothing is applied, whatever else is said."""
    policy: str | None = None
    lan_mac: str | None = None
    """As it was written."""
    remarks: tuple[str, ...] = ()

    def mode_or(self, usual: Mode) -> Mode:
        """Give what is to be done where `usual` is what is done if nobody says anything."""
        mode = self.mode or usual
        return Mode.PLAN if self.plan_only and mode is Mode.APPLY else mode


def kernel_line_of(root: str) -> KernelLine:
    """Read what the running system was started with."""
    return read_kernel_line(read(below(root, "/proc/cmdline")))


def read_kernel_line(text: str) -> KernelLine:
    """Read a kernel's command line. Of what is said twice the last counts, as it does for the kernel."""
    said: dict[str, str] = {}
    remarks: list[str] = []
    for word in _words(text):
        key, _, value = word.partition("=")
        if not key.startswith(PREFIX):
            continue
        if key not in KEYS:
            remarks.append(f"{key!r} on the kernel's command line is unknown and was left out of account{_meant(key)}")
            continue
        if said.get(key, value) != value:
            remarks.append(f"{key} was said more than once on the kernel's command line; {value!r}, the last, counts.")
        said[key] = value
    mode, only = said.get("pre.mode"), said.get("pre.plan.only")
    return KernelLine(
        mode=None if mode is None else _mode(mode, remarks),
        plan_only=only is not None and _is_on(only, remarks),
        policy=_filled("pre.policy", said, remarks),
        lan_mac=_filled("pre.lan.mac", said, remarks),
        remarks=tuple(remarks),
    )


def _words(text: str) -> Iterator[str]:
    """Take a command line apart as the kernel does: at spaces, unless these stand between double quotes."""
    word, quoted = "", False
    for each in text:
        if each == '"':
            quoted = not quoted
        elif each.isspace() and not quoted:
            if word:
                yield word
            word = ""
        else:
            word += each
    if word:
        yield word


def _mode(value: str, remarks: list[str]) -> Mode:
    try:
        return Mode(value.lower())
    except ValueError:
        known = ", ".join(Mode)
        remarks.append(f"pre.mode={value!r} means nothing (there are: {known}); nothing will be applied.")
        return Mode.PLAN


def _is_on(value: str, remarks: list[str]) -> bool:
    if value.lower() in NO:
        return False
    if value.lower() not in YES:
        remarks.append(f"pre.plan.only={value!r} is neither yes nor no; nothing will be applied.")
    return True


def _filled(key: str, said: dict[str, str], remarks: list[str]) -> str | None:
    value = said.get(key)
    if value == "":
        remarks.append(f"{key} on the kernel's command line has no value, and says nothing.")
        return None
    return value


def _meant(key: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(key, KEYS, n=1)
    return f"; was {close[0]} meant?" if close else f"; there are: {', '.join(KEYS)}."
