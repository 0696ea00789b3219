"""Swap: areas on devices, devices in use as swap, and files in use as swap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pre_nixos.backends.mounts import holding_file
from pre_nixos.plugin import (
    WINDOWS,
    Action,
    Backend,
    Fact,
    Found,
    How,
    Layer,
    Name,
    Node,
    Objection,
    Plan,
    Reader,
    ReadMounts,
    Ref,
    Replace,
    RequireBlank,
    RequireFree,
    Run,
    State,
    SwapOff,
    SwapOn,
    Verb,
    Zero,
    for_kind,
    for_type,
    hooks,
    implements,
    survey,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pre_nixos.plugin import DeviceGraph, Fragment, Handle, Sheet

LONGEST_LABEL = 15
"""Bytes; mkswap cuts a longer one off and goes on."""

READY, HIBERNATED = "swap", "swsuspend"
"""Signatures: hibernation puts the second in the place of the first."""


class Area(Layer, tag="swap"):
    """A device made ready to be used as swap."""

    label: str | None = None
    uuid: str | None = None
    hibernated: Fact[bool] = False
    """Whether a system sleeps in it, whose unsaved state goes with it."""

    def __post_init__(self) -> None:
        """UUIDs are the same however they are written."""
        if self.uuid is not None:
            msgspec.structs.force_setattr(self, "uuid", self.uuid.lower())

    def explains(self) -> frozenset[str]:
        """Its own signature, also in the form hibernation gives it."""
        return frozenset({READY, HIBERNATED})

    def describe(self) -> str:
        """What it is, its label, and whether a system sleeps in it."""
        named = f"swap {self.label!r}" if self.label else "swap"
        return f"{named} with a hibernated system" if self.hibernated else named


class Use(Layer, tag="swap.use"):
    """A device in use as swap."""

    ephemeral = True
    priority: How[int | None] = None
    """From 0 to 32767, the highest is used first; None leaves it to the kernel."""
    discard: How[bool] = False
    """Whether to tell the device which blocks are no longer in use."""

    @property
    def title(self) -> str:
        """It has no name; what it stands on has."""
        return "in use as swap"


class File(Layer, tag="swap.file"):
    """A file in use as swap."""

    ephemeral = True
    path: Name[str]

    @property
    def segment(self) -> str:
        """The path, marked as swap among what else may be on the filesystem."""
        return f"swap@{self.path}"

    @property
    def title(self) -> str:
        """The file is what people know it by."""
        return f"swap file {self.path}"


@implements(hooks.backend)
def backend() -> Backend:
    """Own swap in all its forms."""
    return Backend(kinds=[Area, Use, File], tools=["mkswap", "swapoff"], disko_types=["swap"], disko_keys=["swapfiles"])


@implements(hooks.probe)
def probe(reader: Reader) -> Iterable[Found]:
    """Find areas by their signature, and what is in use by what the kernel says."""
    seen = survey(reader)
    for node, signature in seen.with_signature(READY, HIBERNATED):
        area = Area(
            label=signature.label or None,
            uuid=signature.uuid or None,
            hibernated=signature.type == HIBERNATED,
            state=State.ACTIVE,
        )
        yield Found(area, on=[node.number])
    for path in reader.ask(ReadMounts()).swaps:
        if not path.startswith("/dev/"):
            yield Found(File(path=path, state=State.ACTIVE), on=holding_file(path, reader))
            continue
        # Compressed memory is swap too, and none of our business: the survey leaves it out.
        used = seen.nodes.get(path.removeprefix("/dev/").replace("/", "!"))
        if used is not None:
            yield Found(Use(state=State.ACTIVE), on=[Ref(number=used.number, content=READY)])


@for_kind(hooks.format, Area)
def make(layer: Area, graph: DeviceGraph) -> Sequence[Action]:
    """Run mkswap on a device that was just proven blank."""
    device = graph.devices(layer)[0]
    node = Node(layer=device.id)
    label = ("--label", layer.label) if layer.label else ()
    uuid = ("--uuid", layer.uuid) if layer.uuid else ()
    steps = (RequireFree(target=node), RequireBlank(target=node), Run(argv=("mkswap", *label, *uuid, node)))
    named = f" labelled {layer.label}" if layer.label else ""
    return [
        Action(verb=Verb.FORMAT, target=layer.id, summary=f"make swap{named} on {graph.called(device)}", steps=steps)
    ]


@for_kind(hooks.teardown, Area)
def remove(layer: Area, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends of the device, and read them back."""
    device = graph.devices(layer)[0]
    node = Node(layer=device.id)
    return [
        Action(
            verb=Verb.TEARDOWN,
            target=layer.id,
            summary=f"remove {layer.describe()} from {graph.called(device)}",
            steps=(RequireFree(target=node), Zero(target=node, ranges=WINDOWS)),
            destroys=(layer.id,),
        )
    ]


