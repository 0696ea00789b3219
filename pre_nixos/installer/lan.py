"""The one network port of a new machine: chosen, called `lan`, and given an address by DHCP."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pre_nixos.installer.files import NotDone, below, write
from pre_nixos.installer.ports import Port, mac_of, ports, read_mac, set_up, why_not
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NAME = "lan"
DIRECTORY = "/run/systemd/network"
"""Of this boot alone: what is installed here has its own idea of its network."""
LINK = "10-pre-nixos-lan.link"
NETWORK = "10-pre-nixos-lan.network"
WAIT = 30.0
"""Seconds a carrier, or the port with the given address, is waited for."""
SETTLE = 4.0
"""Seconds the others are given once one port has a carrier: as long as agreeing on a speed may take."""
POLL = 0.25
NAMING = 10.0
"""Seconds udev is given to name a port: it may have much to do while a system starts."""


class Lan(Data):
    """What became of it."""

    port: Port
    renamed: bool
    """Whether it is called `lan` now."""
    changed: bool
    """Whether anything was written."""
    remarks: tuple[str, ...] = ()


def set_up_lan(
    root: str = "/",
    *,
    mac: str | None = None,
    wait: float = WAIT,
    settle: float = SETTLE,
    tell: Callable[[str], None] = lambda _: None,
) -> Lan:
    """Choose the port, write what names it and asks for its address, and have udev name it at once.

    Raises NotDone if there is no port to choose; then nothing is changed.
    """
    wanted = read_mac(mac) if mac else None
    chosen, switched = _choose(root, wanted, wait, settle, tell)
    try:
        holder = mac_of(NAME, root)
        if holder and chosen.name != NAME:
            raise NotDone(
                f"{NAME} is the name of another network device already ({holder}), so {chosen} cannot be called so. "
                "Nothing was changed."
            )
        match = _match(chosen, ports(root))
        changed = write(below(root, f"{DIRECTORY}/{LINK}"), _link(match))
        changed = write(below(root, f"{DIRECTORY}/{NETWORK}"), _network(match)) or changed
    finally:
        # Those that were off before are again; the port itself has to be, for its name to be changed.
        for each in switched:
            _switch_off(each, root)
    remarks = [] if chosen.name == NAME else _rename(chosen, root)
    if changed:
        remarks += _hand_over()
    renamed = mac_of(NAME, root) == chosen.mac
    return Lan(port=chosen, renamed=renamed, changed=changed, remarks=tuple(remarks))


def _choose(
    root: str, mac: str | None, wait: float, settle: float, tell: Callable[[str], None]
) -> tuple[Port, Sequence[Port]]:
    """Wait for a port that will do, and give it with those that were switched on to find out."""
    switched: dict[str, Port] = {}
    told = False
    deadline = time.monotonic() + wait
    try:
        while True:
            there = ports(root)
            if mac is not None:
                found = [each for each in there if each.mac == mac]
                if found:
                    return found[0], ()
            else:
                _switch_on(there, switched, root, tell)
                if any(each.carrier for each in there):
                    until = min(time.monotonic() + settle, deadline)
                    return _best(there, root, until), tuple(switched.values())
            if time.monotonic() >= deadline:
                raise _none(root, there, mac, wait)  # noqa: TRY301 - whatever ends this, the ports are switched off again
            if not told:
                tell(f"Waiting up to {wait:.0f} s for {mac or 'a carrier'}.")
                told = True
            time.sleep(POLL)
    except BaseException:
        for each in switched.values():
            _switch_off(each, root)
        raise


def _best(there: Sequence[Port], root: str, until: float) -> Port:
    """Give the others the time they need to agree on a speed too, and choose."""
    while time.monotonic() < until and not all(each.carrier and each.speed for each in there):
        time.sleep(POLL)
        there = ports(root) or there
    with_carrier = [each for each in there if each.carrier]
    # What was chosen before stays, as long as there is a cable in it.
    named = [each for each in with_carrier if each.name == NAME]
    return (named or with_carrier or list(there))[0]


def _switch_on(there: Sequence[Port], switched: dict[str, Port], root: str, tell: Callable[[str], None]) -> None:
    for each in there:
        if not each.up and each.name not in switched:
            switched[each.name] = each
            try:
                set_up(each, root, up=True)
            except NotDone as error:
                tell(str(error))


def _switch_off(port: Port, root: str) -> None:
    from contextlib import suppress

    with suppress(NotDone):  # it may have been taken out meanwhile
        set_up(port, root, up=False)


def _none(root: str, there: Sequence[Port], mac: str | None, wait: float) -> NotDone:
    import os

    listed = ", ".join(str(each) for each in there) or "none"
    after = f"after {wait:.0f} s"
    if mac is None and not there:
        return NotDone(f"There is no wired network port, {after}. Nothing was changed. Is its driver loaded?")
    if mac is None:
        return NotDone(f"No network port has a carrier, {after}: {listed}. Nothing was changed. Is a cable plugged in?")
    try:
        others = os.listdir(below(root, "/sys/class/net"))
    except OSError:
        others = []
    for name in sorted(others):
        if mac_of(name, root) == mac:
            return NotDone(f"{name} has the address {mac}, but {why_not(name, root)}. Nothing was changed.")
    return NotDone(f"No network port has the address {mac}, {after}. There are: {listed}. Nothing was changed.")


def _match(port: Port, there: Sequence[Port]) -> str:
    """Give the lines by which systemd knows this port and no other."""
    alone = sum(each.mac == port.mac for each in there) <= 1
    by_path = f"Path={port.path}\n" if port.path else ""
    if port.permanent and alone:
        return f"[Match]\nPermanentMACAddress={port.mac}\n"
    if not by_path:
        what = "not its own" if alone else "that of another, too"
        raise NotDone(
            f"{port} can be told from no other: its address is {what}, and udev does not say where it is plugged in. "
            "Nothing was changed."
        )
    return "[Match]\n" + (f"PermanentMACAddress={port.mac}\n" if port.permanent else "") + by_path


_HEAD = "# Written by pre-nixos.\n"


def _link(match: str) -> str:
    # Who knows a port by another of its names goes on doing so.
    kept = "AlternativeNamesPolicy=database onboard slot path mac\n"
    return f"{_HEAD}{match}\n[Link]\nNamePolicy=\nName={NAME}\n{kept}"


def _network(match: str) -> str:
    return f"{_HEAD}{match}\n[Network]\nDHCP=yes\n"


def _rename(port: Port, root: str) -> list[str]:
    """Have udev read the file and name the port, which it does only when a device is added, and wait until it did.

    Not by `udevadm trigger --settle`: the device it would wait for is gone once it has another name.
    """
    from pre_nixos.host.processes import run

    path = f"{below(root, '/sys/class/net')}/{port.name}"
    remarks: list[str] = []
    for argv in (
        ("udevadm", "control", "--reload"),
        ("udevadm", "trigger", "--action=add", path),
    ):
        ran = run(argv, timeout=20.0)
        if ran.status != 0:
            why = ran.error or ran.stderr.strip() or f"exit status {ran.status}"
            remarks.append(f"{argv[0]} {argv[1]}: {why}.")
    deadline = time.monotonic() + (0 if remarks else NAMING)
    while mac_of(NAME, root) != port.mac and time.monotonic() < deadline:
        time.sleep(0.05)
    if mac_of(NAME, root) != port.mac:
        use = ", because it is in use" if port.up else ""
        remarks.append(f"{port.name} is not called {NAME} yet{use}; it asks for an address by DHCP all the same.")
    return remarks


def _hand_over() -> list[str]:
    """Have networkd read its files, if it runs; if it does not, it will."""
    from pre_nixos.host.processes import run

    ran = run(("systemctl", "try-reload-or-restart", "--no-block", "systemd-networkd.service"), timeout=10.0)
    if ran.status == 0:
        return []
    why = ran.error or ran.stderr.strip() or f"exit status {ran.status}"
    return [f"systemd-networkd was not told ({why}); if it is not there, nobody asks for an address."]
