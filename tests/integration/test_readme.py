"""The example in the README does what it says, word for word, on a server of its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pre_nixos as pn
from pre_nixos.backends.mounts import Mount
from pre_nixos.lab.demo import MOUNTED
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.lab.rehearsal import KEEP_SPARSE
from tests.integration.test_demo import blocks

if TYPE_CHECKING:
    import pytest

    from tests.integration.conftest import BootGuest

GIB = 1 << 30
SERVER = Lab(disks=(LabDisk(name="one", size=100 * GIB), LabDisk(name="two", size=100 * GIB)), firmware="uefi")
"""Large enough for what the policy makes if it is told nothing of sizes."""


def test_the_five_calls_lead_from_a_dirty_server_to_a_verified_one(
    boot_fresh: BootGuest, pytestconfig: pytest.Config
) -> None:
    (example,) = blocks(pytestconfig.rootpath / "README.md", "python")
    assert [call for call in ("probe", "propose", "schedule", "apply", "verify") if f"pn.{call}(" not in example] == []
    guest = boot_fresh(SERVER)
    guest.script(KEEP_SPARSE)
    guest.dirty(MOUNTED, "two")
    environment = {"PYTHONPATH": str(pytestconfig.rootpath)}
    ran = guest.run([sys.executable, "-"], stdin=example, environment=environment, timeout=240)
    assert (ran.stdout, ran.stderr) == ("", "")
    mounted = {each.place for each in pn.probe(guest.host).graph.of(Mount)}
    assert {"/mnt", "/mnt/boot", "/mnt/home"} <= mounted
