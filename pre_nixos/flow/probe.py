"""probe: look at a machine, change nothing, and say what is there as one graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pre_nixos.hooks.registry import Registry
    from pre_nixos.host.api import Reader
    from pre_nixos.model.machine import Machine


def probe(reader: Reader | None = None, *, registry: Registry | None = None) -> Machine:
    """Look at this host, or at whatever machine the reader speaks for."""
    if reader is None:
        from pre_nixos.host.devicechild import READER

        # Before the rest is loaded: who reads the devices is a copy of this process, and dear is what is copied.
        READER.get_ready()
        from pre_nixos.host.local import LocalHost

        reader = LocalHost()
    from pre_nixos.flow.looking import look

    return look(reader, registry)
