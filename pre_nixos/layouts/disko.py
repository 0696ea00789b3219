"""What Disko itself makes of a layout: the keys it has, what its shell would read, and where it looks for what it made.

Disko is a program of Nix that writes scripts: what it does not know it refuses, and most of what it knows it puts into
its scripts as it stands.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple, cast

from pre_nixos.layouts.scripts import HOOKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PARTITION, VOLUME, SUBVOLUME, SWAPFILE = "a partition", "a volume", "a subvolume", "a file to swap to"


class _Kind(NamedTuple):
    """One kind of table, as Disko has it."""

    keys: str
    inner: Mapping[str, str] = {}
    """Of its keys those with tables by name, and of which kind these are."""
    hooks: bool = True


FILES = {"swap": SWAPFILE}
KINDS = {
    "disk": _Kind("type name device destroy imageName imageSize content"),
    "gpt": _Kind("type device partitions efiGptPartitionFirst", {"partitions": PARTITION}),
    PARTITION: _Kind(
        "type attributes device priority name uuid label size alignment start end content hybrid", hooks=False
    ),
    "mdadm": _Kind("type name level metadata content extraArgs"),
    "mdraid": _Kind("type name device"),
    "lvm_vg": _Kind("type name lvs", {"lvs": VOLUME}),
    VOLUME: _Kind("name priority size lvm_type extraArgs pool content", hooks=False),
    "lvm_pv": _Kind("type device vg"),
    "luks": _Kind(
        "type device name keyFile passwordFile askPassword settings additionalKeyFiles initrdUnlock extraFormatArgs "
        "extraOpenArgs content"
    ),
    "swap": _Kind("type device discardPolicy extraArgs mountOptions priority randomEncryption resumeDevice"),
    "filesystem": _Kind("type device extraArgs mountOptions mountpoint format"),
    "btrfs": _Kind("type device extraArgs mountOptions subvolumes mountpoint swap", {"subvolumes": SUBVOLUME, **FILES}),
    SUBVOLUME: _Kind("name type extraArgs mountOptions mountpoint swap", FILES, hooks=False),
    SWAPFILE: _Kind("size path priority options", hooks=False),
    "nodev": _Kind("type fsType device mountpoint mountOptions"),
}
"""What Disko has of what is written here, by what the tables say that they are."""
METADATA = frozenset({"1", "1.0", "1.1", "1.2", "default", "ddf", "imsm"})
VOLUMES = frozenset({"mirror", "raid0", "raid1", "raid4", "raid5", "raid6", "thin-pool", "thinlv"})
_PLAIN = re.compile(r"[0-9A-Za-z_./:=,@%+^-][0-9A-Za-z_./:=,@%+^#-]*")
"""What means the same inside quotes, outside of them, and as a word of its own."""
_LABEL = re.compile(r"[0-9A-Za-z_.:=@+-][0-9A-Za-z_.:=@+#-]*")
"""What udev puts into the name of a link as it is, and Disko takes for that."""
LABELS = "/dev/disk/by-partlabel"
LONGEST_LABEL = 36


class Described(NamedTuple):
    """One table of a layout."""

    path: str
    kind: str
    name: str
    table: Mapping[str, object]
    around: tuple[str, str] = ("", "")
    """The kind and the name of what the table that this is a part of is in."""


def described(devices: Mapping[str, object]) -> Iterator[Described]:
    """Give every table of a layout, each before those inside it."""
    for section, entries in devices.items():
        for name, entry in _tables(entries):
            yield from _within(Described(f"{section}.{name}", section, name, entry))


def _within(one: Described) -> Iterator[Described]:
    yield one
    holder = (one.kind, str(one.table.get("name") or one.name)) if "content" in one.table else one.around
    for key, value in one.table.items():
        if key == "content" and isinstance(value, dict):
            inner = cast("Mapping[str, object]", value)
            yield from _within(Described(f"{one.path}.content", str(inner.get("type")), one.name, inner, holder))
        elif one.kind in KINDS and key in KINDS[one.kind].inner:
            for name, table in _tables(value):
                kind = KINDS[one.kind].inner[key]
                yield from _within(Described(f"{one.path}.{key}.{name}", kind, name, table, one.around))


def _tables(value: object) -> Iterator[tuple[str, Mapping[str, object]]]:
    for key, inner in cast("Mapping[str, object]", value).items() if isinstance(value, dict) else ():
        if isinstance(inner, dict):
            yield key, cast("Mapping[str, object]", inner)


def beyond_disko(devices: Mapping[str, object]) -> Iterator[str]:
    """Say, one sentence each, what of a layout Disko would refuse, leave out, or have a shell read."""
    for one in described(devices):
        kind = KINDS.get(one.kind)
        if kind is None:
            yield f"{one.path}: Disko, or what is known here of it, has nothing of type {one.kind!r}"
            continue
        random = one.kind == "swap" and one.table.get("randomEncryption") is True
        if random:
            yield f"{one.path}: Disko leaves swap with randomEncryption to NixOS, and makes none"
        known = {*kind.keys.split(), *(HOOKS if kind.hooks else ()), *(("mapper",) if random else ())}
        for key in one.table:
            if key not in known:
                yield f"{one.path}: Disko has no key {key!r} there"
        yield from _unknown_values(one)
        yield from _read_by_a_shell(one)


def _unknown_values(one: Described) -> Iterator[str]:
    level = one.table.get("level")
    if one.kind == "mdadm" and level is not None and not isinstance(level, int):
        yield f"{one.path}.level: Disko has numbers there, and not {level!r}"
    for kind, key, known in (("mdadm", "metadata", METADATA), (VOLUME, "lvm_type", VOLUMES)):
        value = one.table.get(key)
        if one.kind == kind and value is not None and value not in known:
            yield f"{one.path}.{key}: Disko has no {value!r}"


def _read_by_a_shell(one: Described) -> Iterator[str]:
    if not _PLAIN.fullmatch(one.name):
        yield _odd(one.path, one.name)
    elif one.kind == PARTITION and "label" not in one.table:
        claim = _claim_of_partition(one, str(one.table.get("name") or one.name))
        label = claim.removeprefix(f"{LABELS}/")
        if label != claim and not _LABEL.fullmatch(label):
            yield _odd(one.path, label)
    for key, value in _texts(one.table):
        found_by = (one.kind, key) == (PARTITION, "label")
        if found_by and not value:
            yield f"{one.path}: Disko finds a partition by its label alone, and this one is to have none"
        elif not (_LABEL if found_by else _PLAIN).fullmatch(value):
            yield _odd(f"{one.path}.{key}", value)


def _texts(table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Give the texts of a table that are neither scripts nor in tables that are described by themselves."""
    for key, value in table.items():
        if key in HOOKS:
            continue
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, list | tuple):
            texts = cast("Sequence[object]", value)
            yield from ((key, each) for each in texts if isinstance(each, str))
        elif key == "settings" and isinstance(value, dict):
            yield from ((f"{key}.{inner}", text) for inner, text in _texts(cast("Mapping[str, object]", value)))


