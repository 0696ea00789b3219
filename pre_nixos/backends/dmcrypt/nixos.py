"""What NixOS must be told of encrypted devices: which to open in the initrd, and by which UUID."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from pre_nixos.backends.dmcrypt.kinds import Luks, Plain
from pre_nixos.plugin import REMARKS, InvalidLayout, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.plugin import DeviceGraph

KEY_DEVICE = "keyfile:/dev/"
"""A key on a device is there at boot as well; one in a file was there while the system was installed."""

HMAC = "hmac-"
"""The kind of integrity whose modules are known to be these in every kernel, and the hashes in every initrd."""

SCRIPTED = frozenset({"fallbackToPassword", "preLVM"})
"""Options that NixOS refuses where the initrd has systemd, which it has by default: the one is implied there, the other
makes no difference."""

_PLAIN = re.compile(r"[A-Za-z0-9/@:%._+-]+")
_OPTION = re.compile(r"[A-Za-z0-9/@:%._+=-]+")


@for_kind(hooks.nixos_options, Luks)
def opened_at_boot(layer: Luks, graph: DeviceGraph) -> Mapping[str, object]:
    """Have it opened in the initrd, if it is to be, with a passphrase unless its key is on a device of its own."""
    called = graph.called(layer)
    if not layer.initrd:
        return {REMARKS: [f"{called}: its initrdUnlock is false, so nothing here has it opened at boot."]}
    if layer.uuid is None or layer.mapper is None:
        what = "UUID" if layer.uuid is None else "name to open it as"
        raise InvalidLayout([f"{called} ({layer.id}): no {what} is known of it"])
    key = layer.keys[0] if layer.keys else ""
    key = key.removeprefix("keyfile:") if key.startswith(KEY_DEVICE) else ""
    for word in filter(None, (layer.mapper, key)):
        if not _PLAIN.fullmatch(word):
            text = "scripts of NixOS and crypttab would not take for one word; choose another name"
            raise InvalidLayout([f"{called} ({layer.id}): {word!r} is what {text}"])
    device: dict[str, object] = {"device": f"/dev/disk/by-uuid/{layer.uuid}"}
    if layer.allow_discards:
        device["allowDiscards"] = True
    if layer.bypass_workqueues:
        device["bypassWorkqueues"] = True
    if key:
        device["keyFile"] = key
    device |= _settings(layer, f"{called} ({layer.id})")
    initrd: dict[str, object] = {"luks": {"devices": {layer.mapper: device}}}
    unsaid = [*(option for option, _ in layer.at_boot if option in SCRIPTED), *layer.not_told]
    text = f"of its settings these are not said here; add what is needed of them: {', '.join(unsaid)}"
    remarks = [f"{called}: {text} (boot.initrd.luks.devices)."] if unsaid else []
    if how := _integrity(layer.arguments):
        # NixOS puts neither into an initrd by itself.
        initrd["availableKernelModules"] = ["dm_integrity", *(["authenc"] if how.startswith(HMAC) else [])]
        if not how.startswith(HMAC):
            text = "which modules its integrity needs depends on the kernel; see to it that the initrd has those of"
            remarks.append(f"{called}: {text} {how} (boot.initrd.availableKernelModules).")
    return {"boot": {"initrd": initrd}, **({REMARKS: remarks} if remarks else {})}


def _settings(layer: Luks, called: str) -> Mapping[str, object]:
    """Give how else it is to be opened."""
    found: dict[str, object] = {}
    for option, said in layer.at_boot:
        if option in SCRIPTED:
            continue
        found[option] = list(said) if isinstance(said, tuple) else said
        for each in said if isinstance(said, tuple) else ():
            if not _OPTION.fullmatch(each):
                text = f"/etc/crypttab, which NixOS writes, would not take {each!r} for one option"
                raise InvalidLayout([f"{called}: {text}"])
    return found


def _integrity(arguments: Sequence[str]) -> str:
    """Give the integrity a volume was made with; empty if it has none."""
    for option, following in pairwise((*arguments, "")):
        if option in {"--integrity", "-I"}:
            return following
        if option.startswith(("--integrity=", "-I")):
            return option.removeprefix("--integrity=").removeprefix("-I")
    return ""


@for_kind(hooks.nixos_options, Plain)
def opened_for_its_content(layer: Plain, graph: DeviceGraph) -> Mapping[str, object]:
    """Say nothing: swap in it says how it is to be encrypted, and nothing else may be in it."""
    del layer, graph
    return {}
