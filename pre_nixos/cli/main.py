"""`pre-nixos`: finds the command, and makes sure that whatever happens is said in words."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Protocol, cast

from pre_nixos.cli.complaint import Complaint, Outcome, Usage, complaint_about
from pre_nixos.cli.session import Session

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.screen import Screen
    from pre_nixos.hooks.specs import Policy

COMMANDS = {
    "show": "show what is on a machine's disks",
    "plan": "show what would be done to get what a policy or a layout wants",
    "apply": "show what would be done, ask for consent, and do it",
    "wipe": "remove everything that is on some disks",
    "mount": "open, assemble and mount what is there, and make nothing",
    "unmount": "unmount, close and stop what `mount` brings into use",
    "auto": "what a system does about its disks while it starts",
    "verify": "compare what is there with what is wanted",
    "generate": "write what NixOS must be told of the disks",
    "rehearse": "do all of it on a virtual twin of the machine first",
    "status": "say how it stands with this machine's disks",
    "report": "show the last run that did anything",
    "detect-storage": "say whether there is storage with anything on it",
    "lan": "choose the network port of a machine that is being installed",
    "ssh": "let in root by public keys, and nobody by a password",
    "announce": "say on the consoles where this machine can be reached",
    "record": "write down all that this machine answers when it is looked at",
    "doctor": "check what could keep this from working here",
    "policies": "list who can be asked what should be on a machine",
    "plugins": "list what is installed, and which technologies it knows",
}


class Command(Protocol):
    """What the module of a command has; it is loaded when its command is given."""

    NEEDS_POLICY: bool
    """Whether the options of a policy are options of the command."""

    def declare(self, parser: Parser) -> None:
        """Say what may stand behind the command."""
        ...

    def execute(self, arguments: argparse.Namespace, session: Session) -> int:
        """Do it, and give the exit status."""
        ...


def detect_storage() -> None:
    """Run `pre-nixos-detect-storage`."""
    sys.argv.insert(1, "detect-storage")
    run()


def run() -> None:
    """Run the program, and leave it with the status of what it did."""
    # Whoever started us may have closed any of these.
    stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115 - as long as the program runs
    stdout, stderr = (
        each or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as above
        for each in (sys.stdout, sys.stderr)
    )
    # Nearly all that is ever made here is made at the start and stays: looking for garbage finds none.
    gc.set_threshold(100_000)
    session = Session(stdout=stdout, stderr=stderr, stdin=stdin, environ=os.environ, root="/")
    status = main(sys.argv[1:], session)
    for screen, stream in ((session.out, stdout), (session.err, stderr)):
        try:
            stream.flush()
        except OSError:
            screen.close()
    # Python would take a tenth of the time a plan takes to tidy up what the system reclaims at once.
    os._exit(status)


def main(words: Sequence[str], session: Session) -> int:
    """Run one command, and give the exit status: 0 done, 1 refused or failed, 2 usage; 3 with `--check`."""
    words, as_json = _json_first(words)
    if words and words[0].partition("=")[0] == "--check-layout":
        words = ["plan", *words]
    name = words[0] if words else ""
    try:
        try:
            if name in {"", "help", "-h", "--help"}:
                return _help(words, session)
            if name in {"--version", "-V"}:
                return _version(session)
            return _command(name, words[1:], session, as_json=as_json)
        except KeyboardInterrupt:
            raise Complaint("Interrupted. Nothing was changed.") from None
        except OSError as error:
            what = error.filename or "The result could not be written"
            raise Complaint(f"{what}: {error.strerror or error}.") from error
        except Exception as error:
            if session.environ.get("PRE_NIXOS_TRACEBACK"):
                raise
            raise complaint_about(error) from error
    except Complaint as complaint:
        _complain(complaint, name if name in COMMANDS else "", session, as_json=as_json or "--json" in words)
        return complaint.outcome.status


def _json_first(words: Sequence[str]) -> tuple[Sequence[str], bool]:
    """Allow `--json` before the command too."""
    return (words[1:], True) if words and words[0] == "--json" else (words, False)


def _command(name: str, words: Sequence[str], session: Session, *, as_json: bool) -> int:
    from pre_nixos.cli.parser import Parser, guess

    if name not in COMMANDS:
        what = "option" if name.startswith("-") else "command"
        raise Usage(f"There is no {what} {name}{guess(name, COMMANDS)} `pre-nixos --help` lists what there is.")
    from importlib import import_module

    from pre_nixos.cli.policy import require_values

    command = cast("Command", import_module(f"pre_nixos.cli.{name.replace('-', '_')}"))
    summary = COMMANDS[name]
    parser = Parser(name, f"{summary[:1].upper()}{summary[1:]}.")
    command.declare(parser)
    try:
        policy = _add_policy(parser, words, session) if command.NEEDS_POLICY else None
        if {"-h", "--help"}.intersection(words):
            session.out.write(parser.format_help())
            return 0
        arguments, rest = parser.parse_known_args(list(words))
        if rest:
            raise _unknown(rest, parser, policy, session)  # noqa: TRY301 - whatever is wrong with the words is handled alike
        if policy is not None:
            require_values(arguments, policy, parser)
    except Exception as error:
        if misused := getattr(command, "misused", None):
            misused(words, session, complaint_about(error))
        raise
    arguments.json = arguments.json or as_json
    arguments.command, arguments.words = name, tuple(words)
    return command.execute(arguments, session)


def _add_policy(parser: Parser, words: Sequence[str], session: Session) -> Policy | None:
    """Add the options of the policy the words name, so that they can be read with the others."""
    from pre_nixos.cli.policy import add_options, chosen, named

    first, _ = parser.parse_known_args(list(words))
    if getattr(first, "plan", None) is not None:
        if first.layout or first.policy:
            raise Usage("A saved plan says itself what is wanted; leave --layout and --policy out.")
        return None
    if getattr(first, "check_layout", None) is not None:
        return None
    name = chosen(first)
    if not name:
        return None
    policy = named(name, session)
    add_options(parser, policy)
    return policy


def _unknown(rest: Sequence[str], parser: Parser, policy: Policy | None, session: Session) -> Complaint:
    from pre_nixos.cli.parser import guess
    from pre_nixos.cli.policy import help_on, owners_of

    word = next((each for each in rest if each.startswith("-")), rest[0]).partition("=")[0]
    command = parser.prog.rpartition(" ")[2]
    if not word.startswith("-"):
        return Usage(f"{command} does not know what to do with {word!r}.")
    meant = guess(word, parser.flags())
    if policy is not None:
        return Complaint(
            f"Neither {command} nor the policy {policy.name} has an option {word}{meant}",
            advice=help_on(parser, policy),
        )
    owners = owners_of(word, session) if "--policy" in parser.flags() else ()
    if owners:
        return Usage(
            f"{word} is an option of the policy {' or '.join(owners)}, and no policy is asked here: "
            "a layout or a saved plan says itself what is wanted.",
            advice=f"Leave {word} out, or the layout or the plan.",
        )
    return Usage(f"{command} has no option {word}{meant}")


def _help(words: Sequence[str], session: Session) -> int:
    if len(words) > 1 and words[1] in COMMANDS:
        return _command(words[1], ["--help"], session, as_json=False)
    listed = "".join(f"  {name:<14} {summary}\n" for name, summary in COMMANDS.items())
    screen = session.out if words else session.err
    screen.write(
        "usage: pre-nixos COMMAND [...]\n\n"
        "Takes a machine's disks from whatever is on them to exactly what was asked for.\n"
        "Only `apply`, `wipe` and `auto`, with --apply or where pre.mode=apply is on the\n"
        "kernel's command line, change what is on disks.\n\n"
        f"{listed}\n"
        "`pre-nixos COMMAND --help` says more. Every command takes --json.\n"
        "Exit status: 0 done, 1 refused or failed, 2 words that make no sense; with\n"
        "--check `plan`, `wipe`, `mount` and `unmount` exit with 3 if there is something\n"
        "to do; `status` and `detect-storage` have more.\n"
    )
    return 0 if words else Outcome.USAGE.status


def _version(session: Session) -> int:
    from importlib.metadata import version

    session.out.write(f"pre-nixos {version('pre-nixos')}\n")
    return 0


def _complain(complaint: Complaint, command: str, session: Session, *, as_json: bool) -> None:
    """Say what went wrong; a stream that takes nothing may be what went wrong, and must not keep the other from it."""
    if as_json and not complaint.has_result:
        _unless_it_fails(session.out, lambda: _put_problem(complaint, session))
    _unless_it_fails(session.err, lambda: _say_problem(complaint, command, session))


def _unless_it_fails(screen: Screen, write: Callable[[], None]) -> None:
    try:
        write()
    except OSError:
        screen.close()


def _put_problem(complaint: Complaint, session: Session) -> None:
    session.put_json(
        {
            "format": "pre-nixos problem",
            "version": 1,
            "outcome": complaint.outcome,
            "problems": complaint.problems,
            "advice": complaint.advice,
        }
    )


def _say_problem(complaint: Complaint, command: str, session: Session) -> None:
    from pre_nixos.render.text import Style

    first, *more = complaint.problems or ("it did not work",)
    session.err.say(f"pre-nixos{command and ' '}{command}: {first}", Style.BAD)
    for problem in more:
        session.err.say(problem, Style.BAD)
    if complaint.advice:
        session.err.say(complaint.advice)
    elif complaint.outcome is Outcome.USAGE and command:
        session.err.say(f"`pre-nixos {command} --help` says what it takes.")
