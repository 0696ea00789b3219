"""`pre-nixos record`: all that this machine answers when it is looked at, in one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.cli.complaint import Complaint
from pre_nixos.cli.source import require_root

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session
    from pre_nixos.host.pieces import Pieces
    from pre_nixos.host.record import Recording

NEEDS_POLICY = False


def declare(parser: Parser) -> None:
    """Say what may stand behind `record`."""
    parser.add_argument("file", metavar="FILE", help="where to write it; - is standard output")
    parser.add_argument(
        "--pseudonyms",
        action="store_true",
        help="put others in the place of serial numbers, UUIDs and host names, the same ones throughout",
    )


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Look at this machine and write down every answer; also if a plugin fails over them."""
    from pre_nixos.cli.files import check_writable, write_file
    from pre_nixos.flow.probe import probe
    from pre_nixos.hooks.registry import PluginError
    from pre_nixos.host.record import Recorder

    to_file = arguments.file != "-"
    if to_file:
        check_writable(arguments.file)
    require_root(session, "read what is on the disks")
    recorder = Recorder(session.host)
    failed: Exception | None = None
    try:
        probe(recorder, registry=session.registry)
    except (PluginError, ValueError) as error:
        # This is what a recording is for: somebody can now see it fail where the machine is not.
        failed = error
    recording = recorder.recording()
    unshown: list[str] = []
    if arguments.pseudonyms:
        recording = _disguised(recording, session, unshown)
    if to_file:
        write_file(arguments.file, recording.to_json())
    else:
        session.out.write(recording.to_json().decode())
    count = len(recording.pairs)
    for fault in unshown:
        session.err.say(
            f"{fault}. What was read of that device is zeros in the recording, and may be told otherwise there."
        )
    if failed is not None:
        raise Complaint(
            f"Looking at this machine failed: {failed}",
            advice=f"The {count} answers it gave until then are in {arguments.file}, and will show the same failure.",
        )
    if to_file and arguments.json:
        session.put_json(
            {
                "format": "pre-nixos record",
                "version": 1,
                "file": arguments.file,
                "answers": count,
                "pseudonyms": arguments.pseudonyms,
            }
        )
    elif to_file:
        session.err.say(f"{count} answers are in {arguments.file}. To look at them: pre-nixos show --machine FILE")
    return 0


def _disguised(recording: Recording, session: Session, unshown: list[str]) -> Recording:
    """Put pseudonyms in; plugins say what of bytes may be seen, and of a device where one fails nothing is."""
    from pre_nixos.hooks.calls import Calls
    from pre_nixos.hooks.registry import PluginError
    from pre_nixos.host.pseudonyms import pseudonymise

    calls = Calls(session.registry)

    def show(pieces: Pieces, other: Callable[[str], str]) -> Sequence[Mapping[int, bytes]]:
        try:
            return calls.disguise(pieces, other)
        except PluginError as error:
            unshown.append(str(error))
            return ()

    return pseudonymise(recording, show=show)
