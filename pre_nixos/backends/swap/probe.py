"""Finding areas and what is in use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.backends.mounts import holding_file
from pre_nixos.backends.superblocks import unused
from pre_nixos.backends.swap.kinds import HIBERNATED, READY, Area, File, Use
from pre_nixos.plugin import Data, Exact, Found, Reader, ReadFile, ReadMounts, Ref, State, hooks, implements, survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HEADER = 4096
"""Bytes of a file that the kernel does not count."""
_ESCAPED = re.compile(r"\\([0-7]{3})")


@implements(hooks.probe)
def find(reader: Reader) -> Iterable[Found]:
    """Find areas by their signature, and what is in use by what the kernel says."""
    seen = survey(reader)
    for node, signature in seen.with_signature(READY, HIBERNATED):
        area = Area(
            label=signature.label or None,
            uuid=signature.uuid or None,
            hibernated=signature.type == HIBERNATED,
            unused=unused(reader, node.number, signature.type, seen.device(node).size),
            state=State.ACTIVE,
        )
        yield Found(area, on=[node.number])
    paths = reader.ask(ReadMounts()).swaps
    told: Mapping[str, _Told] = _told(reader) if paths else {}
    for path in paths:
        known = told.get(path, _Told())
        if not path.startswith("/dev/"):
            file = File(path=path, size=known.size, priority=known.priority, state=State.ACTIVE)
            yield Found(file, on=holding_file(path, reader))
            continue
        # Compressed memory is swap too, and none of our business: the survey leaves it out.
        used = seen.nodes.get(path.removeprefix("/dev/").replace("/", "!"))
        if used is not None:
            yield Found(Use(priority=known.priority, state=State.ACTIVE), on=[Ref(number=used.number, content=READY)])


class _Told(Data):
    """What the kernel says of what is in use; None where it says nothing."""

    size: Exact | None = None
    """As a file."""
    priority: int | None = None
    """Those below zero it gives out itself, to whatever comes next."""


def _told(reader: Reader) -> Mapping[str, _Told]:
    """Read /proc/swaps: name, type, KiB, KiB used, priority."""
    found: dict[str, _Told] = {}
    for line in (reader.ask(ReadFile(path="/proc/swaps")).content or "").splitlines()[1:]:
        words = line.split()
        if len(words) == 5 and words[2].isdecimal():
            path = _ESCAPED.sub(lambda escaped: chr(int(escaped[1], 8)), words[0])
            priority = int(words[4]) if words[4].isdecimal() else None
            found[path] = _Told(size=Exact(bytes=int(words[2]) * 1024 + HEADER), priority=priority)
    return found
