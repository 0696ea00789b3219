"""A graph as a module of NixOS: what the owners of its layers say that NixOS must be told, as one text."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.options import REMARKS, Default, Lines, Losing
from pre_nixos.hooks.registry import installed
from pre_nixos.model.data import Data
from pre_nixos.model.draft import InvalidLayout
from pre_nixos.model.layer import Role, roles
from pre_nixos.render.nix import UnwritableError, comment, nix_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pre_nixos.hooks.registry import Registry
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.layer import Layer
    from pre_nixos.model.machine import Machine

MARK = "# Written by pre-nixos from what is wanted on this machine's disks."
"""The first line of what may be written again: what does not begin so is somebody else's."""
ELSEWHERE = {"environment": ("persistence", "impermanence", "https://github.com/nix-community/impermanence")}
"""Options that are not of NixOS itself, by where they belong: with the module they come from, and where that is."""
OF_NIXOS: Mapping[str, object] = {"boot": {"initrd": {"systemd": {"enable": Default(value=True)}}}}
"""The initrd is the one with systemd: it opens whatever is in whatever without being told in which order."""

Options = dict[str, object]


class WrittenModule(Data):
    """A module of NixOS that was written, and what it does not say."""

    text: str
    """The module, in Nix."""
    entries: tuple[str, ...] = ()
    """What it declares of what hardware configurations declare too, such as `fileSystems."/"`."""
    remarks: tuple[str, ...] = ()
    """What a person should know of it, a sentence or two each."""
    keeper: str = ""
    """Where what is to outlive a root that is empty at every boot is kept; empty if there is no such root or place."""


def write_module(wanted: Wanted, machine: Machine, *, registry: Registry | None = None) -> WrittenModule:
    """Write what NixOS must be told of what is wanted, with the UUIDs of what is there on the machine.

    Nothing in it is a name of the kernel's. Raises InvalidLayout with everything that cannot be said: mostly what is
    not there yet, and has no UUID, and what is there and would be lost, though nobody said so.
    """
    graph = settled(wanted.graph, machine.graph)
    calls = Calls(registry or installed())
    problems: list[str] = []
    remarks: list[str] = []
    options: Options = dict(OF_NIXOS)
    for layer in graph.layers():
        try:
            said = calls.nixos_options(layer, graph)
            if said is None:
                called = f"{graph.called(layer)} ({layer.id})"
                remarks.append(f"NixOS is told nothing of {called}: whoever owns {layer.kind} has no words for it.")
            options = merged(options, said or {})
            if isinstance(layer, Losing):
                remarks += layer.losing(graph, machine.graph)
        except InvalidLayout as error:
            problems += error.problems
    if problems:
        raise InvalidLayout(list(dict.fromkeys(problems)))
    remarks += cast("list[str]", options.pop(REMARKS, []))
    remarks += _missing(options)
    try:
        text = module_text(options, remarks)
    except UnwritableError as error:
        raise InvalidLayout([str(error)]) from error
    keeper = next(iter(sorted(_at(options, "environment", "persistence"))), "")
    return WrittenModule(text=text, entries=tuple(_entries(options)), remarks=tuple(remarks), keeper=keeper)


def settled(wanted: DeviceGraph, there: DeviceGraph) -> DeviceGraph:
    """Give what is wanted with all that was found out of it, such as UUIDs nobody asked for."""

    def found(layer: Layer) -> Layer:
        real = there.get(layer.id)
        if real is None or type(real) is not type(layer) or layer.ephemeral:
            return layer
        # What nobody asked for is as it is; what was said to the tools that made it nobody can see any more.
        known = {
            field: getattr(real, field)
            for field, role in roles(type(layer)).items()
            if role is Role.FACT or field == "device" or (role is Role.WISH and getattr(layer, field) is None)
        }
        return msgspec.structs.replace(layer, **known)

    return wanted.with_each(found)


