"""Running a program: devices put in by their names of this moment, secrets only on its standard input."""

from __future__ import annotations

import os
import shlex
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

from pre_nixos.host.doing.problems import NotDoneError
from pre_nixos.model.step import Node, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pre_nixos.host.doing.problems import Effort
    from pre_nixos.host.questions import Ran
    from pre_nixos.model.step import Run

TAIL = 2000
"""Characters of a failed program's words that are worth repeating."""
LONGEST_WORD = 200
"""Characters of a word of a command that are worth repeating: a script is in the plan, whole."""


class Runner(Protocol):
    """Starts a program and waits for it."""

    def __call__(self, argv: Sequence[str], *, stdin: bytes | None, timeout: float, pass_fds: Sequence[int]) -> Ran:
        """Run it: no shell, a clean environment, closed stdin unless given."""
        ...


class LoudRunner(Protocol):
    """Starts a program, waits for it, and tells what it says meanwhile."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None,
        timeout: float,
        pass_fds: Sequence[int],
        heard: Callable[[str], None],
    ) -> Ran:
        """Run it as above; `heard` is told each line."""
        ...


def telling(runner: LoudRunner, tell: Callable[[str], None], secrets: Mapping[str, str]) -> Runner:
    """Give a runner that tells what a program says, but no secret."""

    def run_aloud(argv: Sequence[str], *, stdin: bytes | None, timeout: float, pass_fds: Sequence[int]) -> Ran:
        return runner(
            argv,
            stdin=stdin,
            timeout=timeout,
            pass_fds=pass_fds,
            heard=lambda line: tell(masked(line, secrets.values())),
        )

    return run_aloud


def run(
    work: Run,
    path_of: Callable[[Node], str],
    secrets: Mapping[str, str],
    runner: Runner,
    inherited: Sequence[int],
    effort: Effort,
    *,
    is_gone: Callable[[Node], bool],
) -> str:
    """Run a program of a plan; anything but status 0 is a failure, told with the end of what it said.

    Only of one that brings a device to an end the device tells more than the status: `is_gone` is asked.
    """
    with ExitStack() as files:
        handed: list[int] = []

        def path_to(secret: Secret) -> str:
            handed.append(_in_memory(secret, secrets))
            files.callback(os.close, handed[-1])
            return f"/proc/self/fd/{handed[-1]}"

        argv = resolve(work.argv, path_of, path_to)
        stdin = given(work.stdin, secrets)
        command = masked(shlex.join(map(brief, argv)), secrets.values())
        effort.processes += 1
        effort.wrote = True
        ran = runner(argv, stdin=stdin, timeout=work.timeout, pass_fds=(*inherited, *handed))
    if ran.error == "missing":
        effort.processes -= 1
        effort.wrote = False
        raise NotDoneError(f"{argv[0]} is not installed; nothing was changed")
    if (ran.error or ran.status != 0) and work.ends is not None and is_gone(work.ends):
        return f"{command}: {work.ends.layer} is gone"
    if ran.error == "timeout":
        raise NotDoneError(f"{command}: stopped after {work.timeout:g} s without an end; it may have written")
    said = tail(masked(ran.stderr.strip() or ran.stdout, secrets.values()))  # masked whole: a cut could halve a secret
    if ran.error:
        raise NotDoneError(f"{command}: {ran.error}; it may have written" + (f": {said}" if said else ""))
    if ran.status != 0:
        how = f"status {ran.status}" if ran.status > 0 else f"killed by signal {-ran.status}"
        raise NotDoneError(f"{command}: {how}; it may have written" + (f": {said}" if said else ""))
    return command


def resolve(
    argv: Iterable[str | Node | Secret], path_of: Callable[[Node], str], path_to: Callable[[Secret], str]
) -> tuple[str, ...]:
    """Put the path of each device in the place of its layer, and of each secret in the place of its reference."""
    return tuple(
        path_of(word) if isinstance(word, Node) else path_to(word) if isinstance(word, Secret) else word
        for word in argv
    )


def _in_memory(secret: Secret, secrets: Mapping[str, str]) -> int:
    """Put a secret into a file that has no name anywhere, for a program that reads it from a file."""
    from pre_nixos.host.started import above_streams

    content = given(secret, secrets) or b""
    descriptor = above_streams(os.memfd_create("secret"))
    try:
        while content:
            content = content[os.write(descriptor, content) :]
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def given(stdin: str | Secret | None, secrets: Mapping[str, str]) -> bytes | None:
    """What a program gets to read: a secret as its bytes alone, without a newline that would become part of it."""
    if isinstance(stdin, Secret):
        if stdin.reference not in secrets:
            raise NotDoneError(f"no value was given for the secret {stdin.reference}; nothing was changed")
        return secrets[stdin.reference].encode("utf-8", "surrogateescape")
    return None if stdin is None else stdin.encode("utf-8", "surrogateescape")


def masked(text: str, values: Iterable[str]) -> str:
    """The text without any secret a program repeated, whole or a line of it."""
    parts = {value for value in values if value}
    parts |= {line.strip() for value in parts for line in value.splitlines() if line.strip()}
    for value in sorted(parts, key=len, reverse=True):
        text = text.replace(value, "[secret]")
    return text


def brief(word: str) -> str:
    """A word of a command, or the first line of one that has several."""
    first = word.partition("\n")[0][:LONGEST_WORD]
    return word if first == word else f"{first} ..."


def tail(text: str) -> str:
    """The end of what a program said, from the start of a line where that is possible."""
    text = text.strip()
    if len(text) <= TAIL:
        return text
    return "... " + text[-TAIL:].partition("\n")[2] if "\n" in text[-TAIL:] else "... " + text[-TAIL:]
