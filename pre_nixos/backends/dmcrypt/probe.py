"""Finding encrypted devices: open ones by what the kernel says of them, closed ones by their headers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from pre_nixos.backends.devicemapper import SUSPENDED, plain, suspended
from pre_nixos.backends.dmcrypt.header import Header, read_header
from pre_nixos.backends.dmcrypt.kinds import SIGNATURE, Luks, Plain
from pre_nixos.plugin import MIB, Found, Health, State, hooks, implements, survey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pre_nixos.plugin import BlockNode, Reader, Signature, Survey

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


@implements(hooks.probe)
def find(reader: Reader) -> Iterable[Found]:
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
        said = read_header(reader, own[0]) if own else Header()
        yield Found(_open_volume(each, header, said, seen), on=dict.fromkeys((*each.below, *own)))
    for known in headers.values():
        for number, signature in known.items():
            if number not in claimed:
                yield Found(_volume(signature, read_header(reader, number)), on=[number])


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


def _volume(signature: Signature, said: Header) -> Luks:
    return Luks(
        **_of_header(said),
        version=signature.version or None,
        label=signature.label or None,
        uuid=signature.uuid or None,
        state=State.INACTIVE,
    )


def _of_header(said: Header) -> dict[str, Any]:
    return {field: getattr(said, field) for field in ("cipher", "key_size", "sector_size", "pbkdf", "slots")}


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
        suspended=suspended(each.node),
        state=State.ACTIVE,
        device=seen.device(each.node),
        health=Health.FAILED if wrong else Health.OK,
        remark=wrong,
    )


def _dashed(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
