"""`pre-nixos ssh`: lets in root by public keys, and nobody by a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.cli.complaint import Complaint, Usage
from pre_nixos.cli.source import source

if TYPE_CHECKING:
    import argparse

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session

NEEDS_POLICY = False
LONGEST = 1 << 20


def declare(parser: Parser) -> None:
    """Say what may stand behind `ssh`."""
    parser.add_argument(
        "files", metavar="FILE", nargs="*", help="a file with public keys, a line each; - is standard input"
    )
    parser.add_argument("--key", metavar="KEY", action="append", default=[], help="a public key; may be given again")


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Install the keys, then forbid passwords."""
    import os

    from pre_nixos.installer.files import NotDone
    from pre_nixos.installer.ssh import let_in
    from pre_nixos.render.plan import counted

    if not (arguments.files or arguments.key):
        raise Usage("Whose key? Name a file with public keys, or give one with --key.")
    root = session.own_root
    if root == "/" and os.geteuid() != 0:
        raise Complaint("Only root can let in root, and this is not run as root. Nothing was changed.")
    texts = {f"--key {number}": key for number, key in enumerate(arguments.key, 1)}
    texts |= {"standard input" if each == "-" else each: _read(each) for each in arguments.files}
    try:
        done = let_in(texts, root)
    except NotDone as error:
        raise Complaint(*str(error).splitlines()) from error
    for each in done.remarks:
        session.err.say(each)
    if arguments.json:
        import msgspec

        content: dict[str, object] = msgspec.to_builtins(done)
        session.put_json({"format": "pre-nixos ssh", "version": 1, **content})
    else:
        kept = f", and {done.kept} had been let in before" if done.kept else ""
        session.out.say(f"Root is let in by {counted(done.added, 'more key')}{kept}.")
    return 0 if not done.remarks else 1


def _read(path: str) -> str:
    try:
        with open(source(path), "rb", closefd=path != "-") as file:
            content = file.read(LONGEST + 1)
        if len(content) > LONGEST:
            raise Complaint(f"{path} is longer than {LONGEST} bytes; that is no list of keys. Nothing was changed.")
        return content.decode()
    except OSError as error:
        raise Complaint(f"{path}: {error.strerror}. Nothing was changed.") from error
    except UnicodeDecodeError as error:
        raise Complaint(f"{path}: this is no text, and so no list of keys. Nothing was changed.") from error
