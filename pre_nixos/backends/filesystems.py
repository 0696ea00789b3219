"""Filesystems: ext4, xfs, vfat and the like, each on one device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pre_nixos.backends.arguments import REMEDY, Tool, faults, harmless
from pre_nixos.backends.clearing import cleared
from pre_nixos.backends.gpt import ESP, Partition
from pre_nixos.backends.journals import Journal, find_journals, journals_of, remove_journal
from pre_nixos.backends.superblocks import LENGTH, first_bytes, only_the_size, unused, was_mounted
from pre_nixos.plugin import (
    MIB,
    Action,
    Backend,
    Fact,
    Found,
    Grow,
    How,
    Layer,
    Mismatch,
    Node,
    Objection,
    Passing,
    Plan,
    Reader,
    Replace,
    RequireBlank,
    RequireFree,
    Run,
    State,
    Step,
    Verb,
    for_kind,
    for_type,
    hooks,
    human,
    implements,
    survey,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Self

    from pre_nixos.plugin import DeviceGraph, Fragment, Handle, Pieces, Sheet

MAKERS = {
    "ext4": ("mkfs.ext4", "-q", "-F"),
    "ext3": ("mkfs.ext3", "-q", "-F"),
    "ext2": ("mkfs.ext2", "-q", "-F"),
    "xfs": ("mkfs.xfs", "-q", "-f"),
    "vfat": ("mkfs.vfat", "--mbr=n"),
}
"""How each type is made. The device was proven blank by then, so forcing overrides nothing."""

INSTEAD = {each: f'Want that kind; in a layout it is type = "{each}", and no format.' for each in ("btrfs", "swap")}
NOT_MADE: Mapping[str, str] = {
    **dict.fromkeys(INSTEAD, "a kind of its own"),
    **dict.fromkeys(("zfs", "bcachefs"), "recognised and cleared away, and not made here"),
}
READS = "it reads or writes a file, and nothing but what it stands on is read or written"
OPTIONS = {
    **{
        type_: Tool(
            name=f"mkfs.{type_}",
            letters="bdegilmorstzCEGIJLMNORTU",
            refused=dict.fromkeys(("-d", "-l", "-z"), READS),
            elsewhere={"-J": ("device",), "-O": ("journal_dev",)},
        )
        for type_ in ("ext4", "ext3", "ext2")
    },
    "xfs": Tool(
        name="mkfs.xfs",
        letters="bcdilLmnprs",
        refused=dict.fromkeys(("-c", "-p"), READS),
        elsewhere={"-d": ("name", "file"), "-l": ("name", "file", "logdev"), "-r": ("name", "file", "rtdev")},
    ),
    "vfat": Tool(
        name="mkfs.vfat",
        letters="bDfFghilmMnrRsS",
        long=("--codepage", "--variant", "--offset"),
        refused=dict.fromkeys(("-C", "-l", "-m"), READS),
    ),
}
"""What further arguments the maker of each type may be given."""
LABELLERS = ("tune2fs", "xfs_admin", "fatlabel")
EXT = frozenset({"ext4", "ext3", "ext2"})
WHILE_IN_USE = EXT
"""Types that can be given another label while they are mounted."""
LABELS = {"vfat": "-n"}
LONGEST_LABEL = {"ext4": 16, "ext3": 16, "ext2": 16, "xfs": 12, "vfat": 11}
"""Bytes. The makers of ext cut a longer label off and go on; the others fail when the old content is gone already."""
NOT_IN_VFAT = frozenset('*?.,;:/\\|+=<>[]"')
GROWING = ("ext2", "ext3", "ext4", "xfs")
"""Types that can be grown."""
UPPER = frozenset({"vfat", "exfat", "ntfs"})
"""Types whose UUIDs are read back in capitals."""
SHORT = 8
"""Digits of a number of vfat."""
SMALLEST = {"xfs": 300 * MIB}
READ_ONLY = ("exfat", "f2fs", "iso9660", "jfs", "nilfs2", "ntfs", "reiserfs", "squashfs", "udf")
"""Types that are recognised, but not made."""


class Filesystem(Layer, tag="filesystem"):
    """A filesystem on one device; one that was found may have its journal on another."""

    type: str
    label: str | None = None
    uuid: str | None = None
    arguments: How[tuple[str, ...]] = ()
    """Further arguments for the program that makes it."""
    fills: How[bool] = True
    """Whether it is to grow when its device has become larger; only ext and xfs can."""
    unused: Fact[int] = 0
    """Bytes of its device that it does not use."""
    used: Passing[bool] = False
    """Whether it has been mounted before, to be written to; only ext tells."""

    def __post_init__(self) -> None:
        """UUIDs are the same however they are written."""
        if self.uuid is not None:
            short = self.type == "vfat" and len(self.uuid) == SHORT
            uuid = f"{self.uuid[:4]}-{self.uuid[4:]}" if short else self.uuid
            msgspec.structs.force_setattr(self, "uuid", uuid.upper() if self.type in UPPER else uuid.lower())

    def unfit(self, below: Sequence[Layer]) -> str:
        """It is on one device."""
        return "" if len(below) == 1 else "such a filesystem is on one device: add one for each"

    def explains(self) -> frozenset[str]:
        """Its own signature."""
        return frozenset({self.type})

    def describe(self) -> str:
        """Type and label."""
        return f"{self.type} {self.label!r}" if self.label else self.type

    def found_at(self) -> str:
        """By its UUID."""
        return f"/dev/disk/by-uuid/{self.uuid}" if self.uuid else ""

    def mismatches(  # pyright: ignore[reportIncompatibleMethodOverride] - only layers of one kind are compared
        self, there: Self
    ) -> tuple[Mismatch, ...]:
        """It is to use all of its device, unless it need not."""
        found = tuple(each for each in super().mismatches(there) if each.field != "label" or self.label or there.label)
        if self.fills and there.unused and there.type in GROWING:
            found = (*found, Mismatch(field="unused", there=human(there.unused), wanted="nothing"))
        return found

    def was_used(self) -> bool:
        """Some count how often they were mounted."""
        return self.used

    def grown(self, graph: DeviceGraph) -> Sequence[Step]:
        """Some can be grown."""
        if not self.fills or self.type not in GROWING:
            return ()
        return (Grow(target=Node(layer=graph.devices(self)[0].id), type=self.type),)


@implements(hooks.backend)
def backend() -> Backend:
    """Own filesystems on one device, and journals beside it."""
    return Backend(
        kinds=[Filesystem, Journal],
        tools=[*(command[0] for command in MAKERS.values()), *LABELLERS],
        disko_types=["filesystem"],
    )


@for_kind(hooks.nixos_options, Filesystem)
def only_a_filesystem(layer: Filesystem, graph: DeviceGraph) -> Mapping[str, object]:
    """Say nothing: where it is mounted says it all."""
    del layer, graph
    return {}


@implements(hooks.probe)
def probe(reader: Reader) -> Iterable[Found]:
    """Find the filesystems libblkid sees."""
    seen = survey(reader)
    for node, signature in seen.with_signature(*MAKERS, *READ_ONLY):
        filesystem = Filesystem(
            type=signature.type,
            label=signature.label or None,
            uuid=signature.uuid or None,
            unused=unused(reader, node.number, signature.type, seen.device(node).size),
            used=signature.type in EXT and was_mounted(first_bytes(reader, node.number)),
            state=State.ACTIVE,
        )
        yield Found(filesystem, on=[node.number, *journals_of(signature, seen)])


@implements(hooks.disguise)
def superblock(pieces: Pieces, other: Callable[[str], str]) -> Mapping[int, bytes]:
    """Show how large a filesystem is, and nothing else of it."""
    del other
    return only_the_size(pieces.at(0, LENGTH))


@for_kind(hooks.format, Filesystem)
def make(layer: Filesystem, graph: DeviceGraph) -> Sequence[Action]:
    """Run the maker on a device that was just proven blank."""
    device = graph.devices(layer)[0]
    label = (LABELS.get(layer.type, "-L"), layer.label) if layer.label else ()
    uuid = _uuid_arguments(layer)
    maker = MAKERS.get(layer.type, (f"mkfs.{layer.type}",))  # one that is not ours is objected to
    further = harmless(layer.arguments, OPTIONS[layer.type]) if layer.type in OPTIONS else ()
    argv = (*maker, *label, *uuid, Node(layer=device.id), *further)  # what it is made on is the first that is no option
    steps = (RequireFree(target=Node(layer=device.id)), RequireBlank(target=Node(layer=device.id)), Run(argv=argv))
    named = f" labelled {layer.label}" if layer.label else ""
    spare = ", a spare that is mounted nowhere" if _is_spare(device, layer, graph) else ""
    return [
        Action(
            verb=Verb.FORMAT,
            target=layer.id,
            summary=f"make {layer.type}{named} on {graph.called(device)}{spare}",
            steps=steps,
        )
    ]


def _is_spare(device: Layer, layer: Filesystem, graph: DeviceGraph) -> bool:
    """Whether it is to start from, should the disk fail whose like is mounted."""
    return isinstance(device, Partition) and device.type == ESP and not graph.standing_on(layer.id)


FORCING = {"ext4": "-F", "ext3": "-F", "ext2": "-F", "xfs": "-f"}
"""Arguments that override what was found on a device: there is nothing on it by then."""


@for_type(hooks.from_disko, "filesystem")
def read_filesystem(content: Fragment, on: Sequence[Handle]) -> None:
    """Read a filesystem; label and UUID may be among the arguments, as Disko has them, or have keys of their own."""
    type_ = content.text("format", needed=True)
    arguments = [each for each in content.texts("extraArgs") or () if each != FORCING.get(type_ or "")]
    label, uuid = content.text("label"), content.text("uuid")
    for each in arguments:
        if each.startswith("-") and " " in each:
            content.note(f"{each!r} is one argument with a blank in it; write two", "extraArgs")
    if type_ is None:
        handle = content.spoilt(on)
    else:
        label = _taken(arguments, LABELS.get(type_, "-L")) or label
        uuid = _taken(arguments, "-i" if type_ == "vfat" else "-U") or uuid
        wrong = list(faults(arguments, OPTIONS[type_])) if type_ in OPTIONS else []
        for each in wrong:
            content.note(each, "extraArgs")
        filesystem = Filesystem(type=type_, label=label, uuid=uuid, arguments=() if wrong else tuple(arguments))
        handle = content.put(on, filesystem)
    content.share("mountpoint", handle)
    content.share("swapfiles", handle)


def _taken(arguments: list[str], option: str) -> str | None:
    """Take an option with its value out of arguments."""
    if option not in arguments[:-1]:
        return None
    position = arguments.index(option)
    value = arguments[position + 1]
    del arguments[position : position + 2]
    return value


@for_kind(hooks.to_disko, Filesystem)
def write_filesystem(layer: Filesystem, sheet: Sheet) -> Mapping[str, object]:
    """Write a filesystem as Disko reads it: what has no key there is an argument of the maker."""
    label = (LABELS.get(layer.type, "-L"), layer.label) if layer.label else ()
    uuid: tuple[str, ...] = ("-U", layer.uuid) if layer.uuid else ()
    own: dict[str, object] = {}
    if layer.type == "vfat" and layer.uuid:
        uuid = ("-i", layer.uuid.replace("-", ""))
    elif layer.type == "xfs" and layer.uuid:
        uuid, own = (), {"uuid": layer.uuid}
    arguments = [*label, *uuid, *layer.arguments]
    extra = {"extraArgs": arguments} if arguments else {}
    return {"type": "filesystem", "format": layer.type, **extra, **own, **sheet.uses(layer)}


def _uuid_arguments(layer: Filesystem) -> tuple[str, ...]:
    if layer.uuid is None:
        return ()
    match layer.type:
        case "xfs":
            return ("-m", f"uuid={layer.uuid}")
        case "vfat":
            return ("-i", layer.uuid.replace("-", ""))
        case _:
            return ("-U", layer.uuid)


@implements(hooks.objections)
def object_to(plan: Plan) -> Iterable[Objection]:
    """Object to what is to be made and cannot be, or not so, while everything is still there."""
    if plan.is_harmless:
        return  # what it would be made with is nothing to what is used as it is
    graph = plan.wanted.graph
    for layer in graph.of(Filesystem):
        for fault in faults(layer.arguments, OPTIONS[layer.type]) if layer.type in OPTIONS else ():
            yield Objection(subject=layer.id, text=f"{layer.title}: {fault}.", remedy=REMEDY)
        verdict = plan.reasons.get(layer.id)
        if verdict is None or not (verdict.fate.makes or _labelled_anew(layer, plan)):
            continue
        if layer.type not in MAKERS:
            yield Objection(
                subject=layer.id,
                text=f"{layer.title}: {layer.type} is {NOT_MADE.get(layer.type, 'not made here')}.",
                remedy=INSTEAD.get(layer.type, f"Choose one of {', '.join(MAKERS)}, or the type btrfs."),
            )
            continue
        for fault in _label_faults(layer):
            yield Objection(
                subject=layer.id, text=f"The label {layer.label!r} {fault}.", remedy="Choose another, or none."
            )
        if verdict.fate.stays:
            yield from _in_use(layer, plan.before)
            continue
        space = min((size for each in graph.devices(layer) if (size := graph.space(each))), default=None)
        least = SMALLEST.get(layer.type, 0)
        if space is not None and space < least:
            text = f"{layer.type} needs {human(least)}, and {graph.called(graph.devices(layer)[0])} has {human(space)}."
            yield Objection(subject=layer.id, text=text, remedy="Make it larger, or choose another type.")


def _in_use(layer: Filesystem, before: DeviceGraph) -> Iterator[Objection]:
    """Object to another label for what cannot be given one now."""
    uses = [before[each] for each in before.standing_on(layer.id) if before[each].ephemeral]
    if uses and layer.type not in WHILE_IN_USE:
        text = f"{layer.type} can be given another label only while nobody uses it, and there is a {uses[0].title}."
        yield Objection(subject=layer.id, text=text, remedy="End that first, or want the label it has.")


def _labelled_anew(layer: Filesystem, plan: Plan) -> bool:
    """Whether it stays, and is to have another label than it has."""
    there = plan.before.get(layer.id)
    changes = layer.mismatches(there) if isinstance(there, Filesystem) else ()
    return any(each.field == "label" for each in changes)


def _label_faults(layer: Filesystem) -> Iterator[str]:
    """Say why a label would not read back as it was asked for."""
    label = layer.label
    if label is None:
        return
    longest = LONGEST_LABEL[layer.type]
    if len(label.encode("utf-8", "surrogatepass")) > longest:
        yield f"is longer than the {longest} bytes {layer.type} has for it"
    if label != label.strip() or not label:
        yield "begins or ends with a blank, or is empty"
    if not label.isprintable() or (layer.type == "vfat" and (not label.isascii() or NOT_IN_VFAT & set(label))):
        yield f"has characters that {layer.type} does not take"


@for_kind(hooks.teardown, Filesystem)
def remove(layer: Filesystem, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends of the device, and read them back."""
    return cleared(layer, graph, layer.describe())


