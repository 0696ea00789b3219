"""Device-mapper devices that no other plugin knows: raw tables, multipath, what somebody's script once set up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.plugin import (
    WINDOWS,
    Action,
    Await,
    Backend,
    Command,
    Fact,
    Found,
    Health,
    Layer,
    Name,
    Node,
    Objection,
    Passing,
    RequireFree,
    Run,
    State,
    Verb,
    Zero,
    for_kind,
    hooks,
    implements,
    survey,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pre_nixos.plugin import BlockNode, DeviceGraph, Plan, Reader

KNOWN = ("LVM-", "CRYPT-")
"""How the UUIDs begin of devices whose own plugins say what they are: no need to ask for their tables."""
SUSPENDED = "suspended: whatever reads or writes it waits until it is resumed"

_PLAIN = re.compile(r"[A-Za-z0-9#+.:=@_-]")
_MANGLED = re.compile(rb"\\x([0-9a-fA-F]{2})")
_FIELD = re.compile(r"(?<!\\),")
_DEVICE = re.compile(r"(?<!\\);")

TABLES = Command(argv=("dmsetup", "table", "--concise"))
"""Asks for the tables of all devices at once; keys are shown as zeros."""


def mangled(name: str) -> str:
    r"""Write a device-mapper name as the kernel is given it, and as sysfs shows it: `a b` is `a\x20b`."""
    letters = (chr(byte) for byte in name.encode())
    return "".join(each if _PLAIN.match(each) else f"\\x{ord(each):02x}" for each in letters)


def plain(name: str) -> str:
    """Read a device-mapper name out of sysfs as people write it."""
    return _MANGLED.sub(lambda found: bytes([int(found[1], 16)]), name.encode()).decode("utf-8", "replace")


def suspended(node: BlockNode) -> bool:
    """Whether the device stands still, so that it must not be opened."""
    return node.attributes.get("dm/suspended") == "1"


class Mapped(Layer, tag="dm"):
    """A device-mapper device of which nothing is known but its table."""

    name: Name[str]
    target: Fact[str] = ""
    """What its table is made of: `linear`, `multipath`, `linear+striped`."""
    uuid: Fact[str] = ""
    suspended: Passing[bool] = False

    def describe(self) -> str:
        """What its table is made of."""
        return f"device-mapper {self.target or 'device'}"

    def occupies(self) -> frozenset[str]:
        """Its name."""
        return frozenset({f"mapper:{self.name}"})

    def mark(self) -> Mapping[str, str]:
        """Its name, as the kernel has it."""
        return {"dm/name": mangled(self.name)}


@implements(hooks.backend)
def backend() -> Backend:
    """Own what nobody else owns."""
    return Backend(kinds=[Mapped], tools=["dmsetup"])


@implements(hooks.probe)
def probe(reader: Reader) -> Iterable[Found]:
    """Find every device-mapper device; it counts where no other plugin found it."""
    seen = survey(reader)
    nodes = [node for node in seen.nodes.values() if "dm/name" in node.attributes]
    strangers = [node for node in nodes if not node.attributes.get("dm/uuid", "").startswith(KNOWN)]
    targets = targets_of(reader.ask(TABLES).stdout if strangers else "")
    for node in nodes:
        stands_still = suspended(node)
        layer = Mapped(
            name=plain(node.attributes["dm/name"]),
            target=targets.get(node.number.partition(":")[2], ""),
            uuid=plain(node.attributes.get("dm/uuid", "")),
            suspended=stands_still,
            state=State.ACTIVE,
            device=seen.device(node),
            health=Health.FAILED if stands_still else Health.OK,
            remark=SUSPENDED if stands_still else "",
        )
        below = [seen.nodes[name].number for name in node.slaves if name in seen.nodes]
        yield Found(layer, on=below, fallback=True)


def tables_of(printed: str) -> Mapping[str, Sequence[Sequence[str]]]:
    """Read what `dmsetup table --concise` prints: the lines of each device's table in words, by its minor number."""
    found: dict[str, Sequence[Sequence[str]]] = {}
    for device in _DEVICE.split(printed.strip()):
        fields = _FIELD.split(device)
        if len(fields) > 4:  # name, UUID, minor, flags, and a line of the table in each of the others
            found[fields[2]] = [line.split() for line in fields[4:]]
    return found


def targets_of(printed: str) -> Mapping[str, str]:
    """Say of what kinds of targets each device's table is made, by its minor number."""
    tables = tables_of(printed).items()
    return {minor: "+".join(dict.fromkeys(line[2] for line in lines if len(line) > 2)) for minor, lines in tables}


@for_kind(hooks.deactivate, Mapped)
def unmap(layer: Mapped, graph: DeviceGraph) -> Sequence[Action]:
    """Take the device out of the kernel; what it showed of the devices below stays there."""
    node = Node(layer=layer.id)
    # One that stands still cannot be opened to see whether it is free; dmsetup refuses if it is not.
    free = () if layer.suspended else (RequireFree(target=node),)
    steps = (
        *free,
        Run(argv=("dmsetup", "remove", "--retry", "--", layer.name)),
        Await(target=node, present=False),
    )
    summary = f"unmap {layer.name} from {_below(layer, graph)}"
    return [Action(verb=Verb.DEACTIVATE, target=layer.id, summary=summary, steps=steps)]


@for_kind(hooks.teardown, Mapped)
def clear(layer: Mapped, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends of the devices below: nobody knows which parts of them it showed."""
    nodes = [Node(layer=each.id) for each in graph.devices(layer)]
    free = [RequireFree(target=node) for node in nodes]
    zero = [Zero(target=node, ranges=WINDOWS) for node in nodes]
    summary = f"clear what {layer.name} showed of {_below(layer, graph)}"
    return [
        Action(verb=Verb.TEARDOWN, target=layer.id, summary=summary, steps=(*free, *zero), destroys=(layer.id,)),
    ]


def _below(layer: Mapped, graph: DeviceGraph) -> str:
    return ", ".join(graph.called(each) for each in graph.under(layer)) or "nothing"


@implements(hooks.objections)
def objections(plan: Plan) -> Iterable[Objection]:
    """Lose nothing that was to stay for the sake of a table somebody set up over it."""
    there, wanted = plan.before, plan.wanted.graph
    for mapped in there.of(Mapped):
        beside = {each for support in there.on(mapped.id) for each in there.standing_on(support)}
        for id_ in sorted(beside & plan.reasons.keys()):
            other, wish = there[id_], wanted.get(id_)
            if wish is not None and plan.reasons[id_].fate.removes and not _differs(wish, other):
                yield Objection(
                    subject=mapped.id,
                    text=f"{mapped.title} shares a device with {other.title}, which was to stay.",
                    remedy=f"Remove it first: dmsetup remove {mapped.name!r}.",
                )


def _differs(wish: Layer, there: Layer) -> bool:
    return type(wish) is not type(there) or bool(wish.mismatches(there))
