"""Taking out of a recording what tells one machine from another, so that it can be shown to others.

Serial numbers, world wide names, UUIDs and host names become others of the same shape, the same one everywhere it
occurs. Names people gave to volumes and labels stay, and so do models. Of bytes read from a device those stay, or
become others, that somebody knows who is asked; all the rest becomes zeros.
"""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING, Any, cast

import msgspec

from pre_nixos.host.likeness import Likenesses
from pre_nixos.host.pieces import generations
from pre_nixos.host.questions import Bytes, ReadAt
from pre_nixos.host.record import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import TypeAlias

    from pre_nixos.host.pieces import Pieces

    Show: TypeAlias = Callable[[Pieces, Callable[[str], str]], Iterable[Mapping[int, bytes]]]
    """Given all that was read of one device, and what makes pseudonyms: says what others may see of it, by offset."""

SHORTEST = 5
"""A shorter identifier is replaced only where it stands alone: `0` as a serial number must not change every zero."""

_TELLING = re.compile(
    r"(SERIAL(_SHORT)?|WWID|WWN|WWN_\w+|NGUID|EUI|(?<!dm.)UUID(_SUB)?(_ENC)?)$",
    re.IGNORECASE,
)
"""Names of sysfs attributes, udev properties and fields whose value identifies one thing.

Not device-mapper's UUIDs: only a part of them does."""
_PREFIX = re.compile(r"^(naa\.|eui\.|uuid\.|0x)", re.IGNORECASE)
_HOSTS = (
    re.compile(r"\(local to host ([^)\s]+)\)"),
    re.compile(r"MD_NAME=([^:\s]+):"),
    re.compile(r"\bName : ([^:\s]+):"),
    re.compile(r"\bname=([^:\s]+):\S"),
)
_HOST_FILES = ("/etc/hostname", "/proc/sys/kernel/hostname")

_SHAPES = (
    r"(?<![0-9A-Za-z])LVM-[0-9A-Za-z]{64}",
    r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f])",
    r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}(?::[0-9A-Fa-f]{8}){3}(?![0-9A-Fa-f])",
    r"(?<![0-9A-Za-z])[0-9A-Za-z]{6}(?:-[0-9A-Za-z]{4}){5}-[0-9A-Za-z]{6}(?![0-9A-Za-z])",
    r"(?<![0-9A-Za-z])[0-9A-Fa-f]{32}(?![0-9A-Za-z])",
)
"""What is recognised wherever it stands: device-mapper's UUIDs of LVM, UUIDs, md's, LVM's, and UUIDs without dashes."""
_SHAPED = re.compile("|".join(_SHAPES))

PUBLIC = frozenset(
    """
    00000000-0000-0000-0000-000000000000 ffffffff-ffff-ffff-ffff-ffffffffffff
    c12a7328-f81f-11d2-ba4b-00a0c93ec93b 21686148-6449-6e6f-744e-656564454649 0fc63daf-8483-4772-8e79-3d69d8477de4
    0657fd6d-a4ab-43c4-84e5-0933c84b4f4f e6d6d379-f507-44c2-a23c-238f2a3df928 a19d880f-05fc-4d3b-a006-743f0f84911e
    933ac7e1-2eb4-4f13-b844-0e14e2aef915 4f68bce3-e8cd-4db1-96e7-fbcaf984b709 44479540-f297-41b2-9af7-d131d5f0458a
    b921b045-1df0-41c3-af44-4c6f280d3fae 3b8f8425-20e0-4f3b-907f-1a25a76f98e8 4d21b016-b534-45c2-a9fb-5c16e091fd2d
    7ec6f557-3bc5-4aca-b293-16ef5df639d1 bc13c2ff-59e6-4262-a352-b275fd6f7172 ca7d7ccb-63ed-4c53-861c-1742536059cc
    7ffec5c9-2d00-49b7-8941-3ea10a5586b7 ebd0a0a2-b9e5-4433-87c0-68b6b72699c7 e3c9e316-0b5c-4db8-817d-f92df00215ae
    de94bba4-06d1-4d40-a16a-bfd50179d6ac 6a898cc3-1dd2-11b2-99a6-080020736631 8da63339-0007-60c0-c436-083ac8230908
    """.split()  # noqa: SIM905 - a table of thirty strings with quotes is harder to read
)
"""UUIDs that say what a thing is, not which one: types of partitions."""


def pseudonymise(recording: Recording, key: bytes | None = None, show: Show | None = None) -> Recording:
    """Replace everything that identifies the machine, consistently; with a new key each time unless one is given.

    `show` says what of the bytes read from each device may be seen, in what disguise. Without it none are.
    """
    pseudonyms = Pseudonyms(recording, key or os.urandom(16))
    tree: Any = pseudonyms.tree(_without_bytes(recording))
    for index, data in _shown(recording, pseudonyms.text, show):
        # Not before the rest has been gone through: what bytes are written as is no text to look for names in.
        tree["pairs"][index]["answer"]["data"] = base64.b64encode(data).decode()
    return Recording.from_json(msgspec.json.encode(tree))