@for_kind(hooks.modify, Filesystem)
def change(old: Filesystem, new: Filesystem, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Change the label or the size in place, if that is all; anything else takes another filesystem."""
    del before
    differing = {each.field: each for each in new.mismatches(old)}
    device = after.devices(new)[0]
    labels = _labelling(old.type, new.label or "", Node(layer=device.id)) if "label" in differing else ()
    grows = new.grown(after) if "unused" in differing else ()
    can = {"label": labels, "unused": grows}
    if not differing or any(not can.get(field) for field in differing):
        return Replace(why="; ".join(str(each) for each in differing.values()))
    said = [f"label the {old.type} on {after.called(device)} {new.label}"] if labels else []
    said += [f"grow the {old.type} on {after.called(device)} to all of it"] if grows else []
    return [Action(verb=Verb.MODIFY, target=new.id, summary="; ".join(said), steps=(*labels, *grows))]


def _labelling(type_: str, label: str, node: Node) -> tuple[Step, ...]:
    """Change a label while everything else stays; nothing for a type whose label cannot be changed."""
    match type_:
        case "ext4" | "ext3" | "ext2":
            return (Run(argv=("tune2fs", "-L", label, node)),)  # these may be mounted
        case "xfs":
            return RequireFree(target=node), Run(argv=("xfs_admin", "-L", label, node))
        case "vfat":
            return RequireFree(target=node), Run(argv=("fatlabel", node, label))
        case _:
            return ()


__all__ = ["Filesystem", "Journal", "backend", "find_journals", "remove_journal"]
