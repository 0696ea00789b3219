"""A guest's process on the host: confined to a few directories, gone when we are, and ended at once when told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from pre_nixos.lab import keeper, requirements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Kept:
    """A program that runs under the keeper, with its output at the end of a file."""

    def __init__(
        self,
        program: Sequence[str],
        *,
        writable: Sequence[str],
        output: str,
        descriptors: Sequence[int] = (),
        environment: Mapping[str, str],
    ) -> None:
        keeping = [sys.executable, "-I", "-S", keeper.__file__, *writable, "--"]
        with open(output, "ab") as file:
            self._process: subprocess.Popen[bytes] | None = subprocess.Popen(
                [*keeping, *program],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                env={"PATH": requirements.PATH, **environment},
                pass_fds=tuple(descriptors),
                start_new_session=True,
            )

    def end(self) -> None:
        """Kill it and all it started; nothing happens if it is gone already."""
        process, self._process = self._process, None
        if process is None:
            return
        # The group may have many processes; its number is ours until we wait for it.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        if process.stdin is not None:
            process.stdin.close()
