"""Encrypted devices: LUKS volumes, open or closed, and plain dm-crypt mappings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Self

from pre_nixos.backends.devicemapper import SUSPENDED, mangled, plain, suspended
from pre_nixos.plugin import (
    MIB,
    TAIL,
    WINDOWS,
    Action,
    Await,
    Backend,
    Fact,
    Found,
    Health,
    Layer,
    Name,
    Node,
    Passing,
    Range,
    Replace,
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

    from pre_nixos.plugin import BlockNode, DeviceGraph, Mismatch, Reader, Signature, Survey

SIGNATURE = "crypto_LUKS"
HEADERS = Range(start=0, length=136 * MIB)
"""Both headers and every keyslot at the largest cryptsetup makes them: twice 4 MiB, and 128 MiB of keyslots."""
DATA_OFFSET = 16 * MIB
"""Where the data begins in a LUKS2 volume; LUKS1 keeps less for itself."""

_UUID = re.compile(r"CRYPT-(?P<type>LUKS[12]|PLAIN)-(?:(?P<uuid>[0-9a-f]{32})-)?.*", re.DOTALL)


class Luks(Layer, tag="luks"):
    """A LUKS volume, open or closed."""

    mapper: str | None = None
    """Its name below /dev/mapper while it is open."""
    version: str | None = None
    """`1` or `2`."""
    label: str | None = None
    uuid: str | None = None
    orphan: Fact[bool] = False
    """Whether it is open although its header is on no device here: gone, or kept in a file somewhere."""
    hidden: Passing[tuple[str, ...]] = ()
    """Numbers of devices cryptsetup put below it for its own use, and takes away with it."""
    suspended: Passing[bool] = False

    def describe(self) -> str:
        """Version, label and the name it is open under."""
        label = f" {self.label!r}" if self.label else ""
        opened = f", open as {self.mapper}" if self.mapper else ""
        return f"LUKS{self.version or ''}{label}{opened}"

    def explains(self) -> frozenset[str]:
        """Its header."""
        return frozenset() if self.orphan else frozenset({SIGNATURE})

    def inner(self) -> frozenset[str]:
        """The device that keeps the checksums of a volume with integrity."""
        return frozenset(self.hidden)

    def occupies(self) -> frozenset[str]:
        """The name it is open under."""
        return frozenset({f"mapper:{self.mapper}"} if self.mapper else ())

    def mark(self) -> Mapping[str, str]:
        """The name it is open under."""
        return {"dm/name": mangled(self.mapper)} if self.mapper else {"dm/uuid": "*"}

    def usable(self, below: Sequence[int]) -> int:
        """What the larger kind of header leaves."""
        return max(0, below[0] - DATA_OFFSET) if below else 0

    def mismatches(  # pyright: ignore[reportIncompatibleMethodOverride] - Self is the same class in both
        self, there: Self
    ) -> tuple[Mismatch, ...]:
        """A closed volume has no name yet, which is nothing against it."""
        return tuple(each for each in super().mismatches(there) if each.field != "mapper" or there.mapper is not None)


class Plain(Layer, tag="crypt-plain"):
    """A dm-crypt mapping without a header: closed, nothing tells it from random bytes."""

    mapper: Name[str]
    suspended: Passing[bool] = False

    def describe(self) -> str:
        """What it is; there is nothing more to say."""
        return "encrypted without a header"

    def occupies(self) -> frozenset[str]:
        """The name it is open under."""
        return frozenset({f"mapper:{self.mapper}"})

    def mark(self) -> Mapping[str, str]:
        """The name it is open under."""
        return {"dm/name": mangled(self.mapper)}

    def usable(self, below: Sequence[int]) -> int:
        """All of it."""
        return below[0] if below else 0


@implements(hooks.backend)
def backend() -> Backend:
    """Own LUKS volumes and plain mappings."""
    return Backend(kinds=[Luks, Plain], tools=["cryptsetup", "dmsetup"])


class _Open(NamedTuple):
    """A mapping cryptsetup made, as sysfs shows it."""

    node: BlockNode
    type: str
    uuid: str
    """Without its dashes; empty for a plain mapping."""
    below: tuple[str, ...]
    """Numbers of the devices it stands on."""
    hidden: tuple[str, ...]


@implements(hooks.probe)
def probe(reader: Reader) -> Iterable[Found]:
    """Find open mappings by what the kernel says of them, and closed volumes by their headers."""
    seen = survey(reader)
    headers: dict[str, dict[str, Signature]] = {}
    for node, signature in seen.with_signature(SIGNATURE):
        headers.setdefault(signature.uuid.replace("-", ""), {})[node.number] = signature
    claimed: set[str] = set()
    for each in _opened(seen):
        if each.type == "PLAIN":
            yield Found(_plain_mapping(each, seen), on=each.below)
            continue
        known = headers.get(each.uuid, {})
        # With a header on none of the devices it stands on, it was opened with one that lies elsewhere.
        own = [number for number in each.below if number in known] or list(known)
        claimed.update(own)
        header = known[own[0]] if own else None
        yield Found(_open_volume(each, header, seen), on=dict.fromkeys((*each.below, *own)))
    for known in headers.values():
        for number, signature in known.items():
            if number not in claimed:
                yield Found(_volume(signature), on=[number])


def _opened(seen: Survey) -> Iterable[_Open]:
    for node in seen.nodes.values():
        found = _UUID.fullmatch(node.attributes.get("dm/uuid", ""))
        if found is None:
            continue
        uuid = found["uuid"] or ""
        below: list[str] = []
        hidden: list[str] = []
        for name in node.slaves:
            slave = seen.nodes.get(name)
            if slave is None:
                continue
            if uuid and f"-{uuid}-" in slave.attributes.get("dm/uuid", ""):
                hidden.append(slave.number)
                below += [seen.nodes[each].number for each in slave.slaves if each in seen.nodes]
            else:
                below.append(slave.number)
        yield _Open(node, found["type"], uuid, tuple(below), tuple(hidden))


def _volume(signature: Signature) -> Luks:
    return Luks(
        version=signature.version or None,
        label=signature.label or None,
        uuid=signature.uuid or None,
        state=State.INACTIVE,
    )


def _open_volume(each: _Open, header: Signature | None, seen: Survey) -> Luks:
    if not each.below:
        wrong = "what it stood on is gone"
    elif header is None:
        wrong = "its header is on no device here: if it is not kept in a file somewhere, nobody can open this again"
    else:
        wrong = SUSPENDED if suspended(each.node) else ""
    return Luks(
        mapper=plain(each.node.attributes["dm/name"]),
        version=each.type.removeprefix("LUKS"),
        label=(header.label if header else "") or None,
        uuid=_dashed(each.uuid),
        orphan=header is None,
        hidden=each.hidden,
        suspended=suspended(each.node),
        state=State.ACTIVE,
        device=seen.device(each.node),
        health=Health.FAILED if wrong else Health.OK,
        remark=wrong,
    )


def _plain_mapping(each: _Open, seen: Survey) -> Plain:
    wrong = SUSPENDED if suspended(each.node) else "" if each.below else "what it stood on is gone"
    return Plain(
        mapper=plain(each.node.attributes["dm/name"]),
        suspended=suspended(each.node),
        state=State.ACTIVE,
        device=seen.device(each.node),
        health=Health.FAILED if wrong else Health.OK,
        remark=wrong,
    )


def _dashed(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


@for_kind(hooks.deactivate, Luks)
def close(layer: Luks, graph: DeviceGraph) -> Sequence[Action]:
    """Close it; its key leaves the kernel's memory."""
    return _close(layer, layer.mapper or "", graph)