@for_kind(hooks.modify, Area)
def change(old: Area, new: Area, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Swap holds nothing worth keeping, so it is made anew."""
    del before, after
    return Replace(why="; ".join(str(each) for each in new.mismatches(old)))


@implements(hooks.objections)
def labels_cut_off(plan: Plan) -> Iterable[Objection]:
    """Refuse labels that would not be what was asked for."""
    for layer in plan.wanted.graph.of(Area):
        if len((layer.label or "").encode()) > LONGEST_LABEL:
            yield Objection(
                subject=layer.id,
                text=f"The label {layer.label!r} is longer than the {LONGEST_LABEL} bytes a swap area has for it.",
                remedy="Choose a shorter one.",
            )


@for_kind(hooks.activate, Use)
def switch_on(layer: Use, graph: DeviceGraph) -> Sequence[Action]:
    """Use the device below as swap."""
    device = graph.devices(layer)[0]
    step = SwapOn(target=Node(layer=device.id), priority=layer.priority, discard=layer.discard)
    return [Action(verb=Verb.ACTIVATE, target=layer.id, summary=f"use {graph.called(device)} as swap", steps=(step,))]


@for_kind(hooks.deactivate, Use)
def switch_off(layer: Use, graph: DeviceGraph) -> Sequence[Action]:
    """Stop using the device below as swap; what is in it goes back to memory."""
    device = graph.devices(layer)[0]
    step = SwapOff(target=Node(layer=device.id))
    summary = f"stop using {graph.called(device)} as swap"
    return [Action(verb=Verb.DEACTIVATE, target=layer.id, summary=summary, steps=(step,))]


@for_kind(hooks.deactivate, File)
def file_off(layer: File, graph: DeviceGraph) -> Sequence[Action]:
    """Stop using a file as swap."""
    del graph
    step = Run(argv=("swapoff", layer.path))
    summary = f"stop using the file {layer.path} as swap"
    return [Action(verb=Verb.DEACTIVATE, target=layer.id, summary=summary, steps=(step,))]


@for_type(hooks.from_disko, "swap")
def read_area(content: Fragment, on: Sequence[Handle]) -> None:
    """Read an area, which is used as soon as it is there."""
    # Where a system wakes up from, and how it mounts its swap, is for its own configuration.
    content.ignore("resumeDevice", "mountOptions")
    content.refuse("randomEncryption", "swap that is encrypted anew at every boot is not made here")
    words = list(content.words("extraArgs"))
    label, uuid = content.text("label"), content.text("uuid")
    for option in ("-L", "--label", "-U", "--uuid"):
        if option in words[:-1]:
            position = words.index(option)
            label, uuid = (words[position + 1], uuid) if option in {"-L", "--label"} else (label, words[position + 1])
            del words[position : position + 2]
    if words:
        content.note(f"{' '.join(words)}: mkswap is given no other arguments than a label and a UUID", "extraArgs")
    policy = content.choice("discardPolicy", ["once", "pages", "both"])
    priority = content.number("priority")
    area = content.add(on, Area, label=label, uuid=uuid)
    content.add([area], Use, priority=priority, discard=policy is not None)


@for_type(hooks.from_disko, "swapfiles")
def read_files(content: Fragment, on: Sequence[Handle]) -> None:
    """Say that files are recognised, and not made."""
    del on
    for each in content.children("swap"):
        each.pass_over()
        each.note("files to swap to are recognised, and not made here; a partition or a volume does as well")


@for_kind(hooks.to_disko, Area)
def write_area(layer: Area, sheet: Sheet) -> Mapping[str, object]:
    """Write an area, and how it is used."""
    arguments = [*(("-L", layer.label) if layer.label else ()), *(("-U", layer.uuid) if layer.uuid else ())]
    own: dict[str, object] = {"extraArgs": arguments} if arguments else {}
    if layer.label and " " in layer.label:
        own = {
            "label": layer.label,
            **({"uuid": layer.uuid} if layer.uuid else {}),
        }  # Disko would take it for two words
    return {"type": "swap", **own, **sheet.uses(layer)}


@for_kind(hooks.to_disko, Use)
def write_use(layer: Use, sheet: Sheet) -> Mapping[str, object]:
    """Write how it is used; that it is used goes without saying."""
    del sheet
    priority = {"priority": layer.priority} if layer.priority is not None else {}
    return {"discardPolicy": "both" if layer.discard else None, **priority}
