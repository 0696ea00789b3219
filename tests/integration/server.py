"""The server of the demonstration, for tests: what is on it, and what it is to become."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pre_nixos as pn
from pre_nixos.lab.demo import SERVER, make_server

if TYPE_CHECKING:
    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

OPTIONS: dict[str, object] = {
    "careful": True,
    "slash": "1GiB",
    "home_cap": "512MiB",
    "data": "2GiB",
    "swap_cap": "512MiB",
}


def wanted_on(machine: pn.Machine) -> pn.Wanted:
    """What the demonstration asks for."""
    return pn.propose(machine, "tiered", OPTIONS)


def boot_server(boot: BootGuest) -> Guest:
    """Boot the server with everything an earlier installation left on it."""
    guest = boot(SERVER)
    make_server(guest)
    return guest
