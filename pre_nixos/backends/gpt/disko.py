"""Partition tables in layouts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pre_nixos.backends.gpt import types
from pre_nixos.backends.gpt.amounts import amount, said
from pre_nixos.backends.gpt.kinds import Partition, Table
from pre_nixos.backends.gpt.places import FIRST, LABEL_UNITS, faults_of
from pre_nixos.plugin import Exact, Rest, Share, Size, exact_bytes, for_kind, for_type, hooks, human

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.plugin import Fragment, Handle, Sheet

WHOLE, BOOT = "100%", "bios-boot"
NO_HYBRID = "hybrid MBRs are not made: no two programs agree on what they mean"
RESERVED = range(3, 48)
"""Attributes that have to be zero."""


class Slot:
    """One partition while a table is being read."""

    def __init__(self, fragment: Fragment, *, label: str | None) -> None:
        """Begin; what is not said is left to whoever reads it, and to the arrangement."""
        self.fragment = fragment
        self.label = label
        self.sound = True
        self.type = ""
        self.uuid: str | None = None
        self.attributes: int | None = None
        self.wanted_number: int | None = None
        self.number = 0
        self.whole = False
        self.share: Share | None = None
        self.start: int | None = None
        self.end: int | None = None
        """Where it ends, counted from the start of the disk."""
        self.left: int | None = None
        """What is to be left between its end and that of the disk."""
        self.length: int | None = None

    def wrong(self, text: str, key: str = "") -> None:
        """Note what is wrong with it, so that it is not made."""
        self.sound = False
        self.fragment.note(text, key)

    def partition(self, size: Size, holder: str) -> Partition | None:
        """Give the partition, or note why there can be none."""
        label = _label(self.label, f"{holder}-{self.fragment.name}")
        made = Partition(
            number=self.number,
            size=size,
            type=self.type,
            label=label,
            uuid=self.uuid,
            attributes=self.attributes,
            start=self.start,
        )
        faults = list(faults_of(made))
        for fault in faults:
            self.wrong(fault)
        return made if self.sound else None


class _Named(Slot):
    """One partition of a table that has them by name."""

    def __init__(self, fragment: Fragment) -> None:
        super().__init__(fragment, label=fragment.text("label"))
        self.type = fragment.text("type") or _usual_type(fragment.child("content"))
        self.uuid = fragment.text("uuid")
        self.wanted_number = fragment.number("number")
        self.attributes = self._attributes()
        fragment.refuse("hybrid", NO_HYBRID)
        if fragment.number("alignment") not in {None, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048}:
            self.wrong("partitions begin and end at whole MiB, or where they are said to", "alignment")
        self._extent()
        priority = fragment.number("priority")
        usual = 9001 if self.whole else 100 if types.normal(self.type) == types.GUIDS[BOOT] else 1000
        self.order = (usual if priority is None else priority, fragment.key)

    def _wrong(self, text: str, key: str = "") -> None:
        self.sound = False
        self.fragment.note(text, key)

    def _attributes(self) -> int | None:
        bits = self.fragment.numbers("attributes")
        for bit in bits or ():
            if not 0 <= bit <= 63 or bit in RESERVED:
                self.wrong(f"there is no attribute {bit}: they are 0, 1, 2 and 48 to 63", "attributes")
                return None
        return None if bits is None else sum(1 << bit for bit in set(bits))

    def _extent(self) -> None:
        size, start, end = (self.fragment.text(key) for key in ("size", "start", "end"))
        if size is not None and end is not None:
            self.wrong("size and end are both given, and one of them decides; leave the other out")
            return
        try:
            self._start(start)
            self._end(size if end is None else end, "size" if end is None else "end")
        except ValueError as error:
            self.wrong(str(error))

    def _start(self, text: str | None) -> None:
        found = amount(text) if text is not None and text != "0" else None
        if found is None:
            return
        if found.sign:
            raise ValueError(f"the start {text!r} depends on the disk; give the size of this one, or of the one before")
        self.start = found.bytes

    def _end(self, text: str | None, key: str) -> None:
        if text is None:
            if self.fragment.has("size") or self.fragment.has("end"):
                self.sound = False  # that it is no text was noted
                return
            raise ValueError('it has neither size nor end; write for example size = "512M", or "100%" for the rest')
        if text == WHOLE or (key == "end" and text in {"0", "-0"}):
            self.whole = True
            return
        found = amount(text)
        if key == "size" or found.sign == "+":
            if found.sign == "-":
                raise ValueError(f'{text!r} is no size; to leave so much at the end of the disk, write end = "{text}"')
            self.length = found.bytes
        elif found.sign == "-":
            self.left = found.bytes
        else:
            self.end = found.bytes + (512 if found.sectors else 0)


def _usual_type(content: Fragment | None) -> str:
    """Give the type that goes with a content: Disko's, but where nothing is to be kept, one that says so."""
    if content is None or content.type != "swap":
        return "8300"
    return "scratch" if content.value("randomEncryption") is True else "8200"


def _label(asked: str | None, usual: str) -> str | None:
    """Give a label as Disko does, whose configurations look for partitions by it; none, if it is to be empty."""
    if asked is not None:
        return asked or None
    if len(usual) <= LABEL_UNITS:
        return usual
    return hashlib.sha256(usual.encode("utf-8", "surrogatepass")).hexdigest()[:LABEL_UNITS]


