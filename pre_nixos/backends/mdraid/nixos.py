"""What NixOS must be told of arrays: to assemble them, and what they are called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.backends.mdraid.kinds import Array, Container, Subarray
from pre_nixos.plugin import InvalidLayout, Lines, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.plugin import DeviceGraph

ENABLED: Mapping[str, object] = {"enable": True}
MAIL = "MAILADDR root"
"""Whoever watches the arrays does not start without knowing whom to tell."""
_PLAIN = re.compile(r"[A-Za-z0-9_.+-]+")


@for_kind(hooks.nixos_options, Array)
def assembled_at_boot(layer: Array, graph: DeviceGraph) -> Mapping[str, object]:
    """Have it assembled, by its UUID, under the name it was made with if mdadm.conf can say that."""
    if layer.uuid is None:
        raise InvalidLayout([f"{graph.called(layer)}: no UUID is known of it"])
    lines = [MAIL]
    if _PLAIN.fullmatch(layer.name):
        lines.append(f"ARRAY /dev/md/{layer.name} UUID={layer.uuid}")
    return {"boot": {"swraid": {**ENABLED, "mdadmConf": Lines.of(*lines)}}}


@for_kind(hooks.nixos_options, Container)
def known_to_firmware(layer: Container, graph: DeviceGraph) -> Mapping[str, object]:
    """Have what the firmware knows as one set assembled: it is found by itself."""
    del layer, graph
    return {"boot": {"swraid": {**ENABLED, "mdadmConf": Lines.of(MAIL)}}}


@for_kind(hooks.nixos_options, Subarray)
def within_firmware(layer: Subarray, graph: DeviceGraph) -> Mapping[str, object]:
    """Say nothing: its container says it all."""
    del layer, graph
    return {}
