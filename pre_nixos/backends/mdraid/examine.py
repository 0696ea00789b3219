"""Superblocks of md, as `mdadm --examine` prints them for several devices at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.backends.mdraid.geometry import Level
from pre_nixos.plugin import Data

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_DEVICE = re.compile(r"(/dev/\S.*):")
_FIELD = re.compile(r"\s*(\S[^:]*?) : (.*)")
_ROLE = re.compile(r"Active device (\d+)")


class Superblock(Data):
    """What one member says of its array."""

    device: str
    """The path it was asked for by."""
    uuid: str
    version: str
    name: str
    """Without the host it was made for; metadata 0.90 has none, and the UUID takes its place."""
    level: Level
    raid_devices: int
    events: int
    role: int | None = None
    """Its slot; None for a spare, or where the metadata does not say it in words."""
    map: str = ""
    """The state of every slot: `A` is there, `.` is missing, `R` is being replaced; empty for metadata 0.90."""
    chunk: int | None = None
    recovering: bool = False

    def stands_in(self, freshest: Superblock) -> bool:
        """Whether the array, as its freshest member remembers it, still has this one.

        A member that failed and was removed keeps its superblock, which grows old: the array goes on counting events,
        and its slot is marked as missing or goes to another. The kernel tolerates one event missed.
        """
        if self.events + 1 < freshest.events:
            return False
        return self.role is None or not freshest.map[self.role :].startswith(".")


def bare_name(said: str) -> str:
    """Take the host off the name of an array; what follows its colon may have more of them."""
    _, colon, name = said.partition(":")
    return name if colon and name else said


def read_superblocks(printed: str) -> Sequence[Superblock]:
    """Read all that `mdadm --examine` printed; devices without a superblock of md's own are left out."""
    blocks: list[tuple[str, dict[str, str]]] = []
    for line in printed.splitlines():
        starts, field = _DEVICE.fullmatch(line), _FIELD.fullmatch(line)
        if starts is not None:
            blocks.append((starts[1], {}))
        elif field is not None and blocks:
            blocks[-1][1].setdefault(field[1], field[2].strip())
    found = [_superblock(device, fields) for device, fields in blocks]
    return [each for each in found if each is not None]


def _superblock(device: str, fields: Mapping[str, str]) -> Superblock | None:
    uuid = fields.get("Array UUID") or fields.get("UUID", "")
    if not uuid or "Events" not in fields:
        return None
    uuid = uuid.split()[0]
    try:
        level = Level.of(fields.get("Raid Level", ""))
    except ValueError:
        return None
    role = _ROLE.match(fields.get("Device Role", ""))
    # `lab:main  (local to host lab)`
    name = fields.get("Name", "").split("  (local to")[0]
    return Superblock(
        device=device,
        uuid=uuid,
        version=".".join(fields.get("Version", "").split(".")[:2]),
        name=bare_name(name) or uuid,
        level=level,
        raid_devices=_number(fields.get("Raid Devices")),
        events=_number(fields.get("Events")),
        role=int(role[1]) if role else None,
        map=fields.get("Array State", "").split(" ")[0],
        chunk=_chunk(fields.get("Chunk Size")) if level.is_striped else None,
        recovering="Recovery Offset" in fields,
    )


def members(blocks: Iterable[Superblock]) -> Sequence[Superblock]:
    """Keep, of all superblocks of one array, those of devices that are still in it; the freshest comes first."""
    ordered = sorted(blocks, key=lambda each: (-each.events, each.role is None, each.role or 0, each.device))
    return [each for each in ordered if each.stands_in(ordered[0])]


def _number(text: str | None) -> int:
    digits = re.match(r"\d+", text or "")
    return int(digits[0]) if digits else 0


def _chunk(text: str | None) -> int | None:
    found = re.match(r"(\d+)([KMG]?)", text or "")
    return int(found[1]) * {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}[found[2]] if found else None
