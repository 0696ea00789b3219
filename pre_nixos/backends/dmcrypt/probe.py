"""Finding encrypted devices: open ones by what the kernel says of them, closed ones by their headers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from pre_nixos.backends.devicemapper import SUSPENDED, TABLES, plain, suspended, tables_of
from pre_nixos.backends.dmcrypt.header import Header, read_header
from pre_nixos.backends.dmcrypt.kinds import SIGNATURE, Luks, Plain
from pre_nixos.backends.dmcrypt.table import InForce, in_force
from pre_nixos.backends.gpt import SCRATCH, type_of
from pre_nixos.plugin import MIB, Found, Health, State, Verdict, hooks, implements, survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pre_nixos.plugin import BlockNode, Reader, Signature, Survey

_SAID_BY_HEADER = ("cipher", "key_size", "sector_size", "pbkdf", "slots", "iterations", "memory", "threads")
_UUID = re.compile(r"CRYPT-(?P<type>LUKS[12]|PLAIN)-(?:(?P<uuid>[0-9a-f]{32})-)?.*", re.DOTALL)


class _Open(NamedTuple):
    """A mapping cryptsetup made, as sysfs shows it."""

    node: BlockNode
    type: str
    uuid: str
    """Without its dashes; empty for a plain mapping."""
    below: tuple[str, ...]
    """Numbers of the devices it stands on."""
    hidden: tuple[str, ...]
    in_force: InForce


@implements(hooks.probe)
def find(reader: Reader) -> Iterable[Found]:
    """Find open mappings by what the kernel says of them, and closed volumes by their headers."""
    seen = survey(reader)
    headers: dict[str, dict[str, Signature]] = {}
    for node, signature in seen.with_signature(SIGNATURE):
        headers.setdefault(signature.uuid.replace("-", ""), {})[node.number] = signature
    claimed: set[str] = set()
    for each in _opened(seen, reader):
        if each.type == "PLAIN":
            yield Found(_plain_mapping(each, seen), on=each.below)
            continue
        known = headers.get(each.uuid, {})
        # With a header on none of the devices it stands on, it was opened with one that lies elsewhere.
        own = [number for number in each.below if number in known] or list(known)
        claimed.update(own)
        header = known[own[0]] if own else None
        said = read_header(reader, own[0]) if own else Header()
        yield Found(_open_volume(each, header, said, seen), on=dict.fromkeys((*each.below, *own)))
    for known in headers.values():
        for number, signature in known.items():
            if number not in claimed:
                yield Found(_volume(signature, read_header(reader, number)), on=[number])
    yield from _forgotten(seen, reader)


def _forgotten(seen: Survey, reader: Reader) -> Iterator[Found]:
    """Find what was encrypted with a key that nobody kept, where the partition says so and nothing speaks against it.

    Anything that can be recognised in there does, and so does anything that stands on it.
    """
    for number, content in seen.contents.items():
        node = seen.by_number.get(number)
        noise = content.verdict is Verdict.DATA and not content.signatures
        if noise and node is not None and not node.holders and type_of(node, reader, seen) == SCRATCH:
            yield Found(Plain(state=State.INACTIVE), on=[number])


def _opened(seen: Survey, reader: Reader) -> Iterable[_Open]:
    mappings = [(node, found) for node in seen.nodes.values() if (found := _UUID.fullmatch(_dm_uuid(node)))]
    tables: Mapping[str, InForce] = {}
    if mappings:
        tables = {minor: in_force(lines) for minor, lines in tables_of(reader.ask(TABLES).stdout).items()}
    for node, found in mappings:
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
        said = tables.get(node.number.partition(":")[2], InForce())
        yield _Open(node, found["type"], uuid, tuple(below), tuple(hidden), said)


def _dm_uuid(node: BlockNode) -> str:
    return node.attributes.get("dm/uuid", "")


def _volume(signature: Signature, said: Header) -> Luks:
    return Luks(
        **_of_header(said),
        version=signature.version or None,
        label=signature.label or None,
        uuid=signature.uuid or None,
        state=State.INACTIVE,
    )


def _of_header(said: Header) -> dict[str, Any]:
    return {field: getattr(said, field) for field in _SAID_BY_HEADER}


def _open_volume(each: _Open, header: Signature | None, said: Header, seen: Survey) -> Luks:
    if not each.below:
        wrong = "what it stood on is gone"
    elif header is None:
        wrong = "its header is on no device here: if it is not kept in a file somewhere, nobody can open this again"
    else:
        wrong = SUSPENDED if suspended(each.node) else ""
    device = seen.device(each.node)
    # Devices below it that cryptsetup made for its own use take room of their own.
    below = [seen.device(seen.by_number[number]).size for number in each.below if number in seen.by_number]
    left = below[0] - said.start - device.size if said.start and len(below) == 1 and not each.hidden else 0
    return Luks(
        **_of_header(said),
        unused=left if left >= MIB else 0,
        mapper=plain(each.node.attributes["dm/name"]),
        allow_discards=each.in_force.allow_discards,
        bypass_workqueues=each.in_force.bypass_workqueues,
        version=each.type.removeprefix("LUKS"),
        label=(header.label if header else "") or None,
        uuid=_dashed(each.uuid),
        orphan=header is None,
        hidden=each.hidden,
        suspended=suspended(each.node),
        state=State.ACTIVE,
        device=device,
        health=Health.FAILED if wrong else Health.OK,
        remark=wrong,
    )


def _plain_mapping(each: _Open, seen: Survey) -> Plain:
    wrong = SUSPENDED if suspended(each.node) else "" if each.below else "what it stood on is gone"
    return Plain(
        mapper=plain(each.node.attributes["dm/name"]),
        cipher=each.in_force.cipher,
        key_size=each.in_force.key_size,
        allow_discards=each.in_force.allow_discards,
        suspended=suspended(each.node),
        state=State.ACTIVE,
        device=seen.device(each.node),
        health=Health.FAILED if wrong else Health.OK,
        remark=wrong,
    )


def _dashed(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