def _odd(where: str, text: str) -> str:
    return f"{where}: {text!r} is not only letters, digits and the like; Disko puts it into a shell script as it stands"


def claims(devices: Mapping[str, object]) -> Iterator[str]:
    """Give the paths below /dev by which alone Disko finds what it makes, or takes for made what is there."""
    for one in described(devices):
        name = str(one.table.get("name") or one.name)
        if one.kind == "mdadm":
            yield f"/dev/md/{name}"
        elif one.kind == "lvm_vg":
            yield f"/dev/{name}"
        elif one.kind == "luks":
            yield f"/dev/mapper/{name}"
        elif one.kind == PARTITION:
            yield _claim_of_partition(one, name)


def _claim_of_partition(one: Described, name: str) -> str:
    kind, holder = one.around
    if one.table.get("uuid"):
        return f"/dev/disk/by-partuuid/{one.table['uuid']}"
    if kind == "mdadm":
        return f"/dev/disk/by-id/md-name-any:{holder}"
    label = f"{kind}-{holder}-{name}"
    if len(label) > LONGEST_LABEL:
        label = hashlib.sha256(label.encode()).hexdigest()[:LONGEST_LABEL]
    return f"{LABELS}/{one.table.get('label', label)}"


def keys_read(devices: Mapping[str, object]) -> Iterator[str]:
    """Give the paths of the files from which Disko reads keys."""
    for one in described(devices):
        if one.kind == "luks":
            for key, value in _texts(one.table):
                if key in {"keyFile", "passwordFile", "settings.keyFile", "additionalKeyFiles"}:
                    yield value


def addresses(devices: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Give the name of each disk, and the path by which Disko is told which it is."""
    for one in described(devices):
        if one.kind == "disk" and isinstance(one.table.get("device"), str):
            yield one.name, str(one.table["device"])


def labelled_by_disko(devices: Mapping[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """Give a layout in which Disko labels what is to have no label: it would look for it by that, and find nothing."""
    return cast("dict[str, dict[str, object]]", _labelled(devices, ""))


def _labelled(value: object, kind: str) -> object:
    if not isinstance(value, dict):
        return value
    table = cast("Mapping[str, object]", value)
    return {
        key: _labelled(inner, PARTITION if kind == "partitions" else key)
        for key, inner in table.items()
        if not (kind == PARTITION and key == "label" and not inner)
    }