def merged(one: Mapping[str, object], other: Mapping[str, object], path: str = "") -> Options:
    """Put two tables of options together. Raises InvalidLayout for two answers to one question."""
    found = dict(one)
    for key, value in other.items():
        there = found.get(key)
        inner = f"{path}.{key}" if path else key
        if key not in found or isinstance(there, Default):
            found[key] = value
        elif isinstance(there, dict) and isinstance(value, dict):
            found[key] = merged(cast("Options", there), cast("Options", value), inner)
        elif isinstance(there, list) and isinstance(value, list):
            items = cast("list[object]", there)
            found[key] = [*items, *(each for each in cast("list[object]", value) if each not in items)]
        elif isinstance(there, Lines) and isinstance(value, Lines):
            found[key] = there.with_more(value)
        elif there != value and not isinstance(value, Default):
            raise InvalidLayout([f"two layers want the option {inner} to be different: {there!r} and {value!r}"])
    return found


def module_text(options: Mapping[str, object], remarks: Iterable[str] = ()) -> str:
    """Write options as a module: always in the same order, so that two of them can be compared line by line."""
    ordered = cast("Options", _ordered(options))
    elsewhere = {
        outer: {name: inside.pop(name)}
        for outer, (name, _, _) in ELSEWHERE.items()
        if name in (inside := cast("Options", ordered.get(outer, {})))
    }
    own = {key: value for key, value in ordered.items() if value != {}}
    head = [MARK, "# Change nothing in here: `pre-nixos generate` writes all of it again.", *map(comment, remarks)]
    if not elsewhere:
        return "\n".join([*head, "{ lib, pkgs, ... }:", "", f"{nix_text(own, joined=True)}\n"])
    parts = [nix_text(own, joined=True), *(_if_there(outer, inner) for outer, inner in elsewhere.items())]
    listed = "".join(f"    {part.replace(chr(10), f'{chr(10)}    ')}\n" for part in parts)
    return "\n".join(
        [*head, "{ lib, options, pkgs, ... }:", "", "{", "  config = lib.mkMerge [", f"{listed}  ];", "}\n"]
    )


def _if_there(outer: str, inner: Mapping[str, object]) -> str:
    """Write options that only some systems have, and a warning for the others."""
    option, module, home = ELSEWHERE[outer]
    there = f"options.{outer} ? {option}"
    text = f"The module {module} is not imported ({home}): nothing is kept of what {outer}.{option} should keep."
    said = nix_text({outer: inner}, joined=True)
    return f"(if {there} then {said} else {{\n  warnings = [\n    {nix_text(text)}\n  ];\n}})"


def _ordered(value: object) -> object:
    if isinstance(value, dict):
        table = cast("Options", value)
        return {key: _ordered(table[key]) for key in sorted(table)}
    if isinstance(value, list | tuple):
        return [_ordered(each) for each in cast("Sequence[object]", value)]
    return value


def _entries(options: Mapping[str, object]) -> Iterable[str]:
    """Name what may be declared in a hardware configuration as well."""
    from pre_nixos.render.nix import name

    for at in sorted(_at(options, "fileSystems")):
        yield f"fileSystems.{name(at)}"
    for mapper in sorted(_at(options, "boot", "initrd", "luks", "devices")):
        yield f"boot.initrd.luks.devices.{name(mapper)}"
    if options.get("swapDevices"):
        yield "swapDevices"


def _missing(options: Mapping[str, object]) -> Iterable[str]:
    for keeper in sorted(_at(options, "environment", "persistence")):
        yield f"The root is empty at every boot: whoever keeps /etc/nixos there copies it to {keeper}/etc/nixos before."
    if "/" not in _at(options, "fileSystems"):
        yield "Nothing is mounted at /: a system needs a root."
    if not _at(options, "boot", "loader"):
        yield "Nothing here says what the machine starts from: set boot.loader yourself."


def _at(options: Mapping[str, object], *path: str) -> Options:
    found = dict(options)
    for each in path:
        inside = found.get(each)
        found = cast("Options", inside) if isinstance(inside, dict) else {}
    return found


__all__ = ["ELSEWHERE", "MARK", "WrittenModule", "merged", "module_text", "settled", "write_module"]
