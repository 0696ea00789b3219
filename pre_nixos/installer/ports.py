"""The network ports of a machine, as sysfs shows them: which are hardware, and which have a cable in them."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from pre_nixos.installer.files import NotDone, below, read
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Sequence

NET = "/sys/class/net"
ETHERNET = "1"
UP = 1
"""IFF_UP, in what sysfs calls flags."""
PERMANENT = "0"
"""What the kernel says of an address that is the hardware's own."""
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_PCI = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


class Port(Data):
    """One network port."""

    name: str
    mac: str
    permanent: bool
    """Whether the address is the hardware's own, which udev can match by."""
    carrier: bool
    up: bool
    speed: int = 0
    """In Mbit/s; 0 if nobody knows, as is usual without a carrier."""
    place: tuple[str, ...] = ()
    """The PCI functions on the way to it, from the root; then whatever is behind them."""
    path: str = ""
    """What udev calls the place, for matching by; empty if udev says nothing."""

    @property
    def rank(self) -> tuple[bool, int, bool, tuple[str, ...], tuple[int, str]]:
        """Sorts the best port first: carrier, then speed, then the order of PCI, then the name."""
        return (not self.carrier, -self.speed, not self.place, self.place, (len(self.name), self.name))

    def __str__(self) -> str:
        """As a person would point at it."""
        speed = f", {self.speed} Mbit/s" if self.carrier and self.speed else ""
        return f"{self.name} ({self.mac}, {'carrier' if self.carrier else 'no carrier'}{speed})"


def ports(root: str = "/") -> Sequence[Port]:
    """List the hardware ports that nothing else has taken, the best first."""
    directory = below(root, NET)
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return ()
    found = [_port(name, f"{directory}/{name}", root) for name in names if not why_not(name, root)]
    return sorted(found, key=lambda each: each.rank)


def why_not(name: str, root: str = "/") -> str:
    """Say why something below /sys/class/net is no port to use; empty if it is one."""
    path = f"{below(root, NET)}/{name}"
    if not os.path.isdir(path):
        return "is no network device"
    if read(f"{path}/type") != ETHERNET:
        return "is no Ethernet"
    for entry, what in (
        ("wireless", "is wireless"),
        ("phy80211", "is wireless"),
        ("bridge", "is a bridge"),
        ("bonding", "is a bond"),
        ("tun_flags", "is made by a program"),
        ("master", "is a part of something else"),
    ):
        if os.path.lexists(f"{path}/{entry}"):
            return what
    if not os.path.lexists(f"{path}/device"):
        return "is no hardware"
    if os.path.lexists(f"{path}/device/physfn"):
        return "is a virtual function of another port"
    kind = next((each[8:] for each in read(f"{path}/uevent").splitlines() if each.startswith("DEVTYPE=")), "")
    return f"is of the kind {kind}" if kind else ""


def mac_of(name: str, root: str = "/") -> str:
    """Give the address of any network device."""
    return read(f"{below(root, NET)}/{name}/address").lower()


def set_up(port: Port, root: str = "/", *, up: bool) -> None:
    """Switch a port on, without which nobody knows whether a cable is in it, or off. Raises NotDone."""
    path = f"{below(root, NET)}/{port.name}/flags"
    try:
        flags = int(read(path), 16)
        wanted = flags | UP if up else flags & ~UP
        if wanted != flags:
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(descriptor, f"{wanted:#x}\n".encode())
            finally:
                os.close(descriptor)
    except (OSError, ValueError) as error:
        raise NotDone(f"{port.name} could not be switched {'on' if up else 'off'}: {error}.") from error


def read_mac(text: str) -> str:
    """Give a MAC address in the kernel's spelling. Raises NotDone for what is none."""
    mac = text.strip().lower().replace("-", ":")
    if not _MAC.fullmatch(mac) or int(mac[:2], 16) & 1 or not mac.strip("0:"):
        raise NotDone(
            f"{text!r} is no MAC address of a network port: six pairs of hexadecimal digits, such as "
            "52:54:00:12:34:56. Nothing was changed."
        )
    return mac


def _port(name: str, path: str, root: str) -> Port:
    speed = read(f"{path}/speed")
    real = os.path.realpath(f"{path}/device").split("/")
    first = next((place for place, each in enumerate(real) if _PCI.fullmatch(each)), None)
    flags = read(f"{path}/flags")
    return Port(
        name=name,
        mac=mac_of(name, root),
        permanent=read(f"{path}/addr_assign_type") == PERMANENT,
        carrier=read(f"{path}/carrier") == "1",
        up=bool(int(flags, 16) & UP) if re.fullmatch(r"0x[0-9a-f]+", flags) else False,
        # The port of one function with several: dev_port numbers them.
        speed=int(speed) if speed.isdecimal() and int(speed) < 2**31 - 1 else 0,
        place=() if first is None else (*real[first:], f"{_number(read(f'{path}/dev_port')):04}"),
        path=_udev_path(read(f"{path}/ifindex"), root),
    )


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _udev_path(index: str, root: str) -> str:
    for line in read(below(root, f"/run/udev/data/n{index}")).splitlines() if index else ():
        if line.startswith("E:ID_PATH="):
            return line.partition("=")[2]
    return ""
