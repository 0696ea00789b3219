"""Swap: areas on devices, devices in use as swap, and files in use as swap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pre_nixos.backends.dmcrypt import Plain
from pre_nixos.backends.mounts import Mount, holding_file
from pre_nixos.plugin import (
    MIB,
    WINDOWS,
    Action,
    Backend,
    Exact,
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
    Size,
    State,
    SwapOff,
    SwapOn,
    SwapToFile,
    Verb,
    Zero,
    as_size,
    for_kind,
    for_type,
    hooks,
    human,
    implements,
    survey,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Self

    from pre_nixos.plugin import DeviceGraph, Fragment, Handle, Sheet

LONGEST_LABEL = 15
"""Bytes; mkswap cuts a longer one off and goes on."""

HIGHEST_PRIORITY = 32767
POLICIES = ("once", "pages", "both")
SMALLEST_FILE = MIB

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
    discard_policy: How[str | None] = None
    """When: `once`, all of it at the beginning; `pages`, as they become free; `both`, which is what is done if nothing
    is said."""

    @property
    def title(self) -> str:
        """It has no name; what it stands on has."""
        return "in use as swap"


class File(Layer, tag="swap.file"):
    """A file in use as swap."""

    ephemeral = True
    path: Name[str]
    """Where the installed system will see it; it stands on the filesystem or the subvolume it lies in."""
    root: Name[str] = "/"
    """Where that system's root is now."""
    size: How[Size | str | None] = None
    """What it is made with, if it is not there."""
    priority: How[int | None] = None

    def __post_init__(self) -> None:
        """Take a size in every spelling. Raises ValueError for one that is none."""
        if self.size is not None:
            msgspec.structs.force_setattr(self, "size", as_size(self.size))

    @property
    def place(self) -> str:
        """The path as this system sees it."""
        return self.root.rstrip("/") + self.path

    @property
    def segment(self) -> str:
        """The path, marked as swap among what else may be on the filesystem."""
        return f"swap@{self.place}"

    def rooted(self, root: str) -> Self:
        """It is where its filesystem is mounted."""
        return msgspec.structs.replace(self, root=root)

    @property
    def title(self) -> str:
        """The file is what people know it by."""
        return f"swap file {self.place}"


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
    step = SwapOn(
        target=Node(layer=device.id),
        priority=layer.priority,
        discard=layer.discard,
        policy=layer.discard_policy or "",
    )
    return [Action(verb=Verb.ACTIVATE, target=layer.id, summary=f"use {graph.called(device)} as swap", steps=(step,))]


@for_kind(hooks.deactivate, Use)
def switch_off(layer: Use, graph: DeviceGraph) -> Sequence[Action]:
    """Stop using the device below as swap; what is in it goes back to memory."""
    device = graph.devices(layer)[0]
    step = SwapOff(target=Node(layer=device.id))
    summary = f"stop using {graph.called(device)} as swap"
    return [Action(verb=Verb.DEACTIVATE, target=layer.id, summary=summary, steps=(step,))]


@for_kind(hooks.activate, File)
def file_on(layer: File, graph: DeviceGraph) -> Sequence[Action]:
    """Use a file as swap, made whole if it is not there; what else may be at its place is left alone."""
    del graph
    size = layer.size.bytes if isinstance(layer.size, Exact) else 0
    step = SwapToFile(path=layer.place, size=size, priority=layer.priority)
    summary = f"use the file {layer.place} as swap"
    return [Action(verb=Verb.ACTIVATE, target=layer.id, summary=summary, steps=(step,))]


