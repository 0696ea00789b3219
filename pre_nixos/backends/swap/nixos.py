"""What NixOS must be told of swap: `swapDevices`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.backends.dmcrypt import Plain
from pre_nixos.backends.mounts import Emptied
from pre_nixos.backends.swap.kinds import Area, File, Use
from pre_nixos.plugin import InvalidLayout, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.plugin import DeviceGraph

_PATH = re.compile(r"[A-Za-z0-9/@:%._+-]+")
_MORE = re.compile(r"\s|\\[0-7]{3}")
_WORD = re.compile(r"[A-Za-z0-9:_.-]+")


@for_kind(hooks.nixos_options, Area)
def made_ready(layer: Area, graph: DeviceGraph) -> Mapping[str, object]:
    """Say nothing: whether it is used is for its use to say."""
    del layer, graph
    return {}


@for_kind(hooks.nixos_options, Use)
def device_used(layer: Use, graph: DeviceGraph) -> Mapping[str, object]:
    """Have a device used, by the UUID of its area; where it is encrypted anew at every boot, by what stays."""
    area = graph.under(layer)[0]
    below = graph.under(area)[0]
    encrypted = below if isinstance(below, Plain) else None
    # What is encrypted anew has another UUID at every boot: that of the partition lasts.
    device = graph.found_at(area if encrypted is None else graph.under(encrypted)[0])
    if not device:
        text = "no UUID is known by which it would be found at boot"
        raise InvalidLayout([f"{graph.called(graph.devices(layer)[0])}, {layer.title}: {text}"])
    entry: dict[str, object] = {"device": device, **_priority(layer)}
    if layer.discard:
        entry["discardPolicy"] = layer.discard_policy or "both"
    if encrypted is not None:
        entry["randomEncryption"] = _encryption(encrypted, discard=layer.discard)
    entry |= _options(layer, f"{graph.called(graph.devices(layer)[0])}, {layer.title}")
    if not layer.resume:
        return {"swapDevices": [entry]}
    if encrypted is not None:
        text = "no system could wake up in it: it is encrypted anew at every boot"
        raise InvalidLayout([f"{graph.called(graph.devices(layer)[0])}, {layer.title}: {text}"])
    return {"swapDevices": [entry], "boot": {"resumeDevice": device}}


@for_kind(hooks.nixos_options, File)
def file_used(layer: File, graph: DeviceGraph) -> Mapping[str, object]:
    """Have a file used. It is there: NixOS is given no size to make it with."""
    if any(isinstance(each, Emptied) and each.is_emptied(graph) for each in graph.under(layer)):
        text = "it is in the root, which is empty at every boot; put it on a subvolume of its own"
        raise InvalidLayout([f"{layer.title}: {text}"])
    if not _PATH.fullmatch(layer.path):
        raise InvalidLayout(
            [f"{layer.title}: /etc/fstab, which NixOS writes, would not take {layer.path!r} for one word"]
        )
    return {"swapDevices": [{"device": layer.path, **_priority(layer), **_options(layer, layer.title)}]}


def _options(layer: Use | File, called: str) -> dict[str, object]:
    for option in layer.options:
        if not option or not option.isprintable() or _MORE.search(option):
            text = f"/etc/fstab, which NixOS writes, would not take {option!r} for one option"
            raise InvalidLayout([f"{called}: {text}"])
    return {"options": list(layer.options)} if layer.options else {}


def _priority(layer: Use | File) -> dict[str, object]:
    return {} if layer.priority is None else {"priority": layer.priority}


def _encryption(layer: Plain, *, discard: bool) -> dict[str, object]:
    """Say how; the size of the key is what cryptsetup of the new system chooses, unless it was chosen."""
    found: dict[str, object] = {"enable": True}
    if layer.cipher is not None:
        if not _WORD.fullmatch(layer.cipher):
            raise InvalidLayout([f"{layer.title}: {layer.cipher!r} is no cipher that NixOS could be told of"])
        found["cipher"] = layer.cipher
    if layer.key_size is not None:
        found["keySize"] = layer.key_size
    if discard or layer.allow_discards:
        found["allowDiscards"] = True
    return found
