"""Volume groups in layouts: members of type `lvm_pv`, and what they make in the section `lvm_vg`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pre_nixos.backends.lvm.extents import PREFERRED_EXTENT, cost
from pre_nixos.backends.lvm.kinds import Group, Volume
from pre_nixos.plugin import MIB, Exact, Rest, Share, Size, exact_bytes, for_kind, for_type, hooks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.plugin import Fragment, Handle, Sheet

SECTION, MEMBER = "lvm_vg", "lvm_pv"
TYPES = {"thinlv": "thin"}
"""What Disko calls otherwise than LVM does."""
POOL, THIN = "thin-pool", "thin"
REST = "100%FREE"
KNOWN = ("linear", "striped", "raid0", "raid1", "raid4", "raid5", "raid6", "raid10", POOL, "thinlv")
UNITS = {"b": 1, "s": 512, "k": 1024, "m": MIB, "g": 1024**3, "t": 1024**4, "p": 1024**5, "": MIB}
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[bskmgtp]?)(?:iB)?", re.IGNORECASE)
_SHARE = re.compile(r"(?P<percent>\d+(?:\.\d+)?)%(?P<of>[A-Z]*)")
SIMPLE = frozenset({None, "linear", "striped", "raid0"})
"""Types that take from their group just what they offer."""


class _Asked(NamedTuple):
    """How much one volume asks for."""

    bytes: int
    percent: float | None
    """If it asks for a share, how much."""
    of: str
    """What of: `FREE` or `VG`."""


def _asked(text: str) -> _Asked:
    """Read a size as lvcreate takes it. Raises ValueError."""
    share = _SHARE.fullmatch(text.strip())
    if share is not None:
        percent, of = float(share["percent"]), share["of"] or "FREE"
        if of not in {"FREE", "VG"} or not 0 < percent <= 100:
            raise ValueError(f"{text!r} is no share that can be given; write for example 50%FREE or 20%VG")
        return _Asked(0, percent, of)
    found = _SIZE.fullmatch(text.strip())
    if found is None or not float(found["number"]):
        raise ValueError(f"{text!r} is not a size; write for example 512M, 50G, 100%FREE or 20%VG")
    return _Asked(round(float(found["number"]) * UNITS[found["unit"].lower()]), None, "")


class _Slot:
    """One volume while a group is being read."""

    def __init__(self, fragment: Fragment) -> None:
        self.fragment = fragment
        self.name = fragment.name
        self.kind = fragment.text("lvm_type")
        self.pool = fragment.text("pool")
        self.stripes, self.mirrors = fragment.number("stripes"), fragment.number("mirrors")
        size = fragment.text("size", needed=True)
        self.asked: _Asked | None = None
        try:
            self.asked = _asked(size) if size is not None else None
        except ValueError as error:
            fragment.note(str(error), "size")
        self._arguments(fragment.words("extraArgs"))
        self.sound = self._kind_is_made() and self.asked is not None
        priority = fragment.number("priority")
        usual = (501 if self.kind == POOL else 1000) + (251 if "100%" in (size or "") else 0)
        self.order = (usual if priority is None else priority, fragment.key)

    @property
    def type(self) -> str | None:
        """LVM's name of its type."""
        return TYPES.get(self.kind or "", self.kind)

    def _kind_is_made(self) -> bool:
        if self.kind == "mirror":
            self.fragment.note("this is LVM's old kind of mirror, which is not made any more; write raid1", "lvm_type")
            return False
        if self.kind is not None and self.kind not in KNOWN:
            self.fragment.note(f"{self.kind!r} is none of {', '.join(KNOWN)}", "lvm_type")
            return False
        if (self.type == THIN) is not (self.pool is not None):
            said = "a thin volume names its pool" if self.pool is None else "only thin volumes are in a pool"
            self.fragment.note(said, "pool")
            return False
        return True

    def _arguments(self, words: Sequence[str]) -> None:
        left = [each for each in words if each not in {"-y", "--yes"}]
        for flags, field in ((("-i", "--stripes"), "stripes"), (("-m", "--mirrors"), "mirrors")):
            for flag in flags:
                if flag in left[:-1] and left[left.index(flag) + 1].isdecimal():
                    position = left.index(flag)
                    setattr(self, field, int(left[position + 1]))
                    del left[position : position + 2]
        if left:
            text = f"{' '.join(left)}: lvcreate is given no arguments unseen; there are keys stripes and mirrors"
            self.fragment.note(text, "extraArgs")


@for_type(hooks.from_disko, MEMBER)
def read_member(content: Fragment, on: Sequence[Handle]) -> None:
    """Read which group a device is in."""
    name = content.text("vg", needed=True)
    if name is not None:
        content.join(SECTION, name, on)


