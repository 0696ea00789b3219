"""What a plugin finds on a machine that was recorded in the lab, next to what it should find."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgspec

from pre_nixos.host.record import Recording
from pre_nixos.host.replay import Replay
from pre_nixos.host.survey import Memo
from pre_nixos.model.action import Action

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pre_nixos.host.api import Reader
    from pre_nixos.model.identity import Found

CASES = Path(__file__).parents[1] / "cases"


class Probing(Protocol):
    """A plugin, as far as these tests are concerned."""

    def probe(self, reader: Reader) -> Iterable[Found]: ...


def cases(backend: str) -> list[Path]:
    found = sorted((CASES / backend / "probe").glob("*.json"))
    assert found, f"no cases for {backend}"
    return found


def expected_and_found(case: Path, plugin: Probing) -> tuple[Sequence[Any], Sequence[Any]]:
    """Probe a recorded machine; an answer that nobody asked for is a mistake too."""
    written = json.loads(case.read_text())
    replay = Replay(Recording.from_json(json.dumps(written["machine"])))
    found = [_told(each) for each in plugin.probe(Memo(replay))]
    assert not replay.unused()
    return written["found"], found


def _told(found: Found) -> dict[str, Any]:
    layer: dict[str, Any] = json.loads(msgspec.json.encode(found.layer))
    layer.pop("device", None)
    on = [ref.number or f"{ref.kind} {ref.uuid or ref.name}" for ref in found.on]
    told = {"layer": layer, "device": found.layer.device.number if found.layer.device else None, "on": on}
    return told | ({"fallback": True} if found.fallback else {})


def only(answer: object) -> Action:
    """Take what a hook answered, which must be a single action."""
    assert isinstance(answer, list)
    (action,) = cast("list[object]", answer)
    assert isinstance(action, Action)
    return action
