"""Arrays in containers of a firmware's metadata, which a program has to watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pre_nixos.backends import mdraid
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.mdraid import Container, Subarray
from pre_nixos.backends.mounts import Mount
from pre_nixos.host.questions import BlockNode
from pre_nixos.host.survey import Memo
from pre_nixos.model.action import Action, Verb
from pre_nixos.model.draft import Wanted
from pre_nixos.model.identity import assemble
from pre_nixos.model.plan import Plan
from pre_nixos.plugin import MIB, BlockDevice, Disk, State
from tests.unit.backends.canned import Canned, disk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.plugin import DeviceGraph, Layer

PATH = "/sys/devices/virtual/block"


def found(files: Mapping[str, str], level: str = "raid1") -> Subarray:
    """Probe two disks with an array in a container."""
    attributes = {"size": "131072", "md/level": level, "md/array_state": "clean", "md/metadata_version": "external:ddf"}
    held = ("a", "b")
    container = BlockNode(name="md127", number="9:127", attributes=attributes, path=f"{PATH}/md127", slaves=held)
    inside = {**attributes, "md/metadata_version": "external:/md127/0"}
    array = BlockNode(name="md126", number="9:126", attributes=inside, path=f"{PATH}/md126", slaves=held)
    nodes = [disk("a", "8:0", 96 * MIB), disk("b", "8:16", 96 * MIB), container, array]
    layers = [each.layer for each in mdraid.find(Memo(Canned(nodes, files=files)))]
    (one,) = (each for each in layers if isinstance(each, Subarray))
    return one


@pytest.mark.parametrize("directory", ["/run/mdadm", "/dev/.mdadm"])
@pytest.mark.parametrize(
    ("level", "pid", "comm", "deserted"),
    [
        ("raid1", "812\n", "mdmon\n", ""),
        ("raid1", "812\n", "", "md127"),
        ("raid1", "812\n", "sshd\n", "md127"),
        ("raid1", "", "", ""),
        ("raid0", "812\n", "", ""),
    ],
)
def test_a_monitor_that_died_left_its_process_id(
    directory: str, level: str, pid: str, comm: str, deserted: str
) -> None:
    files = {f"{directory}/md127.pid": pid, "/proc/812/comm": comm}
    assert found({path: text for path, text in files.items() if text}, level).deserted == deserted


def machine(deserted: str = "md127") -> DeviceGraph:
    device = BlockDevice(name="md126", number="9:126", size=64 * MIB)
    array = Subarray(name="0", level=1, state=State.ACTIVE, device=device, deserted=deserted)
    return assemble(
        [
            (Disk(id="disk:a", serial="A"), ()),
            (Container(metadata="ddf", state=State.ACTIVE), (0,)),
            (array, (0, 1)),
            (Filesystem(type="ext4"), (2,)),
            (Mount(at="/srv", state=State.ACTIVE), (3,)),
        ]
    )


@pytest.mark.parametrize(
    ("ends", "deserted", "waiting"),
    [(Mount, "md127", "mount at /mnt/srv"), (Mount, "", ""), (Container, "md127", "")],
)
def test_nothing_is_begun_that_would_wait_for_ever(ends: type[Layer], deserted: str, waiting: str) -> None:
    there = machine(deserted)
    (layer,) = there.of(ends)
    action = Action(verb=Verb.DEACTIVATE, target=layer.id, summary="end it", steps=())
    plan = Plan(before=there, wanted=Wanted(graph=assemble([(there["disk:a"], ())])), actions=(action,))
    said = [(each.subject, each.text.rpartition("; here ")[2], each.remedy) for each in mdraid.deserted(plan)]
    remedy = "Start it: mdmon md127. Then run the same command again."
    assert said == ([("mdraid.subarray:0", f"{waiting}.", remedy)] if waiting else [])