@for_type(hooks.from_disko, "gpt")
def read_table(content: Fragment, on: Sequence[Handle]) -> None:
    """Read a GPT. Partitions are numbered as Disko does: by priority, then by name."""
    content.ignore("efiGptPartitionFirst")
    table = content.add(on, Table)
    slots = sorted((_Named(each) for each in content.children("partitions")), key=lambda slot: slot.order)
    place(slots, content, table)


def _holder(content: Fragment) -> str:
    above = content.above
    return f"{above.type}-{above.name}" if above is not None else ""


def place(slots: Sequence[Slot], content: Fragment, table: Handle) -> None:
    """Number partitions, give each its size, and read what is in them."""
    holder = _holder(content)
    _number(slots)
    ordered = sorted(slots, key=lambda slot: slot.number)
    sizes = _sizes(ordered, content)
    for slot in ordered:
        size = sizes.get(slot.number)
        made = slot.partition(size, holder) if size is not None else None
        on = [table]
        handle = slot.fragment.spoilt(on) if made is None else slot.fragment.put(on, made)
        slot.fragment.content(handle)


def _number(slots: Sequence[Slot]) -> None:
    taken: dict[int, Slot] = {}
    for slot in slots:
        if slot.wanted_number is not None:
            other = taken.setdefault(slot.wanted_number, slot)
            if other is not slot:
                slot.sound = False
                slot.fragment.note(f"{other.fragment.path} has this number already", "number")
    free = (number for number in range(1, len(slots) + len(taken) + 1) if number not in taken)
    for slot in slots:
        slot.number = next(free) if slot.wanted_number is None else slot.wanted_number


def _sizes(slots: Sequence[Slot], content: Fragment) -> Mapping[int, Size]:
    """Give every partition a size that needs no disk to be said."""
    sizes: dict[int, Size] = {}
    open_ended = [slot for slot in slots if slot.whole or slot.left is not None]
    ends_early = [slot for slot in open_ended if slot.left is not None]
    if len(ends_early) > 1 or len([slot for slot in open_ended if slot.whole]) > 1:
        names = ", ".join(slot.fragment.key for slot in open_ended)
        content.note(f"{names} would each take the rest of the disk, and only one can", "partitions")
        return {}
    cursor: int | None = FIRST
    for slot in slots:
        start = cursor if slot.start is None else slot.start
        if slot.length is not None:
            sizes[slot.number] = Exact(bytes=slot.length)
        elif slot.end is not None:
            if start is None:
                slot.fragment.note("where it ends says nothing without where it starts: give its start, or its size")
            elif slot.end <= start:
                slot.fragment.note(f"it would end at {human(slot.end)}, and starts at {human(start)}")
            else:
                sizes[slot.number] = Exact(bytes=slot.end - start)
        elif slot.whole or slot.left is not None:
            sizes[slot.number] = Rest()
        elif slot.share is not None:
            sizes[slot.number] = slot.share
        size = sizes.get(slot.number)
        cursor = start + -(-size.bytes // FIRST) * FIRST if start is not None and isinstance(size, Exact) else None
    if ends_early:
        _share_the_end(ends_early[0], slots, sizes)
    return sizes


def _share_the_end(early: Slot, slots: Sequence[Slot], sizes: dict[int, Size]) -> None:
    """Divide what one partition leaves at the end of the disk among those that follow it."""
    left = early.left or 0
    later = [slot for slot in slots if slot.number > early.number]
    needed = sum(size.bytes for slot in later if isinstance(size := sizes.get(slot.number), Exact))
    rest = [slot for slot in later if slot.whole]
    if needed > left or (rest and needed == left):
        early.fragment.note(f"it leaves {human(left)} at the end, and what comes after it needs {human(needed)}", "end")
        sizes.pop(early.number)
    elif rest:
        # The other one's size is known by that, so that this one is what takes the rest.
        sizes[rest[0].number] = Exact(bytes=left - needed)
    else:
        sizes[early.number] = Rest(keep=left - needed)


@for_kind(hooks.to_disko, Table)
def write_table(layer: Table, sheet: Sheet) -> Mapping[str, object]:
    """Write a table with its partitions, each by its label, as Disko finds them."""
    parts = sorted(sheet.graph.parts_of_kind(layer, Partition), key=lambda part: part.number)
    holder = sheet.holder(layer)
    tables: dict[str, object] = {}
    # Disko counts for itself, and does not know of numbers; the priority alone brings about the same ones.
    counted = [part.number for part in parts] == list(range(1, len(parts) + 1))
    for part in parts:
        name = (part.label or "").removeprefix(f"{holder}-") or f"part{part.number}"
        if name in tables:
            name = f"{name}-{part.number}"
        number: dict[str, object] = {} if counted else {"number": part.number}
        tables[name] = number | _written(part, sheet, usual=_label(None, f"{holder}-{name}") if holder else ...)
    sheet.tells(*parts)
    return {"type": "gpt", "partitions": tables}


def _written(part: Partition, sheet: Sheet, usual: object) -> dict[str, object]:
    codes = {guid: code for code, name in types.CODES.items() for guid in [types.GUIDS[name]]}
    found: dict[str, object] = {"priority": part.number}
    if part.type is not None:
        found["type"] = codes.get(part.type, part.type.upper())
    if part.label != usual:
        found["label"] = part.label or ""
    if part.uuid is not None:
        found["uuid"] = part.uuid
    if part.attributes is not None:
        found["attributes"] = [bit for bit in range(64) if part.attributes >> bit & 1]
    if part.start is not None:
        found["start"] = said(part.start, sectors="s")
    return {**found, "size": said(exact_bytes(part.size)), **sheet.content(part)}
