"""LUKS volumes in layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pre_nixos.backends.arguments import faults, harmless
from pre_nixos.backends.dmcrypt.activate import CIPHER, KEY_SIZE
from pre_nixos.backends.dmcrypt.further import MAKING, OPENING
from pre_nixos.backends.dmcrypt.kinds import Luks, Plain
from pre_nixos.plugin import for_kind, for_type, hooks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pre_nixos.plugin import Fragment, Handle, Sheet

FILE, KEYFILE, PROMPT = "file:", "keyfile:", "prompt:"
"""A passphrase on the first line of a file; a key that is all of a file; what a person is asked for."""
LONG = {"-c": "--cipher", "-h": "--hash", "-s": "--key-size", "-i": "--iter-time"}
TEXTS = {"--type": "version", "--label": "label", "--uuid": "uuid", "--cipher": "cipher", "--pbkdf": "pbkdf"}
NUMBERS = {
    "--key-size": "key_size",
    "--sector-size": "sector_size",
    "--iter-time": "iter_time",
    "--pbkdf-force-iterations": "pbkdf_iterations",
    "--pbkdf-memory": "pbkdf_memory",
    "--pbkdf-parallel": "pbkdf_parallel",
}
"""Arguments that are fields: what can be is compared with what is there."""
FLAGS = ("fallbackToPassword", "preLVM", "tryEmptyPassphrase")
"""Settings for the system that opens it at boot."""
DISCARDS = "--allow-discards"
UNQUEUED = ("--perf-no_read_workqueue", "--perf-no_write_workqueue")


@for_type(hooks.from_disko, "luks")
def read_luks(content: Fragment, on: Sequence[Handle]) -> None:
    """Read a volume, where its keys are to come from, and what is in it."""
    name = content.text("name", needed=True)
    settings = content.child("settings")
    keys = _keys(content, settings, name or content.path)
    discards, unqueued = _said(settings, "allowDiscards"), _said(settings, "bypassWorkqueues")
    at_boot = tuple(_at_boot(settings)) if settings is not None else ()
    not_told = settings.pass_over() if settings is not None else ()
    fields, arguments = _format_arguments(content)
    opening = list(content.words("extraOpenArgs"))
    discards = discards or (True if DISCARDS in opening else discards)
    unqueued = unqueued or (True if set(UNQUEUED) <= set(opening) else unqueued)
    plain = {DISCARDS, "--persistent", *(UNQUEUED if unqueued else ())}
    opening = [each for each in opening if each not in plain]
    for key, words, tool in (("extraFormatArgs", arguments, MAKING), ("extraOpenArgs", opening, OPENING)):
        for each in faults(words, tool):
            content.note(each, key)
    handle = content.spoilt(on)
    if name is not None:
        handle = content.add(
            on,
            Luks,
            mapper=name,
            keys=keys,
            arguments=harmless(tuple(arguments), MAKING),
            allow_discards=discards,
            bypass_workqueues=unqueued,
            open_arguments=harmless(tuple(opening), OPENING),
            initrd=content.flag("initrdUnlock", default=True),
            at_boot=at_boot,
            not_told=tuple(not_told),
            **fields,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - each was read as what its field is
        )
    content.content(handle)


def _said(settings: Fragment | None, key: str) -> bool | None:
    """Give what is said about how it is to be open, if anything is."""
    return settings.flag(key) if settings is not None and settings.has(key) else None


def _at_boot(settings: Fragment) -> Iterator[tuple[str, bool | int | tuple[str, ...]]]:
    """Give what is for the system that opens it at boot."""
    for key in FLAGS:
        if settings.has(key):
            yield key, settings.flag(key)
    seconds, options = settings.number("keyFileTimeout"), settings.texts("crypttabExtraOpts")
    if seconds is not None:
        yield "keyFileTimeout", seconds
    if options is not None:
        yield "crypttabExtraOpts", options


def _keys(content: Fragment, settings: Fragment | None, name: str) -> tuple[str, ...]:
    """Give references to its keys: the one Disko would use, then the additional ones."""
    said = content.texts("keys")
    file, password = content.text("keyFile"), content.text("passwordFile")
    inner = settings.text("keyFile") if settings is not None else None
    further = [f"{KEYFILE}{each}" for each in content.texts("additionalKeyFiles") or ()]
    asks = content.flag("askPassword")
    if settings is not None:
        for key in ("keyFileSize", "keyFileOffset"):
            if settings.number(key):
                settings.note("a key is all of its file; put it into one of its own", key)
    for table, key, paths in (
        (content, "keyFile", [file]),
        (content, "passwordFile", [password]),
        (settings, "keyFile", [inner]),
        (content, "additionalKeyFiles", content.texts("additionalKeyFiles") or ()),
    ):
        if table is not None and not all(each.startswith("/") for each in paths if each):
            # What it is instead may be the passphrase itself: it is not repeated.
            table.note("a key file is a path from the root, and what is written here is not", key)
    if said is not None:
        return said
    first = f"{PROMPT}{name}"
    if inner is not None:
        first = f"{KEYFILE}{inner}"
    elif not asks and password is not None:
        first = f"{FILE}{password}"
    elif not asks and file is not None:
        first = f"{KEYFILE}{file}"
    return (first, *further)


def _format_arguments(content: Fragment) -> tuple[dict[str, str | int], list[str]]:
    """Take what there are fields for out of the arguments of the maker."""
    fields: dict[str, str | int] = {}
    left: list[str] = []
    words = [part for word in content.words("extraFormatArgs") for part in _apart(word)]
    while words:
        word = LONG.get(words[0], words[0])
        value = words[1] if len(words) > 1 else ""
        if word in NUMBERS and value.isdecimal():
            fields[NUMBERS[word]] = int(value)
        elif word in TEXTS and value:
            fields[TEXTS[word]] = value.removeprefix("luks") or "2" if word == "--type" else value
        else:
            left.append(words.pop(0))
            continue
        del words[:2]
    for field, key in (("label", "label"), ("uuid", "uuid")):
        said = content.text(key)
        if said:
            fields[field] = said
    return fields, left


def _apart(word: str) -> Sequence[str]:
    """Take `--option=value` apart where there is a field for it."""
    option, equals, value = word.partition("=")
    return (option, value) if equals and (option in TEXTS or option in NUMBERS) else (word,)


@for_kind(hooks.to_disko, Luks)
def write_luks(layer: Luks, sheet: Sheet) -> Mapping[str, object]:
    """Write a volume; where its keys come from as Disko says it, if it has words for that."""
    if layer.mapper is None:
        return {}  # nobody knows what it would be opened as
    settings: dict[str, object] = {
        key: said
        for key, said in (("allowDiscards", layer.allow_discards), ("bypassWorkqueues", layer.bypass_workqueues))
        if said is not None
    }
    settings |= {key: list(said) if isinstance(said, tuple) else said for key, said in layer.at_boot}
    keys, key_file = _written_keys(layer)
    arguments: list[str] = []
    own: dict[str, object] = {}
    for option, field in (*TEXTS.items(), *NUMBERS.items()):
        value = getattr(layer, field)
        if value is None:
            continue
        if " " in str(value):
            own[field] = value  # Disko would take it for two words
        else:
            arguments += [option, f"luks{value}" if field == "version" else str(value)]
    arguments += layer.arguments
    found: dict[str, object] = {"type": "luks", "name": layer.mapper, **keys, **own}
    if settings or key_file:
        found["settings"] = {**settings, **key_file}
    if arguments:
        found["extraFormatArgs"] = arguments
    if layer.open_arguments:
        found["extraOpenArgs"] = list(layer.open_arguments)
    for each in layer.not_told:
        sheet.omits(layer, f"the setting {each}")
    if not layer.initrd:
        found["initrdUnlock"] = False
    return {**found, **sheet.content(layer)}


@for_kind(hooks.to_disko, Plain)
def write_plain(layer: Plain, sheet: Sheet) -> Mapping[str, object]:
    """Write swap that is encrypted with a key nobody keeps; nothing else of this kind has words in layouts."""
    inside = sheet.content(layer).get("content")
    unusual = layer.cipher not in {None, CIPHER} or layer.key_size not in {None, KEY_SIZE}
    if not isinstance(inside, dict) or unusual or layer.mapper is None:
        return {}
    table = cast("dict[str, object]", inside)
    if table["type"] != "swap" or bool(layer.allow_discards) is not (table.get("discardPolicy") is not None):
        return {}
    return {**table, "randomEncryption": True, "mapper": layer.mapper}


def _written_keys(layer: Luks) -> tuple[dict[str, object], dict[str, object]]:
    """Give the keys of the table that say where its keys come from, and those of its settings."""
    first, *further = layer.keys or ("",)
    if not first:
        return {"keys": []}, {}
    files = [each.removeprefix(KEYFILE) for each in further if each.startswith(f"{KEYFILE}/")]
    additional: dict[str, object] = {"additionalKeyFiles": files} if files else {}
    if len(files) == len(further):
        if first.startswith(f"{FILE}/"):
            return {"passwordFile": first.removeprefix(FILE), **additional}, {}
        if first.startswith(f"{KEYFILE}/"):
            return additional, {"keyFile": first.removeprefix(KEYFILE)}
        if first == f"{PROMPT}{layer.mapper}":
            return additional, {}
    return {"keys": list(layer.keys)}, {}
