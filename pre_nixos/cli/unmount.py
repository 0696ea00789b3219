"""`pre-nixos unmount`: unmounts, closes and stops what is in use of what is wanted, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.cli.using import declare_use, use

if TYPE_CHECKING:
    import argparse

    from pre_nixos.cli.session import Session

NEEDS_POLICY = True

declare = declare_use


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Unmount what is wanted and in use."""
    return use(arguments, session, end=True)
