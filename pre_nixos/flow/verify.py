"""verify: look again, and list everything that is not as wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.flow.probe import probe
from pre_nixos.model.difference import shortcomings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.hooks.registry import Registry
    from pre_nixos.host.api import Reader
    from pre_nixos.model.difference import Shortcoming
    from pre_nixos.model.draft import Wanted


def verify(wanted: Wanted, reader: Reader | None = None, *, registry: Registry | None = None) -> Sequence[Shortcoming]:
    """Look at the machine and list every difference from what is wanted; empty when there is none."""
    return shortcomings(probe(reader, registry=registry).graph, wanted)
