"""`pre-nixos mount`: opens, assembles and mounts what is there, and makes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.cli.using import declare_use, use

if TYPE_CHECKING:
    import argparse

    from pre_nixos.cli.session import Session

NEEDS_POLICY = True

declare = declare_use


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Mount what is wanted and there."""
    return use(arguments, session)
