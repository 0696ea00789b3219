"""The demonstration works, and shows what the README says it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PASSING = re.compile(r"[\d.]+ [MG]iB of memory|[0-9a-f]{16}")
"""What differs from run to run: what the kernel leaves of the memory, and digests, which speak of UUIDs."""


def blocks(page: Path, language: str) -> list[str]:
    """Give the blocks of a page that are in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def test_the_demonstration_ends_well_and_the_readme_shows_it(pytestconfig: pytest.Config) -> None:
    environment = {**os.environ, "PRE_NIXOS_ARTEFACTS": str(pytestconfig.rootpath / "artefacts" / "test_demo")}
    environment.pop("COLUMNS", None)
    argv = [sys.executable, "-m", "pre_nixos.lab.demo"]
    ran = subprocess.run(
        argv,
        cwd=pytestconfig.rootpath,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    shown = ran.stdout
    assert ran.returncode == 0, shown + ran.stderr
    assert ran.stderr == ""
    assert max(map(len, shown.splitlines())) <= 80
    *_, closing, timing = shown.strip().replace("\nThat took", "\n\nThat took").split("\n\n")
    assert closing.startswith("All as it should be: a second run would do nothing, and the disk with the")
    assert re.match(r"That took \d+ s\. The virtual server is gone", timing)
    pictures = blocks(pytestconfig.rootpath / "README.md", "text")
    assert len(pictures) == 2
    for picture in pictures:
        assert PASSING.sub("...", picture) in PASSING.sub("...", shown)