@for_type(hooks.from_disko, SECTION)
def read_group(entry: Fragment, on: Sequence[Handle]) -> None:
    """Read a group, which stands on the members that name it, and its volumes."""
    extent = entry.text("extentSize")
    size = None
    try:
        size = _asked(extent).bytes if extent is not None else None
    except ValueError as error:
        entry.note(str(error), "extentSize")
    if entry.members:
        group = entry.add(on, Group, name=entry.name, extent_size=size)
    else:
        group = entry.fault(f'nothing in the layout is a member of it: no content has type "{MEMBER}" and this name')
    slots = sorted((_Slot(each) for each in entry.children("lvs")), key=lambda slot: slot.order)
    pools = {slot.name for slot in slots if slot.kind == POOL}
    for slot, amount in zip(slots, _sizes(slots), strict=True):
        if slot.pool is not None and slot.type == THIN and slot.pool not in pools:
            slot.fragment.note(f"there is no volume {slot.pool!r} of type {POOL} in this group", "pool")
            slot.sound = False
        if not slot.sound or amount is None:
            handle = slot.fragment.spoilt([group])
        else:
            handle = slot.fragment.add(
                [group],
                Volume,
                name=slot.name,
                group=entry.name,
                size=amount,
                type=slot.type,
                pool=slot.pool,
                stripes=slot.stripes,
                mirrors=slot.mirrors,
            )
        slot.fragment.content(handle)


def _sizes(slots: Sequence[_Slot]) -> Sequence[Size | None]:
    """Give what each volume asks for as a share of the whole group, whatever those made before it leave.

    What is free when a volume is made is the group less what came before: a share of the group and a number of bytes.
    """
    found: list[Size | None] = []
    share, less = 1.0, 0.0
    simple = True
    greedy = ""
    for slot in slots:
        asked = slot.asked
        if asked is None:
            found.append(None)
        elif slot.type == THIN:
            found.append(_of_pool(slot, asked))
        elif asked.percent is None:
            found.append(Exact(bytes=asked.bytes))
            less += asked.bytes
            simple = simple and slot.type in SIMPLE
        elif asked.of == "FREE" and asked.percent == 100:
            if greedy:
                slot.fragment.note(f"{greedy} takes all that is free already", "size")
            found.append(None if greedy else Rest())
            greedy, share, less = greedy or slot.name, 0.0, 0.0
        elif asked.of == "FREE" and not (simple and slot.type in SIMPLE):
            slot.fragment.note(
                "a share of what is free cannot be told beside mirrors and pools; say it of the VG", "size"
            )
            found.append(None)
        else:
            part = asked.percent / 100
            found.append(
                Share(percent=asked.percent)
                if asked.of == "VG"
                else Share(percent=100 * part * share, less=round(part * less))
            )
            share, less = (share - part, less) if asked.of == "VG" else (share * (1 - part), less * (1 - part))
            simple = simple and slot.type in SIMPLE
    return found


def _of_pool(slot: _Slot, asked: _Asked) -> Size | None:
    if asked.percent is not None:
        slot.fragment.note(
            "a thin volume takes no space of its own, so it has no share of any: say how large it is", "size"
        )
        return None
    return Exact(bytes=asked.bytes)


@for_kind(hooks.to_disko, Group)
def write_group(layer: Group, sheet: Sheet) -> Mapping[str, object]:
    """Write what each member says, and the group with its volumes once."""
    volumes = sorted(sheet.graph.parts_of_kind(layer, Volume), key=lambda each: each.name)
    made = [each for each in volumes if each.type is None or each.type in {*KNOWN, THIN}]
    sheet.tells(*made)
    # LVM's own choice goes without saying, and Disko has no word for any other.
    unusual = layer.extent_size not in {None, PREFERRED_EXTENT}
    extent = {"extentSize": _said(layer.extent_size)} if unusual and layer.extent_size is not None else {}
    devices = [sheet.graph.space(each) for each in sheet.graph.devices(layer)]
    last = _last(volumes, layer.usable(devices) or 0, layer.extent_size or PREFERRED_EXTENT)
    lvs = {each.name: _written(each, rest=each.name == last) | sheet.content(each) for each in made}
    sheet.entry(SECTION, layer.name, {"type": SECTION, **extent, "lvs": lvs})
    return {"type": MEMBER, "vg": layer.name}


def _last(volumes: Sequence[Volume], space: int, extent: int) -> str:
    """Name the volume that can as well be said to take the rest, where a group is full; empty if it is not.

    Whoever else makes the group may have some extents less in it, and a volume of a certain size would not fit.
    """
    taken = sum(cost(each, exact_bytes(each.size) // extent, extent) for each in volumes)
    linear = [each for each in volumes if each.type in {None, "linear"}]
    full = taken * extent == space and not any(each.origin for each in volumes)
    return max(linear, key=lambda each: (exact_bytes(each.size), each.name)).name if full and linear else ""


def _written(volume: Volume, *, rest: bool) -> dict[str, object]:
    names = {theirs: disko for disko, theirs in TYPES.items()}
    found: dict[str, object] = {"size": REST if rest else _said(exact_bytes(volume.size))}
    # Linear is what is made if nothing is said, and Disko has no word for it.
    if volume.type not in {None, "linear"}:
        found["lvm_type"] = names.get(volume.type or "", volume.type)
    if volume.pool is not None:
        found["pool"] = volume.pool
    counts = (("--stripes", volume.stripes), ("--mirrors", volume.mirrors))
    arguments = [word for option, count in counts if count is not None for word in (option, str(count))]
    return found | ({"extraArgs": arguments} if arguments else {})


def _said(count: int) -> str:
    return f"{count}b" if count % 1024 else f"{count // 1024}k" if count % MIB else f"{count // MIB}M"
