"""Loop devices: files that look like disks. They are found and detached, not made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mounts import holding_file
from pre_nixos.plugin import (
    Action,
    Backend,
    Fact,
    Found,
    Layer,
    Name,
    Node,
    Reader,
    Ref,
    RequireFree,
    Run,
    State,
    Verb,
    for_kind,
    hooks,
    implements,
    survey,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pre_nixos.plugin import DeviceGraph

BACKING_FILE = "loop/backing_file"


class Loop(Layer, tag="loop"):
    """A file, or a device, made to look like a disk."""

    ephemeral = True
    anchored = False
    file: Name[str]
    """The path of what is behind it, as the kernel says it."""
    offset: Fact[int] = 0
    """Where in the file it begins."""

    @property
    def segment(self) -> str:
        """The path, marked as a loop device among what else may be on the filesystem."""
        return f"loop@{self.file}"

    @property
    def title(self) -> str:
        """The file is what people know it by."""
        return f"loop device of {self.file}"

    def mark(self) -> Mapping[str, str] | None:
        """It is known by the file behind it."""
        return {BACKING_FILE: self.file}

    def usable(self, below: Sequence[int]) -> int | None:
        """As much as it has now; one that is not there offers nothing."""
        del below
        return self.device.size if self.device else None


@implements(hooks.backend)
def backend() -> Backend:
    """Own loop devices."""
    return Backend(kinds=[Loop], tools=["losetup"])


@implements(hooks.probe)
def probe(reader: Reader) -> Iterable[Found]:
    """Find the loop devices in use, each on the filesystem its file is on."""
    seen = survey(reader)
    for node in seen.whole():
        file = node.attributes.get(BACKING_FILE)
        if file is None:
            continue
        offset = node.attributes.get("loop/offset", "0")
        layer = Loop(
            file=file,
            offset=int(offset) if offset.isdecimal() else 0,
            device=seen.device(node),
            state=State.ACTIVE,
        )
        behind = seen.nodes.get(file.removeprefix("/dev/").replace("/", "!")) if file.startswith("/dev/") else None
        yield Found(layer, on=[Ref(number=behind.number)] if behind else holding_file(file, reader))


@for_kind(hooks.deactivate, Loop)
def detach(layer: Loop, graph: DeviceGraph) -> Sequence[Action]:
    """Detach it; one that is still open would only go once it is closed, so that is looked at first."""
    del graph
    node = Node(layer=layer.id)
    steps = (RequireFree(target=node), Run(argv=("losetup", "--detach", node)))
    return [
        Action(verb=Verb.DEACTIVATE, target=layer.id, summary=f"detach the loop device of {layer.file}", steps=steps)
    ]
