"""Configurations of NixOS beside a module of ours: what they declare already, and one to begin with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.model.data import Data
from pre_nixos.render.nix import name, nix_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NAME = r"""("(?:[^"\\]|\\.)*"|[A-Za-z_][\w'-]*)"""
_ENTRY = re.compile(
    rf"^[ \t]*(?:(fileSystems|boot\.initrd\.luks\.devices)(?:\s*\.\s*{_NAME})?"
    r"|(swapDevices)(?!\s*=\s*\[\s*\]))(?=[\s.=])",
    re.MULTILINE,
)
_ESCAPED = re.compile(r"\\(.)")
_SKIPPED = re.compile(r"""#[^\n]*|/\*.*?\*/|''(?:[^']|'(?!')|''[$'\\])*''|"(?:[^"\\]|\\.)*\"""", re.DOTALL)


class Declared(Data):
    """An entry of a configuration that speaks of disks."""

    file: str
    line: int
    option: str
    """Such as `fileSystems."/"`; without a name if all of them are declared in one place."""


def declared(file: str, text: str) -> Iterable[Declared]:
    """Find the entries in a configuration, as nixos-generate-config and most people write them."""
    plain = _SKIPPED.sub(_blanked, text)
    for found in _ENTRY.finditer(plain):
        option = found[1] or found[3]
        if found[2]:
            quoted = found[2].startswith('"')
            option += f".{name(_ESCAPED.sub(_letter, found[2][1:-1])) if quoted else found[2]}"
        yield Declared(file=file, line=plain.count("\n", 0, found.start(1 if found[1] else 3)) + 1, option=option)


def _letter(found: re.Match[str]) -> str:
    return found[1]


def _blanked(found: re.Match[str]) -> str:
    """Take out comments and texts, but for names and for the breaks of lines."""
    if found[0].startswith('"'):
        return found[0].replace("\n", " ")
    return "\n" * found[0].count("\n")


def minimal(imports: Sequence[str], *, release: str = "", architecture: str = "", keeper: str = "") -> str:
    """Write a configuration that does no more than to start from the disks, for somebody to go on with.

    Where the root is empty at every boot, `keeper` is where things are kept: passwords that were typed are not.
    """
    lines = ["# A beginning, written by pre-nixos because there was nothing here. It is yours.", "{ ... }:", "", "{"]
    lines += ["  imports = [", *(f"    ./{each}" for each in imports), "  ];", ""]
    if architecture:
        lines += [f"  nixpkgs.hostPlatform = {nix_text(f'{architecture}-linux')};", ""]
    if keeper:
        lines += [
            "  # The root is empty at every boot, and passwords that were typed are gone: without one of these",
            f"  # nobody can log in. `(umask 077; mkpasswd > /mnt{keeper}/root.password)` writes the file.",
            f"  # users.users.root.hashedPasswordFile = {nix_text(f'{keeper}/root.password')};",
            '  # users.users.root.openssh.authorizedKeys.keys = [ "ssh-ed25519 ..." ];',
            "",
        ]
    if release:
        lines.append(f"  system.stateVersion = {nix_text(release)};")
    else:
        lines.append("  # system.stateVersion belongs here: the release of NixOS that is installed, such as")
        lines.append('  # system.stateVersion = "25.05";')
    return "\n".join([*lines, "}", ""])


__all__ = ["Declared", "declared", "minimal"]
