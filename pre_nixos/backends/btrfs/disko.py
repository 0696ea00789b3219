"""btrfs in layouts: with its subvolumes, on one device or several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.arguments import faults
from pre_nixos.backends.btrfs.kinds import OPTIONS, Btrfs, Subvolume
from pre_nixos.plugin import for_kind, for_type, hooks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.plugin import Fragment, Handle, Layer, Sheet

FORCING = ("-f", "--force")
LONG = {"-L": "--label", "-U": "--uuid", "-d": "--data", "-m": "--metadata"}
FIELDS = {"--label": "label", "--uuid": "uuid", "--data": "data", "--metadata": "metadata"}
MAPPER = "/dev/mapper/"
NOT_SO = "another device of it is named by what it is opened as, /dev/mapper/NAME, and described in the layout"


@for_type(hooks.from_disko, "btrfs")
def read_btrfs(content: Fragment, on: Sequence[Handle]) -> None:
    """Read a filesystem; further devices are among the arguments, as Disko has them."""
    fields, words = _arguments(content.words("extraArgs"))
    for key in ("label", "uuid", "data", "metadata"):
        said = content.text(key)
        if said is not None:
            fields[key] = said
    devices = list(on)
    for each in [word for word in words if word.startswith("/dev/")]:
        words.remove(each)
        if each.startswith(MAPPER):
            devices.append(content.having(f"mapper:{each.removeprefix(MAPPER)}"))
        else:
            content.note(f"{each}: {NOT_SO}", "extraArgs")
    wrong = list(faults(words, OPTIONS))
    for each in wrong:
        content.note(each, "extraArgs")
    handle = content.add(
        devices,
        Btrfs,
        label=fields.get("label"),
        uuid=fields.get("uuid"),
        data=fields.get("data"),
        metadata=fields.get("metadata"),
        arguments=() if wrong else tuple(words),
    )
    content.share("mountpoint", handle)
    content.share("swapfiles", handle)
    for subvolume in content.children("subvolumes"):
        _read_subvolume(subvolume, handle)


def _read_subvolume(each: Fragment, filesystem: Handle) -> None:
    if each.type not in {"", "btrfs_subvol"}:
        each.note("what is in a btrfs is of type 'btrfs_subvol', which need not be said", "type")
    each.refuse("extraArgs", "a subvolume takes no arguments")
    read_only = each.flag("readOnly") if each.has("readOnly") else None
    handle = each.add([filesystem], Subvolume, name=each.name, read_only=read_only, origin=each.text("snapshotOf"))
    each.share("mountpoint", handle)
    each.share("swapfiles", handle)


def _arguments(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Take what there are fields for out of the arguments of mkfs.btrfs."""
    fields: dict[str, str] = {}
    left = [part for word in words for part in _apart(word) if part not in FORCING]
    for word in list(left):
        field = FIELDS.get(LONG.get(word, word))
        if field is not None and word in left[:-1]:
            position = left.index(word)
            fields[field] = left[position + 1]
            del left[position : position + 2]
    return fields, left


def _apart(word: str) -> Sequence[str]:
    """Take `--option=value` apart where there is a field for it."""
    option, equals, value = word.partition("=")
    return (option, value) if equals and option in FIELDS else (word,)


@for_kind(hooks.to_disko, Btrfs)
def write_btrfs(layer: Btrfs, sheet: Sheet) -> Mapping[str, object]:
    """Write a filesystem on the last of its devices, since Disko makes it when it comes to it."""
    *others, last = sheet.graph.under(layer)
    names = [_opened_as(each) for each in others]
    if None in names or sheet.below != last.id:
        return {}
    subvolumes = sheet.graph.parts_of_kind(layer, Subvolume)
    sheet.tells(*subvolumes)
    arguments: list[str] = []
    own: dict[str, object] = {}
    for short, long in LONG.items():
        value: str | None = getattr(layer, FIELDS[long])
        if value is not None and (not value or set(value) & set(" =")):
            own[FIELDS[long]] = value  # Disko would take it for several words
        elif value is not None:
            arguments += [short, value]
    arguments += [*layer.arguments, *filter(None, names)]
    found: dict[str, object] = {"type": "btrfs", **own}
    if arguments:
        found["extraArgs"] = arguments
    if subvolumes:
        found["subvolumes"] = {each.name: _written(each, sheet) for each in subvolumes}
    return {**found, **sheet.uses(layer)}


def _opened_as(layer: Layer) -> str | None:
    names = [each.removeprefix("mapper:") for each in layer.occupies() if each.startswith("mapper:")]
    return f"{MAPPER}{names[0]}" if names else None


def _written(subvolume: Subvolume, sheet: Sheet) -> dict[str, object]:
    found = sheet.uses(subvolume)
    if subvolume.read_only is not None:
        found["readOnly"] = subvolume.read_only
    if subvolume.origin is not None:
        found["snapshotOf"] = subvolume.origin
    return found
