"""`pre-nixos detect-storage`: is there storage with anything on it? Only a proven no is a 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session

NEEDS_POLICY = False


def declare(parser: Parser) -> None:
    """Nothing more may stand behind `detect-storage`."""
    parser.epilog = "Exit status: 0 blank, 3 occupied, 4 undetermined, 5 no disks. Anything else is no answer."


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Look; 0 blank, 3 occupied, 4 undetermined, 5 no disks."""
    from pre_nixos.hooks.registry import PluginError
    from pre_nixos.installer.detect import Found, Storage, detect_storage

    try:
        storage = detect_storage(session.host, registry=session.registry)
    except PluginError as error:  # a plugin that cannot even be loaded may be the one that would have known
        storage = Storage(found=Found.UNDETERMINED, remarks=(str(error),))
    if arguments.json:
        session.put_json({"format": "pre-nixos storage", "version": 1, **_plain(storage)})
    else:
        session.out.say(f"{storage.found}: {storage.in_words()}.")
        for each in storage.remarks:
            session.err.say(each)
    return storage.found.exit_status


def _plain(storage: object) -> dict[str, object]:
    import msgspec

    plain: dict[str, object] = msgspec.to_builtins(storage)
    return plain