@for_kind(hooks.deactivate, Plain)
def close_plain(layer: Plain, graph: DeviceGraph) -> Sequence[Action]:
    """Close it; its key leaves the kernel's memory."""
    return _close(layer, layer.mapper, graph)


def _close(layer: Luks | Plain, mapper: str, graph: DeviceGraph) -> Sequence[Action]:
    node = Node(layer=layer.id)
    below = ", ".join(graph.called(each) for each in graph.under(layer)) or "nothing"
    # One that stands still cannot be opened to see whether it is free; cryptsetup refuses if it is not.
    free = () if layer.suspended else (RequireFree(target=node),)
    steps = (*free, Run(argv=("cryptsetup", "close", "--", mapper)), Await(target=node, present=False))
    return [Action(verb=Verb.DEACTIVATE, target=layer.id, summary=f"close {mapper} on {below}", steps=steps)]


@for_kind(hooks.teardown, Luks)
def erase(layer: Luks, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both headers and every keyslot, also where a damaged header no longer says how far they reach."""
    return _cleared(layer, graph, (HEADERS, TAIL))


@for_kind(hooks.teardown, Plain)
def erase_plain(layer: Plain, graph: DeviceGraph) -> Sequence[Action]:
    """Clear both ends, so that what is left does not look like data that somebody may want."""
    return _cleared(layer, graph, WINDOWS)


def _cleared(layer: Luks | Plain, graph: DeviceGraph, ranges: tuple[Range, ...]) -> Sequence[Action]:
    devices = graph.devices(layer)
    nodes = [Node(layer=each.id) for each in devices]
    free = [RequireFree(target=node) for node in nodes]
    clear = [Zero(target=node, ranges=ranges) for node in nodes]
    summary = f"remove {layer.describe()} from {', '.join(graph.called(each) for each in devices)}"
    return [Action(verb=Verb.TEARDOWN, target=layer.id, summary=summary, steps=(*free, *clear), destroys=(layer.id,))]


@for_kind(hooks.modify, Luks)
def rename(old: Luks, new: Luks, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Give an open volume its name; nothing else can be changed in place yet."""
    del before, after
    mismatches = new.mismatches(old)
    if old.mapper is None or new.mapper is None or [each.field for each in mismatches] != ["mapper"]:
        return Replace(why="; ".join(str(each) for each in mismatches))
    steps = (Run(argv=("dmsetup", "rename", "--", old.mapper, new.mapper)), Await(target=Node(layer=new.id)))
    return [Action(verb=Verb.MODIFY, target=new.id, summary=f"rename {old.mapper} to {new.mapper}", steps=steps)]
