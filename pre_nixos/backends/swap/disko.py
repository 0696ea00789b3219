"""Swap in layouts: areas, how they are used, and files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.dmcrypt import Plain
from pre_nixos.backends.mounts import Mount
from pre_nixos.backends.swap.kinds import Area, File, Use
from pre_nixos.plugin import MIB, Exact, for_kind, for_type, hooks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.plugin import Fragment, Handle, Sheet


@for_type(hooks.from_disko, "swap")
def read_area(content: Fragment, on: Sequence[Handle]) -> None:
    """Read an area, which is used as soon as it is there."""
    resume, options = content.flag("resumeDevice"), content.texts("mountOptions") or ()
    encrypted, mapper = content.flag("randomEncryption"), content.text("mapper")
    words = list(content.words("extraArgs"))
    label, uuid = content.text("label"), content.text("uuid")
    for option in ("-L", "--label", "-U", "--uuid"):
        if option in words[:-1]:
            position = words.index(option)
            label, uuid = (words[position + 1], uuid) if option in {"-L", "--label"} else (label, words[position + 1])
            del words[position : position + 2]
    if words:
        content.note(f"{' '.join(words)}: mkswap is given no other arguments than a label and a UUID", "extraArgs")
    policy = content.choice("discardPolicy", ["once", "pages", "both"])
    priority = content.number("priority")
    if encrypted:
        name = mapper or f"swap-{content.above.name if content.above else content.key}"
        on = [content.add(on, Plain, mapper=name, allow_discards=True if policy is not None else None)]
    elif mapper is not None:
        content.note("only swap that is encrypted is opened under a name", "mapper")
    area = content.add(on, Area, label=label or None, uuid=uuid or None)
    # Both is what is done if nothing is said.
    when = None if policy == "both" else policy
    discard = policy is not None
    content.add([area], Use, priority=priority, discard=discard, discard_policy=when, options=options, resume=resume)


@for_type(hooks.from_disko, "swapfiles")
def read_files(content: Fragment, on: Sequence[Handle]) -> None:
    """Read files to swap to, which lie below where what they are in is mounted."""
    at = content.text("mountpoint")
    for each in content.children("swap"):
        options = each.texts("options") or ()
        path, size, priority = each.text("path") or each.key, each.text("size", needed=True), each.number("priority")
        if at is None or not at.startswith("/"):
            each.note("a file to swap to is in something that is mounted: give that a mountpoint")
        elif ".." in path.split("/") or not path.strip("/"):
            each.note(f"{path!r} is no path of a file in there")
        elif content.first and size is not None:
            words = [word for word in f"{at}/{path}".split("/") if word]
            path = f"/{'/'.join(words)}"
            each.add(on, File, path=path, root=content.root, size=size, priority=priority, options=options)


@for_kind(hooks.to_disko, Area)
def write_area(layer: Area, sheet: Sheet) -> Mapping[str, object]:
    """Write an area, and how it is used."""
    arguments = [*(("-L", layer.label) if layer.label else ()), *(("-U", layer.uuid) if layer.uuid else ())]
    own: dict[str, object] = {"extraArgs": arguments} if arguments else {}
    if layer.label and " " in layer.label:
        own = {
            "label": layer.label,
            **({"uuid": layer.uuid} if layer.uuid else {}),
        }  # Disko would take it for two words
    return {"type": "swap", **own, **sheet.uses(layer)}


@for_kind(hooks.to_disko, Use)
def write_use(layer: Use, sheet: Sheet) -> Mapping[str, object]:
    """Write how it is used; that it is used goes without saying."""
    del sheet
    priority = {"priority": layer.priority} if layer.priority is not None else {}
    options = {"mountOptions": list(layer.options)} if layer.options else {}
    resume = {"resumeDevice": True} if layer.resume else {}
    return {
        "discardPolicy": (layer.discard_policy or "both") if layer.discard else None,
        **priority,
        **options,
        **resume,
    }


@for_kind(hooks.to_disko, File)
def write_file(layer: File, sheet: Sheet) -> Mapping[str, object]:
    """Write a file by its path in what it lies in; where that is mounted nowhere there is no saying it."""
    around = [sheet.graph[each] for below in sheet.graph.under(layer) for each in sheet.graph.standing_on(below.id)]
    places = [each.place.rstrip("/") for each in around if isinstance(each, Mount) and each.directory is None]
    inside = [layer.place.removeprefix(f"{each}/") for each in places if layer.place.startswith(f"{each}/")]
    if not inside or not isinstance(layer.size, Exact):
        return {}
    size = layer.size.bytes
    table: dict[str, object] = {"size": f"{size // MIB}M" if size % MIB == 0 else f"{size}B"}
    if layer.priority is not None:
        table["priority"] = layer.priority
    if layer.options:
        table["options"] = list(layer.options)
    return {"swap": {inside[0]: table}}