@implements(hooks.objections)
def not_to_be_used(plan: Plan) -> Iterable[Objection]:
    """Refuse files whose size is not said, and ways to use swap that the kernel does not know."""
    graph = plan.wanted.graph
    for layer in graph.of(File):
        if not isinstance(layer.size, Exact) or layer.size.bytes < SMALLEST_FILE or not layer.path.startswith("/"):
            text = f"{layer.title}: it takes an absolute path and a size of at least {human(SMALLEST_FILE)}."
            yield Objection(subject=layer.id, text=text, remedy="Say how large it is to be, such as 4G.")
    for use in graph.of(Use):
        if use.discard_policy not in {None, *POLICIES}:
            text = f"{graph.called(use)}: there is no discard policy {use.discard_policy!r}."
            yield Objection(subject=use.id, text=text, remedy=f"Choose one of {', '.join(POLICIES)}.")
    for each in (*graph.of(Use), *graph.of(File)):
        priority = getattr(each, "priority", None)
        if priority is not None and not 0 <= priority <= HIGHEST_PRIORITY:
            text = f"{each.title}: a swap priority lies between 0 and {HIGHEST_PRIORITY}, and {priority} does not."
            yield Objection(subject=each.id, text=text)


@for_kind(hooks.deactivate, File)
def file_off(layer: File, graph: DeviceGraph) -> Sequence[Action]:
    """Stop using a file as swap."""
    del graph
    step = Run(argv=("swapoff", layer.place))
    summary = f"stop using the file {layer.place} as swap"
    return [Action(verb=Verb.DEACTIVATE, target=layer.id, summary=summary, steps=(step,))]


@for_type(hooks.from_disko, "swap")
def read_area(content: Fragment, on: Sequence[Handle]) -> None:
    """Read an area, which is used as soon as it is there."""
    # Where a system wakes up from, and how it mounts its swap, is for its own configuration.
    content.ignore("resumeDevice", "mountOptions")
    encrypted, mapper = content.flag("randomEncryption"), content.text("mapper")
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
    if encrypted:
        name = mapper or f"swap-{content.above.name if content.above else content.key}"
        on = [content.add(on, Plain, mapper=name, allow_discards=policy is not None)]
    elif mapper is not None:
        content.note("only swap that is encrypted is opened under a name", "mapper")
    area = content.add(on, Area, label=label, uuid=uuid)
    # Both is what is done if nothing is said.
    when = None if policy == "both" else policy
    content.add([area], Use, priority=priority, discard=policy is not None, discard_policy=when)


@for_type(hooks.from_disko, "swapfiles")
def read_files(content: Fragment, on: Sequence[Handle]) -> None:
    """Read files to swap to, which lie below where what they are in is mounted."""
    at = content.text("mountpoint")
    for each in content.children("swap"):
        each.ignore("options")
        path, size, priority = each.text("path") or each.key, each.text("size", needed=True), each.number("priority")
        if at is None or not at.startswith("/"):
            each.note("a file to swap to is in something that is mounted: give that a mountpoint")
        elif ".." in path.split("/") or not path.strip("/"):
            each.note(f"{path!r} is no path of a file in there")
        elif content.first and size is not None:
            words = [word for word in f"{at}/{path}".split("/") if word]
            each.add(on, File, path=f"/{'/'.join(words)}", root=content.root, size=size, priority=priority)


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
    return {"discardPolicy": (layer.discard_policy or "both") if layer.discard else None, **priority}


@for_kind(hooks.to_disko, File)
def write_file(layer: File, sheet: Sheet) -> Mapping[str, object]:
    """Write a file by its path in what it lies in; where that is mounted nowhere there is no saying it."""
    around = [sheet.graph[each] for below in sheet.graph.under(layer) for each in sheet.graph.standing_on(below.id)]
    places = [each.place.rstrip("/") for each in around if isinstance(each, Mount) and each.directory is None]
    inside = [layer.place.removeprefix(f"{each}/") for each in places if layer.place.startswith(f"{each}/")]
    if not inside or not isinstance(layer.size, Exact):
        return {}
    size = layer.size.bytes
    table: dict[str, object] = {"size": f"{size // MIB}M" if size % MIB == 0 else f"{size}B"}
    if layer.priority is not None:
        table["priority"] = layer.priority
    return {"swap": {inside[0]: table}}