class Pseudonyms:
    """One set of pseudonyms, for everything in one recording that identifies."""

    def __init__(self, recording: Recording, key: bytes) -> None:
        """Find what identifies; a key gives the same pseudonyms again."""
        tree = _without_bytes(recording)
        self._kept = PUBLIC | {value.lower() for name, value in _strings(tree) if name.endswith("PART_ENTRY_TYPE")}
        identifiers = {
            _PREFIX.sub("", value.strip()).lower() for name, value in _strings(tree) if _TELLING.search(name)
        }
        identifiers = {value for value in identifiers if len(value) >= SHORTEST and not _SHAPED.search(value)}
        # One that contains another is changed by changing the other: a model with a serial number, a SCSI identifier.
        names = {value: value for value in identifiers if not _contains_other(value, identifiers)}
        # NVMe spells the serial number in hexadecimal where a namespace has no identifier of its own.
        names |= {value.encode().hex(): value for value in names}
        names |= {value.upper().encode().hex(): value.upper() for value in names.copy() if value.upper() != value}
        self._spelled = names
        hosts = sorted({host for host in _hosts(tree) if host}, key=len, reverse=True)
        shapes = [*_SHAPES, *(re.escape(name) for name in sorted(names, key=len, reverse=True))]
        self._pattern = re.compile("|".join(shapes), re.IGNORECASE)
        self._hosts = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, hosts))})(?!\w)") if hosts else None
        # Once without changing anything: whatever is known beforehand keeps its order.
        self._likenesses: Likenesses | None = None
        self._found: list[str] = []
        self.tree(tree)
        self._likenesses = Likenesses(key, self._found)

    def tree(self, value: object, name: str = "") -> object:
        """Disguise everything below a decoded JSON value."""
        if isinstance(value, str):
            return self._lone(value) if _TELLING.search(name) else self.text(value)
        if isinstance(value, list):
            return [self.tree(item, name) for item in cast("list[object]", value)]
        if isinstance(value, dict):
            items = cast("dict[str, object]", value).items()
            return {self.text(key): self.tree(item, key) for key, item in items}
        return value

    def text(self, text: str) -> str:
        """Disguise what identifies within a text."""
        text = self._pattern.sub(self._other, text)
        return self._hosts.sub(self._other_host, text) if self._hosts else text

    def _lone(self, value: str) -> str:
        changed = self.text(value)
        short = 0 < len(value.strip()) < SHORTEST
        return self._like(value) if short and changed == value else changed

    def _other(self, match: re.Match[str]) -> str:
        found = match.group()
        if found.lower() in self._kept:
            return found
        spelled = self._spelled.get(found.lower())
        if spelled is not None and spelled.lower() != found.lower():
            return self._like(spelled).encode().hex()
        if found[:4].upper() == "LVM-":
            # The group's and the volume's UUID, each of which occurs with dashes elsewhere.
            return f"{found[:4]}{self._like(found[4:36])}{self._like(found[36:])}"
        return self._like(found)

    def _other_host(self, match: re.Match[str]) -> str:
        return self._like(match.group())

    def _like(self, original: str) -> str:
        if self._likenesses is None:
            self._found.append(original)
            return original
        return self._likenesses.of(original)


def _contains_other(value: str, identifiers: set[str]) -> bool:
    return any(
        other != value and (other in value or other.encode().hex() in value or other.upper().encode().hex() in value)
        for other in identifiers
    )


def _strings(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Give every string below a decoded JSON value, with the name it stands under."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _strings(item, name)
    elif isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            yield from _strings(item, key)


def _hosts(tree: object) -> Iterator[str]:
    for name, value in _strings(tree):
        if name == "MD_NAME" and ":" in value:
            yield value.partition(":")[0]
        for pattern in _HOSTS:
            yield from pattern.findall(value)
    for pair in cast("dict[str, list[dict[str, dict[str, str]]]]", tree)["pairs"]:
        if pair["question"].get("path") in _HOST_FILES:
            yield pair["answer"].get("content", "").strip()


def _without_bytes(recording: Recording) -> Any:  # noqa: ANN401 - decoded JSON
    """Write a recording down but for what was read from devices: in there, identifiers have forms of their own."""
    tree: Any = msgspec.json.decode(msgspec.json.encode(recording))
    for pair, written in zip(recording.pairs, tree["pairs"], strict=True):
        if isinstance(pair.question, ReadAt):
            written["answer"].pop("data", None)
    return tree


def _shown(
    recording: Recording, other: Callable[[str], str], show: Show | None
) -> Iterator[tuple[int, bytes | bytearray]]:
    """Give what is left of the bytes that were read, each with the place of its pair."""
    reads: dict[str, list[tuple[int, int, bytes]]] = {}
    for index, pair in enumerate(recording.pairs):
        answer = pair.decoded()
        if isinstance(pair.question, ReadAt) and isinstance(answer, Bytes) and answer.data:
            reads.setdefault(pair.question.number, []).append((index, pair.question.offset, answer.data))
    for each in reads.values():
        done = 0
        for pieces, count in generations((offset, data) for _, offset, data in each):
            left = _left(pieces, show(pieces, other) if show else ())
            for index, offset, data in each[done : done + count]:
                (start,) = pieces.touching(offset, len(data))
                yield index, left[start][offset - start : offset - start + len(data)]
            done += count


def _left(pieces: Pieces, answers: Iterable[Mapping[int, bytes]]) -> Mapping[int, bytearray]:
    """Put together what of some pieces may be seen: zeros where nobody knows, or where two say different things."""
    left = {start: bytearray(len(data)) for start, data in pieces.items()}
    said = {start: bytearray(len(data)) for start, data in pieces.items()}
    for offset, data in (item for each in answers for item in each.items()):
        for start in pieces.touching(offset, len(data)):
            first, last = max(start, offset) - start, min(start + len(left[start]), offset + len(data)) - start
            new = bytearray(data[first + start - offset : last + start - offset])
            if any(said[start][first:last]):
                pairs = zip(new, left[start][first:last], said[start][first:last], strict=True)
                new = bytearray(one if not there or one == two else 0 for one, two, there in pairs)
            left[start][first:last] = new
            said[start][first:last] = b"\1" * len(new)
    return left
