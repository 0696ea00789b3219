from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pre_nixos.backends import btrfs
from pre_nixos.backends.btrfs import MIRRORS, Btrfs
from pre_nixos.model.identity import assemble
from pre_nixos.plugin import WINDOWS, Disk, Node, Replace, RequireFree, Run, State, Zero
from tests.unit.backends.replayed import cases, expected_and_found, only

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.plugin import DeviceGraph


def machine(layer: Btrfs, *serials: str) -> DeviceGraph:
    disks = [(Disk(id=f"disk:{each}", serial=each), ()) for each in serials]
    return assemble([*disks, (layer, tuple(range(len(disks))))])


@pytest.mark.parametrize("case", cases("btrfs"), ids=lambda path: path.stem)
def test_probe(case: Path) -> None:
    expected, found = expected_and_found(case, btrfs)
    assert found == expected


def test_removing_one_on_a_single_device() -> None:
    graph = machine(Btrfs(label="pool", devices=1, state=State.ACTIVE), "a")
    action = only(btrfs.remove(graph["disk:a/btrfs"], graph))
    disk = Node(layer="disk:a")
    assert action.summary == "remove btrfs 'pool' from disk a"
    assert action.steps == (RequireFree(target=disk), Zero(target=disk, ranges=(*WINDOWS, *MIRRORS)))


def test_removing_one_on_several_devices() -> None:
    graph = machine(Btrfs(devices=2, state=State.ACTIVE), "a", "b")
    action = only(btrfs.remove(graph["btrfs:btrfs"], graph))
    a, b = Node(layer="disk:a"), Node(layer="disk:b")
    assert action.steps == (
        RequireFree(target=a),
        RequireFree(target=b),
        Run(argv=("btrfs", "device", "scan", a, b)),
        Run(argv=("btrfs", "device", "scan", "--forget", a, b)),
        Zero(target=a, ranges=(*WINDOWS, *MIRRORS)),
        Zero(target=b, ranges=(*WINDOWS, *MIRRORS)),
    )


def test_another_label_is_made_anew() -> None:
    before, after = machine(Btrfs(label="old", devices=1), "a"), machine(Btrfs(label="new"), "a")
    answer = btrfs.change(before["disk:a/btrfs"], after["disk:a/btrfs"], before, after)
    assert answer == Replace(why="label is old, wanted new")
