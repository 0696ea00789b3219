"""Telling whoever stands before the machine where it can be reached, on consoles that may never take a word.

A serial console with nobody at its other end may hold a writer, or whoever closes it, for half a minute or for ever. So
a child of ours does the writing, without waiting for the line, and is left behind if it does not come back in time.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from pre_nixos.installer.files import below, read
from pre_nixos.installer.ssh import host_keys
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONSOLES = "/sys/class/tty/console/active"
DEADLINE = 3.0
"""Seconds all consoles together are given."""
WAIT = 30.0
"""Seconds an address is waited for."""
_KILL = 9


class Address(Data):
    """One address of a network port."""

    port: str
    address: str


def addresses() -> Sequence[Address]:
    """Give the addresses by which others can reach this machine; those of `lan` first, IPv4 first."""
    import msgspec

    from pre_nixos.host.processes import run

    ran = run(("ip", "-json", "address", "show", "scope", "global", "up"), timeout=10.0)
    try:
        ports = msgspec.json.decode(ran.stdout, type=list[dict[str, object]]) if ran.status == 0 else []
        found = [
            Address(port=str(port["ifname"]), address=str(each["local"]))
            for port in ports
            if "ifname" in port
            for each in msgspec.convert(port.get("addr_info", []), list[dict[str, object]])
            if "local" in each and not each.get("temporary")
        ]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ()
    return sorted(found, key=lambda each: (each.port != "lan", each.port, ":" in each.address))


def wait_for_addresses(wait: float = WAIT) -> Sequence[Address]:
    """Wait until there is an address, but no longer than this."""
    deadline = time.monotonic() + wait
    while not (found := addresses()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def text(found: Sequence[Address], root: str = "/", *, status: str = "") -> str:
    """Say where the machine can be reached, by which key it is known, and how it stands with its disks."""
    lines = [f"ssh root@{each.address}   ({each.port})" for each in found] or [
        "This machine has no address yet; `ip address` shows whether that has changed."
    ]
    lines += [f"host key {kind} {fingerprint}" for kind, fingerprint in host_keys(root)] or [
        "There is no host key yet."
    ]
    lines += [f"disks: {status}"] if status else []
    return "\n".join(["", *(f"pre-nixos: {each}" for each in lines), ""])


def consoles(root: str = "/") -> Sequence[str]:
    """Give the consoles the kernel writes to; /dev/console if it does not say."""
    return [below(root, f"/dev/{each}") for each in read(below(root, CONSOLES)).split() or ["console"]]


def announce(message: str, paths: Sequence[str], *, deadline: float = DEADLINE) -> Mapping[str, str]:
    """Write to every console at once, and say of each that did not take it what was the matter.

    Returns when all have taken it, or when the time is up, whatever the consoles do.
    """
    until = time.monotonic() + deadline
    children = {path: _start(path, message.encode("utf-8", "backslashreplace"), deadline) for path in paths}
    problems: dict[str, str] = {}
    for path, pid in children.items():
        status = _ended(pid, until)
        if status is None:
            os.kill(pid, _KILL)  # it may be past hearing this; nobody waits for it
            _ended(pid, time.monotonic() + 0.05)
            problems[path] = "did not take it in time"
        elif status:
            problems[path] = os.strerror(status) if status > 0 else "could not be written to"
    return problems


def _start(path: str, message: bytes, seconds: float) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:  # the child: whatever happens, it never returns
        # Nobody who waits for the end of our output is to wait for this one.
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        os.closerange(3, 1024)
        status = _write(path, message, time.monotonic() + seconds)
    finally:
        os._exit(status)


def _write(path: str, message: bytes, until: float) -> int:
    """Write what the line takes, and give the number of what went wrong."""
    import select

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        while message and (left := until - time.monotonic()) > 0:
            if poll.poll(left * 1000):
                try:
                    message = message[os.write(descriptor, message) :]
                except BlockingIOError:
                    time.sleep(0.01)
    except OSError as error:
        return error.errno or 1
    return 110 if message else 0  # ETIMEDOUT


def _ended(pid: int, until: float) -> int | None:
    """Give the exit status of a child, negative for a signal; None if it has not ended by then."""
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            return None
        time.sleep(0.005)
