"""Disks, tables, swap, mounts and loop devices together, on machines recorded in the lab."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pre_nixos.backends import disks, dos, filesystems, gpt, loop, mounts, swap, unrecognised
from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import Registry
from pre_nixos.host.record import Recording
from pre_nixos.host.replay import Replay
from pre_nixos.host.survey import Memo
from pre_nixos.model.identity import resolve

CASES = sorted((Path(__file__).parents[1] / "cases/uses/probe").glob("*.json"))
PLUGINS = {
    "disks": disks,
    "dos": dos,
    "filesystems": filesystems,
    "gpt": gpt,
    "loop": loop,
    "mounts": mounts,
    "swap": swap,
    "unrecognised": unrecognised,
}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_everything_is_found_on_what_it_stands_on(path: Path) -> None:
    case: dict[str, Any] = json.loads(path.read_text())
    replay = Replay(Recording.from_json(json.dumps(case["machine"])))
    graph = resolve(Calls(Registry(PLUGINS)).probe(Memo(replay)))
    found: list[dict[str, Any]] = []
    for layer in graph.layers():
        fields: dict[str, Any] = json.loads(msgspec.json.encode(layer))
        number = layer.device.number if layer.device else None
        fields = {key: value for key, value in fields.items() if key not in ("id", "device")}
        found.append({"id": layer.id, "on": list(graph.on(layer.id)), "device": number, "layer": fields})
    assert not replay.unused()
    assert found == case["found"]
