"""What a guest's agent does beyond being a host: the lab's own requests."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING, TypeVar

import msgspec

from pre_nixos.host import agent
from pre_nixos.host.questions import Ran
from pre_nixos.lab.wire import Execute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.host.api import Deed, Host, Outcome
    from pre_nixos.host.questions import Question
    from pre_nixos.lab.wire import BootReport
    from pre_nixos.model.step import Step

A = TypeVar("A")


class LateHost:
    """The local host, imported when first asked: a guest boots without waiting for it."""

    def __init__(self) -> None:
        self._host: Host | None = None

    def ask(self, question: Question[A]) -> A:
        """Ask the local host."""
        return self._local().ask(question)

    def do(self, work: Step | Deed, places: Mapping[str, str], secrets: Mapping[str, str]) -> Outcome:
        """Have the local host do it."""
        return self._local().do(work, places, secrets)

    def _local(self) -> Host:
        if self._host is None:
            from pre_nixos.host.local import LocalHost

            self._host = LocalHost()
        return self._host


def execute(raw: msgspec.Raw) -> Ran:
    """Run a program and wait for it, or leave it running with its output in a file."""
    asked = msgspec.json.decode(raw, type=Execute)
    output: int = subprocess.PIPE
    if asked.log:
        output = os.open(asked.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        process = subprocess.Popen(
            asked.argv,
            stdin=subprocess.PIPE if asked.stdin else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if asked.log else output,
            env={**os.environ, **asked.environment},
            cwd=asked.directory,
            start_new_session=True,
            text=True,
            errors="replace",
        )
    except OSError as error:
        return Ran(status=-1, error="missing" if isinstance(error, FileNotFoundError) else str(error))
    finally:
        if asked.log:
            os.close(output)
    if asked.log:
        return Ran(status=process.pid)
    try:
        out, err = process.communicate(asked.stdin or None, timeout=asked.timeout)
    except subprocess.TimeoutExpired as late:
        # A process that waits for a device cannot be killed: do not wait for its end.
        os.killpg(process.pid, signal.SIGKILL)
        return Ran(status=-1, error="timeout", stdout=_decoded(late.stdout), stderr=_decoded(late.stderr))
    return Ran(status=process.returncode, stdout=out, stderr=err)


def serve_lab(line: str, report: BootReport) -> None:
    """Answer on the serial port until the host hangs up."""
    port = agent.open_line(line)
    agent.serve(LateHost(), port, port, {"exec": execute, "report": lambda _: report})


def _decoded(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
