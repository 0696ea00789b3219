"""A world of toys: a host whose disks hold what the toy technology made, and that can be told to go wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from pre_nixos.host.api import AppendLine, CheckHeld, HoldOffAssembly, Outcome, TakeLock
from pre_nixos.host.questions import (
    BlockNodes,
    Content,
    Contents,
    Locate,
    Located,
    LookAround,
    MountTable,
    ReadBlockNodes,
    ReadFile,
    ReadMounts,
    SafeProbe,
    Surroundings,
    Text,
    Users,
    Verdict,
    WhoUses,
)
from pre_nixos.model import plan as plans
from pre_nixos.model.action import Action, Verb
from pre_nixos.model.codec import encode
from pre_nixos.model.layer import Layer, State
from pre_nixos.model.machine import Machine
from pre_nixos.model.step import RequireBlank, Run, Step, WriteFile
from tests.unit.toys import WORLD, Pool, Slot, slot_device

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pre_nixos.host.api import Deed
    from pre_nixos.host.questions import Question
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.graph import DeviceGraph


TOOLS = {"toy": "/toy"}


class World:
    """What is on the disks, and what was done to them."""

    def __init__(self, machine: Machine, wanted: Wanted) -> None:
        self.graph = machine.graph
        self.wanted = wanted
        self.files: dict[str, str] = {}
        self.did: list[str] = []
        self.broken: dict[str, Callable[[], Outcome | None]] = {}
        """By `verb target`: what happens instead of it; None lets it happen after all."""
        self.does: dict[type, Callable[[], Outcome]] = {}
        """What a kind of step does instead of nothing."""
        self.discards = True
        self.locked_by = ""
        self.root = True
        self.users = Users()
        self.holds: dict[str, list[Content]] = {}
        """What a device turns out to hold, by number, one answer after the other; the last one stays."""
        self.done: list[Step | Deed] = []
        self.held = Outcome(ok=True)
        self.held_off: list[bool] = []
        self._devices = 100

    def ask(self, question: Question[Any]) -> Any:
        match question:
            case ReadFile(path=path) if path.endswith("/queue/discard_max_bytes"):
                return Text(content=f"{int(self.discards)}\n")
            case ReadFile(path=path):
                if path == WORLD:
                    return Text(content=encode(Machine(graph=self.graph), format="toy world").decode())
                return Text(content=self.files.get(path), error="" if path in self.files else "missing")
            case ReadBlockNodes():
                return BlockNodes(nodes=())
            case SafeProbe(numbers=numbers):
                return Contents(devices=tuple(self.content(each) for each in numbers))
            case ReadMounts():
                return MountTable()
            case LookAround():
                return Surroundings(memory=2**30, architecture="toy", firmware="bios", tools=TOOLS, root=self.root)
            case WhoUses():
                return self.users
            case Locate():
                return Located(number="250:1", name="toy1")
            case _:
                raise AssertionError(question)

    def do(self, work: Step | Deed, places: Mapping[str, str], secrets: Mapping[str, str]) -> Outcome:
        del places, secrets
        self.done.append(work)
        if type(work) in self.does:
            return self.does[type(work)]()
        match work:
            case WriteFile(path=path, content=content):
                self.files[path] = content
            case Run(argv=(_, verb, target, *_)):
                return self.run(Verb(str(verb)), str(target))
            case AppendLine(path=path, line=line):
                self.files[path] = self.files.get(path, "") + line + "\n"
            case TakeLock():
                return Outcome(
                    ok=not self.locked_by, refused=bool(self.locked_by), detail=f"locked by {self.locked_by}"
                )
            case CheckHeld():
                return self.held
            case HoldOffAssembly(on=on):
                self.held_off.append(on)
            case RequireBlank():
                return Outcome(ok=True)
            case _:
                pass
        return Outcome(ok=True)

    def content(self, number: str) -> Content:
        waiting = self.holds.get(number, [])
        if len(waiting) > 1:
            return waiting.pop(0)
        return waiting[0] if waiting else Content(number=number, verdict=Verdict.BLANK, size=1 << 30)

    def run(self, verb: Verb, target: str) -> Outcome:
        name = f"{verb} {target}"
        self.did.append(name)
        instead = self.broken[name]() if name in self.broken else None
        if instead is not None:
            return instead
        action = Action(verb=verb, target=target, summary="", steps=())
        self.graph = self._alive(plans.after(action, self.graph, self.wanted.graph))
        return Outcome(ok=True, wrote=True, processes=1)

    def _alive(self, graph: DeviceGraph) -> DeviceGraph:
        return graph.plus((self._with_device(each), graph.on(each.id)) for each in graph.layers())

    def _with_device(self, layer: Layer) -> Layer:
        if isinstance(layer, Slot):
            if layer.state is not State.ACTIVE:
                return msgspec.structs.replace(layer, device=None)
            if layer.device is None:
                self._devices += 1
                return msgspec.structs.replace(layer, device=slot_device(self._devices))
        if isinstance(layer, Pool) and not layer.uuid:
            self._devices += 1
            return msgspec.structs.replace(layer, uuid=f"uuid-{self._devices}")
        return layer

    def graft(self, machine: Machine) -> None:
        """Let something come back that was thought gone."""
        self.graph = machine.graph


def as_host(world: World) -> Any:
    return cast("Any", world)
