"""A little of NixOS: enough to see what a module of ours sets, and whether it is of the type the option has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import msgspec

from tests.unit.render.nixeval import evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.machine import Machine

STAND_IN = """
let
  lib = rec {
    mkDefault = value: value;
    mkMerge = contents: { merged = contents; };
    recursive = a: b: a // builtins.mapAttrs
      (name: value: if a ? ${name} && builtins.isAttrs value && builtins.isAttrs a.${name}
        then recursive a.${name} value else value) b;
  };
  pkgs = { rsync = "/rsync"; util-linux = "/util-linux"; btrfs-progs = "/btrfs-progs"; findutils = "/findutils"; };
  options.environment = %s;
  found = (%s) { inherit lib options pkgs; };
in
if found ? config then builtins.foldl' lib.recursive { } found.config.merged else found
"""


def _text(value: object) -> bool:
    return isinstance(value, str)


def _line(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\n" not in value


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _lines(value: object) -> bool:
    return (
        isinstance(value, list) and bool(cast("list[object]", value)) and all(map(_line, cast("list[object]", value)))
    )


def _policy(value: object) -> bool:
    return value in {"once", "pages", "both"}


SERVICE = r"boot\.initrd\.systemd\.services\.[^.]*\."
OPTIONS: dict[str, Callable[[object], bool]] = {
    r"fileSystems\..*\.(device|fsType)": _line,
    r"fileSystems\..*\.options": _lines,
    r"fileSystems\..*\.neededForBoot": _flag,
    r"swapDevices\.\d+\.device": _line,
    r"swapDevices\.\d+\.options": _lines,
    r"swapDevices\.\d+\.priority": _number,
    r"swapDevices\.\d+\.discardPolicy": _policy,
    r"swapDevices\.\d+\.randomEncryption\.(enable|allowDiscards)": _flag,
    r"swapDevices\.\d+\.randomEncryption\.cipher": _line,
    r"swapDevices\.\d+\.randomEncryption\.keySize": _number,
    r"boot\.initrd\.luks\.devices\..*\.(device|keyFile)": _line,
    r"boot\.initrd\.luks\.devices\..*\.(allowDiscards|bypassWorkqueues|tryEmptyPassphrase)": _flag,
    r"boot\.initrd\.luks\.devices\..*\.crypttabExtraOpts": _lines,
    r"boot\.initrd\.luks\.devices\..*\.keyFileTimeout": _number,
    r"boot\.initrd\.(services\.lvm|systemd)\.enable": _flag,
    r"boot\.initrd\.((availableK|k)ernelModules|systemd\.initrdBin)": _lines,
    r"boot\.resumeDevice": _line,
    rf"{SERVICE}(description|unitConfig\.DefaultDependencies|serviceConfig\.Type)": _line,
    rf"{SERVICE}(after|before|requires|wantedBy)": _lines,
    rf"{SERVICE}script": _text,
    r"boot\.swraid\.enable": _flag,
    r"boot\.swraid\.mdadmConf": _text,
    r"boot\.loader\.(systemd-boot|grub)\.enable": _flag,
    r"boot\.loader\.systemd-boot\.extraInstallCommands": _text,
    r"boot\.loader\.efi\.canTouchEfiVariables": _flag,
    r"boot\.loader\.efi\.efiSysMountPoint": _line,
    r"boot\.loader\.grub\.efi(Support|InstallAsRemovable)": _flag,
    r"boot\.loader\.grub\.devices": lambda value: value == [] or _lines(value),
    r"services\.lvm\.(boot\.thin\.)?enable": _flag,
    r"environment\.persistence\..*\.(directories|files)": _lines,
    r"environment\.persistence\..*\.hideMounts": _flag,
    r"warnings": _lines,
}
"""Every option a module of ours may set, and what it takes."""


def options_of(module: str, folder: Path, *, impermanence: bool = True) -> dict[str, Any]:
    """Give what a module sets, after a look at the type of every option in it."""
    there = "{ persistence = { }; }" if impermanence else "{ }"
    found = cast("dict[str, Any]", evaluate(STAND_IN % (there, module), folder))
    for path, value in _leaves(found, ""):
        checks = [check for option, check in OPTIONS.items() if re.fullmatch(option, path, re.DOTALL)]
        assert checks, f"there is no option {path}"
        assert checks[0](value), f"{path} cannot be {value!r}"
    return found


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inside in cast("dict[str, object]", value).items():
            yield from _leaves(inside, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in cast("list[object]", value)):
        for at, inside in enumerate(cast("list[object]", value)):
            yield from _leaves(inside, f"{path}.{at}")
    else:
        yield path, value


def as_made(machine: Machine, graph: DeviceGraph) -> Machine:
    """Give the machine on which a graph was made: what has a UUID has one now, in the order of their ids."""
    ids = iter(range(1, 10_000))

    def made(layer: Any) -> Any:
        if layer.id in machine.graph:
            return machine.graph[layer.id]
        if "uuid" not in layer.__struct_fields__ or layer.uuid:
            return layer
        number = next(ids)
        if layer.kind == "mdraid.array":
            uuid = f"00000000:00000000:00000000:{number:08x}"
        elif getattr(layer, "type", "") == "vfat":
            uuid = f"0000-{number:04X}"
        else:
            uuid = f"00000000-0000-4000-8000-{number:012x}"
        return msgspec.structs.replace(layer, uuid=uuid)

    return msgspec.structs.replace(machine, graph=graph.with_each(made))
