"""What LVM reports, read whole: one JSON document for all groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from pre_nixos.backends.lvm.command import SETTINGS
from pre_nixos.plugin import Command, Data

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_FIELDS = {
    "vg": "vg_name,vg_uuid,vg_extent_size,vg_exported",
    "pv": "pv_uuid,pv_major,pv_minor,pv_missing,dev_size,pv_size,pe_start,pv_mda_count,pv_mda_size",
    "lv": "lv_uuid,lv_name,lv_size,lv_role,lv_health_status,lv_snapshot_invalid,pool_lv,origin,sync_percent",
    "seg": "lv_uuid,segtype,stripes,data_stripes",
    "pvseg": "pv_uuid",
}

INVALID = "snapshot invalid"


class Physical(Data):
    """A physical volume."""

    uuid: str
    number: str
    """Of its device; empty if that is missing."""
    unused: int = 0
    """Bytes of its device that would be in further extents, if it took all of it."""


class Logical(Data):
    """A logical volume that people see; what it is made of inside is left out."""

    uuid: str
    name: str
    size: int
    type: str
    stripes: int | None = None
    mirrors: int | None = None
    pool: str | None = None
    origin: str | None = None
    status: str = ""
    """What LVM says of its health; empty if nothing."""
    overflowed: bool = False
    """Whether it is a snapshot whose store for copies ran full; only of one that is active it is known."""
    synchronised: float | None = None
    """Per cent, where there are copies."""


class Reported(Data):
    """One group; without a name, the physical volumes that are in none."""

    name: str = ""
    uuid: str = ""
    extent: int = 0
    exported: bool = False
    physical: tuple[Physical, ...] = ()
    logical: tuple[Logical, ...] = ()


def question(devices: Iterable[str]) -> Command:
    """Ask about these devices, by path, and no others; nothing is activated, locked or written."""
    seen = [word for device in devices for word in ("--devices", device)]
    fields = [word for section, names in _FIELDS.items() for word in ("--configreport", section, "-o", names)]
    how = ("--all", "--foreign", "--shared", "--nolocking", "--reportformat", "json", "--units", "b", "--nosuffix")
    return Command(argv=("lvm", "fullreport", "--config", SETTINGS, *seen, *how, *fields))


def read_report(printed: str) -> Sequence[Reported]:
    """Read everything; what is no report says nothing."""
    try:
        document: Any = msgspec.json.decode(printed)
    except msgspec.DecodeError:
        return ()
    groups = cast("Sequence[Mapping[str, Sequence[Mapping[str, str]]]]", document.get("report", ()))
    return [_group(each) for each in groups]


def _group(sections: Mapping[str, Sequence[Mapping[str, str]]]) -> Reported:
    segments: dict[str, Mapping[str, str]] = {}
    for segment in sections.get("seg", ()):
        segments.setdefault(segment["lv_uuid"], segment)
    extent = next((int(each["vg_extent_size"]) for each in sections.get("vg", ())), 0)
    physical = tuple(_physical(each, extent) for each in sections.get("pv", ()))
    logical = tuple(
        _logical(each, segments.get(each["lv_uuid"], {}))
        for each in sections.get("lv", ())
        if not each["lv_name"].startswith("[")
    )
    for group in sections.get("vg", ()):
        return Reported(
            name=group["vg_name"],
            uuid=group["vg_uuid"],
            extent=extent,
            exported=bool(group["vg_exported"]),
            physical=physical,
            logical=logical,
        )
    return Reported(physical=physical)


def _physical(volume: Mapping[str, str], extent: int) -> Physical:
    if volume["pv_missing"]:
        return Physical(uuid=volume["pv_uuid"], number="")
    number = f"{volume['pv_major']}:{volume['pv_minor']}"
    return Physical(uuid=volume["pv_uuid"], number=number, unused=_unused(volume, extent) if extent else 0)


def _unused(volume: Mapping[str, str], extent: int) -> int:
    """Give what whole extents a device has room for beyond those of the physical volume on it.

    They begin wherever whoever made it chose. A second copy of the metadata lies behind them; it is larger than the
    first by less than what they are aligned to, and they do not begin before that.
    """
    said = ("dev_size", "pv_size", "pe_start", "pv_mda_count", "pv_mda_size")
    device, used, start, copies, metadata = (int(volume[each] or 0) for each in said)
    left = device - start - used - max(0, copies - 1) * (metadata + start)
    return max(0, left // extent * extent)


def _logical(volume: Mapping[str, str], segment: Mapping[str, str]) -> Logical:
    kind = segment.get("segtype", "")
    # raid5_ls and its like are one type with a layout.
    kind = kind.partition("_")[0] if kind.startswith("raid") else kind
    if "thicksnapshot" in volume["lv_role"].split(","):
        kind = "snapshot"
    images, data = int(segment.get("stripes") or 0), int(segment.get("data_stripes") or 0)
    striped = kind == "striped" or (kind.startswith("raid") and kind != "raid1")
    copied = {"raid1": images - 1, "mirror": images - 1, "raid10": images // max(data, 1) - 1}
    return Logical(
        uuid=volume["lv_uuid"],
        name=volume["lv_name"],
        size=int(volume["lv_size"]),
        type=kind,
        stripes=data if striped else None,
        mirrors=copied.get(kind),
        # A cache has a pool too, but a hidden one.
        pool=(volume["pool_lv"] or None) if kind == "thin" else None,
        origin=(volume["origin"].strip("[]") or None) if "snapshot" in volume["lv_role"].split(",") else None,
        status=volume["lv_health_status"],
        overflowed=volume["lv_snapshot_invalid"] == INVALID,
        synchronised=float(volume["sync_percent"]) if volume["sync_percent"] else None,
    )
