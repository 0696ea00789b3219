"""What NixOS must be told of mounts: `fileSystems`, and what outlives an empty root."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.backends.mounts.activate import mounted_as
from pre_nixos.backends.mounts.emptied import is_emptied, keeper, outliving, roots
from pre_nixos.backends.mounts.kinds import NO_DEVICE, Mount, source_of
from pre_nixos.backends.mounts.starting import start
from pre_nixos.plugin import InvalidLayout, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.plugin import DeviceGraph

_CODED = re.compile(r"\\[0-7]{3}")
"""What is read out of /etc/fstab as some other letter."""

ROOT_MODE = 0o755


@for_kind(hooks.nixos_options, Mount)
def mounted(layer: Mount, graph: DeviceGraph) -> Mapping[str, object]:
    """Say what is mounted there; of the root, also what is to outlive it, and of an ESP, how the machine starts."""
    if layer.namespace:
        return {}
    for word in (layer.at, layer.directory or "", *(layer.options or ())):
        if not word.isprintable() or _CODED.search(word):
            # In /etc/fstab the rest of it would be a line of its own, or it would be another word.
            raise InvalidLayout([f"{layer.title}: /etc/fstab, which NixOS writes, cannot say {word!r}"])
    entry = _entry(layer, graph)
    if layer.at in {"/var/log", keeper(graph)} and any(is_emptied(each, graph) for each in roots(graph)):
        entry["neededForBoot"] = True
    told = start(layer, graph, {"fileSystems": {layer.at: entry}})
    return {**told, **outliving(layer, graph)} if layer.at == "/" and is_emptied(layer, graph) else told


def _entry(layer: Mount, graph: DeviceGraph) -> dict[str, object]:
    if layer.directory is not None:
        return _directory(layer, graph)
    type_, needed = mounted_as(layer, graph)
    for option in needed:
        if "," in option or _CODED.search(option):
            raise InvalidLayout(
                [f"{layer.title}: /etc/fstab, which NixOS writes, would take {option!r} for several options"]
            )
    options = [*needed, *(each for each in layer.options or () if each not in needed)]
    # Made anew at every boot, it has no directory that keeps a mode, and anybody could write to a root without one.
    mode = ROOT_MODE if layer.mode is None and layer.at == "/" else layer.mode
    if type_ in NO_DEVICE and mode is not None and not any(each.startswith("mode=") for each in options):
        options.append(f"mode={mode:04o}")
    below = graph.under(layer)
    device = graph.found_at(below[0]) if below else type_
    if not device:
        raise InvalidLayout(
            [f"{layer.title}: no UUID is known by which {graph.called(below[0])} would be found at boot"]
        )
    return {"device": device, "fsType": type_, **({"options": options} if options else {})}


def _directory(layer: Mount, graph: DeviceGraph) -> dict[str, object]:
    """Give the entry for a directory of what is mounted elsewhere as a whole."""
    source = source_of(layer, graph)
    if not source:
        raise InvalidLayout([f"{layer.title}: {layer.directory} is a directory of what is mounted nowhere as a whole"])
    return {"device": source, "fsType": "none", "options": ["bind", *(layer.options or ())]}
