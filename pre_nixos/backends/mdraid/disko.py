"""Arrays in layouts: members of type `mdraid`, and what they make in the section `mdadm`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mdraid.geometry import KIB, OFFSET, SMALL_OFFSET, Level, data_offset, said_offset
from pre_nixos.backends.mdraid.kinds import DEFAULT_METADATA, Array
from pre_nixos.plugin import for_kind, for_type, hooks, parse_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.plugin import Fragment, Handle, Sheet

SECTION, MEMBER = "mdadm", "mdraid"
METADATA = {"default": None, "1": "1.2"}
"""What Disko says that is another way to say something."""
OURS = frozenset({said_offset(OFFSET), said_offset(SMALL_OFFSET)})
"""Arguments of Disko's that say what is done here in any case."""
OFFSET_IS_SAID = frozenset({None, "1.1", "1.2"})


@for_type(hooks.from_disko, MEMBER)
def read_member(content: Fragment, on: Sequence[Handle]) -> None:
    """Read which array a device is a member of."""
    name = content.text("name", needed=True)
    if name is not None:
        content.join(SECTION, name, on)


@for_type(hooks.from_disko, SECTION)
def read_array(entry: Fragment, on: Sequence[Handle]) -> None:
    """Read an array, which stands on the members that name it."""
    name, spares = entry.name, entry.number("spares")
    metadata = entry.text("metadata")
    chunk = _chunk(entry)
    extra = [each for each in entry.words("extraArgs") if each not in OURS]
    if extra:
        entry.note(
            f"{' '.join(extra)}: mdadm is given no arguments unseen; there are keys chunk and spares", "extraArgs"
        )
    if spares is not None and spares < 0:
        entry.note(f"there cannot be {spares} of them; write 0, or leave it out", "spares")
        spares = None
    level = _level(entry)
    count = max(0, len(entry.members) - (spares or 0))
    if not entry.members:
        handle = entry.fault(f'nothing in the layout is a member of it: no content has type "{MEMBER}" and this name')
    elif level is not None and count < level.fewest:
        beside = " beside its spares" if spares else ""
        members = ", ".join(entry.members)
        handle = entry.fault(f"{level} needs {level.fewest} members{beside}, and there are {count}: {members}", on=on)
    elif level is None:
        handle = entry.spoilt(on)
    else:
        handle = entry.add(
            on,
            Array,
            name=name,
            level=level,
            metadata=METADATA.get(metadata, metadata) if metadata else None,
            chunk=chunk,
            spares=spares or None,
        )
    entry.content(handle)


def _level(entry: Fragment) -> Level | None:
    said = entry.value("level")
    try:
        return Level.of("1" if said is None else str(said))
    except ValueError as error:
        entry.note(str(error), "level")
        return None


def _chunk(entry: Fragment) -> int | None:
    said = entry.value("chunk")
    if said is None:
        return None
    try:
        return said * KIB if isinstance(said, int) else parse_bytes(str(said))
    except ValueError as error:
        entry.note(str(error), "chunk")
        return None


@for_kind(hooks.to_disko, Array)
def write_array(layer: Array, sheet: Sheet) -> Mapping[str, object]:
    """Write what each member says, and the array once."""
    number = str(layer.level).removeprefix("raid")
    table: dict[str, object] = {"type": SECTION, "level": int(number) if number.isdecimal() else number}
    if layer.metadata is not None:
        table["metadata"] = layer.metadata
    if layer.chunk is not None:
        table["chunk"] = f"{layer.chunk // KIB}K"
    if layer.spares:
        table["spares"] = layer.spares
    smallest = min((sheet.graph.space(each) for each in sheet.graph.devices(layer)), default=0)
    if smallest and layer.metadata in OFFSET_IS_SAID:
        # mdadm's own choice may be a hundred mebibytes more, and what is to stand on the array would not fit.
        table["extraArgs"] = [said_offset(data_offset(smallest, layer.metadata or DEFAULT_METADATA))]
    sheet.entry(SECTION, layer.name, table | sheet.content(layer))
    return {"type": MEMBER, "name": layer.name}
