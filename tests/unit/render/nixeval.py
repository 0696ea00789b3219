"""Asks Nix itself what a text means."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "nix-instantiate"


def evaluate(text: str, folder: Path, *words: str) -> object:
    """Give what an expression is, as JSON has it; with further words, those say what is evaluated."""
    program = shutil.which(PROGRAM)
    # Without it nothing here is proven, so nothing here may pass.
    assert program, f"{PROGRAM} is missing: run `make setup`, or apt-get install nix-bin"
    ran = subprocess.run(
        [program, "--store", "dummy://", "--eval", "--strict", "--json", *(words or ("-",))],
        input=text.encode(),
        capture_output=True,
        check=False,
        timeout=60,
        # It is to leave nothing behind in the home directory, nor to read anybody's settings.
        env={
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder),
            "NIX_STATE_DIR": str(folder),
            "LC_ALL": "C.UTF-8",
        },
    )
    assert ran.returncode == 0, f"{ran.stderr.decode()}\n{text}"
    found: object = json.loads(ran.stdout)
    return found
