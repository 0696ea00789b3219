"""Whether the options somebody asked for are in force, as the kernel shows them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

UNSAID = {
    "acl": "noacl",
    "async": "sync",
    "atime": "noatime",
    "auto_da_alloc": "noauto_da_alloc",
    "barrier": "nobarrier",
    "barrier=1": "nobarrier",
    "block_validity": "noblock_validity",
    "bsddf": "minixdf",
    "datacow": "nodatacow",
    "datasum": "nodatasum",
    "delalloc": "nodelalloc",
    "dev": "nodev",
    "dioread_lock": "dioread_nolock",
    "diratime": "nodiratime",
    "exec": "noexec",
    "init_itable": "noinit_itable",
    "noautodefrag": "autodefrag",
    "nodiscard": "discard",
    "noflushoncommit": "flushoncommit",
    "noikeep": "ikeep",
    "nolargeio": "largeio",
    "nolazytime": "lazytime",
    "nostrictatime": "strictatime",
    "suid": "nosuid",
    "symfollow": "nosymfollow",
    "sysvgroups": "grpid",
    "treelog": "notreelog",
    "user_xattr": "nouser_xattr",
    "utf8=0": "utf8",
    "utf8=no": "utf8",
}
"""Options the kernel shows by not showing their opposite."""

SHOWN_AS = {
    "barrier=0": ("nobarrier",),
    "bsdgroups": ("grpid",),
    "check=relaxed": ("check=r",),
    "check=strict": ("check=s",),
    "discard=sync": ("discard",),
    "gquota": ("grpquota",),
    "iversion": ("i_version",),
    "noload": ("norecovery",),
    "nologreplay": ("rescue=nologreplay",),
    "nonumtail=1": ("nonumtail",),
    "nonumtail=yes": ("nonumtail",),
    "norecovery": ("rescue=nologreplay",),
    "pquota": ("prjquota",),
    "qnoenforce": ("uqnoenforce",),
    "quota": ("usrquota",),
    "uquota": ("usrquota",),
    "utf8=1": ("utf8",),
    "utf8=yes": ("utf8",),
}
"""Other names the kernel has for options."""

TELLING = {
    "btrfs": frozenset(
        [
            *("autodefrag", "commit", "compress", "compress-force", "discard", "flushoncommit", "max_inline"),
            *("nobarrier", "nodatacow", "nodatasum", "nossd", "notreelog", "subvol", "subvolid"),
        ]
    ),
    "ext4": frozenset(["commit", "discard", "nobarrier"]),
    "tmpfs": frozenset(["gid", "mode", "size", "uid"]),
    "vfat": frozenset(["dmask", "fmask", "gid", "uid", "umask"]),
}
"""Options of a type's own that are not in force if they are not shown; of all others, that says nothing."""

SILENT = {
    "btrfs": frozenset(["commit=0", "commit=30", "max_inline=2048", "max_inline=2k", "max_inline=2K"]),
    "ext4": frozenset(["commit=0", "commit=5"]),
    "tmpfs": frozenset(["mode=01777", "mode=1777", "size=50%"]),
}
"""What these are if nothing is said, and then may not be shown."""

FIXED = frozenset(["data", "gid", "mode", "subvol", "subvolid", "uid"])
"""Options that a type which takes others while it is mounted does not take then."""

LEVELS = {"zstd": 3, "zlib": 3}
"""The level of a compression that was given none."""
HIGHEST = {"zstd": 15, "zlib": 9}
COMPRESSING = ("compress", "compress-force")
USUAL = frozenset({"data=ordered", "errors=continue"})
"""What is the case where nothing is said, and then is not shown."""

FOR_FSTAB = frozenset(
    {
        "_netdev",
        "auto",
        "defaults",
        "group",
        "loud",
        "noauto",
        "nofail",
        "nomand",
        "norelatime",
        "nogroup",
        "noowner",
        "nouser",
        "owner",
        "silent",
        "user",
        "users",
    }
)
"""Options that are read by others than the kernel, or that change nothing."""

MASKS = frozenset({"allow_utime", "dmask", "fmask", "umask"})
"""Written in octal, with or without a leading zero."""

PATHS = frozenset({"subvol"})
"""Written with or without a leading slash."""


OF_THE_MOUNT = frozenset(
    [
        "ro",
        "rw",
        "suid",
        "nosuid",
        "dev",
        "nodev",
        "exec",
        "noexec",
        "atime",
        "noatime",
        "diratime",
        "nodiratime",
        "relatime",
        "norelatime",
        "strictatime",
        "nostrictatime",
        "sync",
        "async",
        "dirsync",
        "lazytime",
        "nolazytime",
        "symfollow",
        "nosymfollow",
    ]
)
"""Options that every type has, because they are not its own."""


ANYWAY = frozenset(
    ["attr2", "discard=async", "errors=remount-ro", "inode64", "noquota", "relatime", "rw", "seclabel", "ssd", *USUAL]
)
"""Options the kernel shows whether or not anybody asked for them."""
OF_ITS_OWN = frozenset(
    [
        "codepage",
        "iocharset",
        "logbsize",
        "logbufs",
        "nr_inodes",
        "shortname",
        "space_cache",
        "stripe",
        "subvol",
        "subvolid",
        "sunit",
        "swidth",
    ]
)
"""Options whose values the kernel finds by itself, or that say what is mounted and not how."""
USUAL_MASK = "0022"


def asked_for(shown: Iterable[str]) -> tuple[str, ...]:
    """Leave out of the options in force what would be so if nobody had asked for anything."""
    told = [each for each in shown if each not in ANYWAY and each.partition("=")[0] not in OF_ITS_OWN]
    masks = {name: value for name, _, value in (each.partition("=") for each in told) if name in {"fmask", "dmask"}}
    rest = [each for each in told if each.partition("=")[0] not in masks]
    if len(set(masks.values())) == 1 and len(masks) == 2:
        masks = {"umask": masks["fmask"]}
    return (*rest, *(f"{name}={value}" for name, value in sorted(masks.items()) if value != USUAL_MASK))


def of_the_mount(option: str) -> bool:
    """Whether an option is none of the filesystem's own."""
    return option in OF_THE_MOUNT


def overruled(options: Iterable[str], earlier: Iterable[str]) -> tuple[str, ...]:
    """List the options that a filesystem cannot have beside those it was mounted with elsewhere."""
    given = [each for each in earlier if not of_the_mount(each)]
    return tuple(option for option in options if any(_contradict(option, each) for each in given))


def _contradict(one: str, other: str) -> bool:
    names = [each.partition("=")[0] for each in (one, other)]
    compressing = [name in COMPRESSING for name in names]
    plain = [each in {"nodatacow", "nodatasum"} for each in (one, other)]
    if any(compressing) and any(plain):
        return not any(each.endswith(("=no", "=none")) for each in (one, other))
    return (all(compressing) or names[0].removeprefix("no") == names[1].removeprefix("no")) and (
        _plain(one) != _plain(other)
    )


def missing(wanted: Iterable[str], shown: Collection[str], type_: str | None = None) -> tuple[str, ...]:
    """List the options that are wanted and visibly not in force.

    What the kernel took and does not show leaves no trace: only a few are known not to be in force because of that.
    Without a type, whatever tells with any type does.
    """
    each_shown = {_plain(each) for option in shown for each in _apart(option)}
    telling, silent = _of_type(TELLING, type_), _of_type(SILENT, type_)
    return tuple(option for option in wanted if not _in_force(option, each_shown, telling, silent))


def _of_type(table: Mapping[str, frozenset[str]], type_: str | None) -> frozenset[str]:
    return frozenset[str]().union(*table.values()) if type_ is None else table.get(type_, frozenset())


def _in_force(option: str, shown: Collection[str], telling: Collection[str], silent: Collection[str]) -> bool:
    name, _, value = option.partition("=")
    if name in FOR_FSTAB or name.startswith(("x-", "X-")) or name == "comment":
        return True
    if name in COMPRESSING and value in {"no", "none"}:
        return not any(each.partition("=")[0] in COMPRESSING for each in shown)
    if option in UNSAID:
        return not any(each == UNSAID[option] or each.startswith(f"{UNSAID[option]}=") for each in shown)
    if option == "strictatime":
        return not {"relatime", "noatime"} & set(shown)
    if of_the_mount(option):
        return option in shown
    return _of_its_own(option, shown, telling, silent)


def _of_its_own(option: str, shown: Collection[str], telling: Collection[str], silent: Collection[str]) -> bool:
    """Whether an option of the filesystem's own is in force, as far as what is shown tells."""
    name, _, value = option.partition("=")
    if name == "umask" and "umask" in telling:
        return all(_plain(f"{mask}={value}") in shown for mask in ("fmask", "dmask"))
    if name in ("uid", "gid") and value == "0":
        return not any(each.startswith(f"{name}=") and each != option for each in shown)
    if not {_plain(option), *SHOWN_AS.get(option, ())}.isdisjoint(shown):
        return True
    names = {each.partition("=")[0] for each in shown}
    if (name.removeprefix("no") if name.startswith("no") else f"no{name}") in names:
        return False
    if name in names:
        return _is_one_of(option, [each for each in shown if each.partition("=")[0] == name])
    return {name, *SHOWN_AS.get(option, ())}.isdisjoint(telling) or option in silent or option in USUAL


def _is_one_of(option: str, shown: Collection[str]) -> bool:
    """Whether what is shown under the same name is what was asked for, in other words."""
    name, _, value = option.partition("=")
    if name in COMPRESSING:
        return False  # with the level it has
    if not value or value.endswith("%"):
        return True  # what it comes to is shown, not what was asked for
    asked = _number(value)
    for each in shown:
        there = _number(each.partition("=")[2])
        if asked is None or there is None:
            continue
        is_rounded = name == "size" and asked <= there < asked + PAGE
        is_capped = name == "max_inline" and asked > there >= BLOCK
        if asked == there or is_rounded or is_capped:
            return True
    return False


PAGE = 1 << 16
"""The largest page of memory, in which sizes are counted there."""
BLOCK = 4096
"""The smallest block of a btrfs, more than which is never in line."""
_NUMBER = re.compile(r"(0x[0-9a-f]+|[0-9]+)([kmgtpe]?)", re.IGNORECASE)


def _number(value: str) -> int | None:
    """Give the number a value is, whatever the unit."""
    found = _NUMBER.fullmatch(value)
    if found is None:
        return None
    return int(found[1], 16 if found[1][:2] in {"0x", "0X"} else 10) << 10 * " kmgtpe".index(found[2].lower() or " ")


def _apart(option: str) -> tuple[str, ...]:
    """A umask is shown as the two masks it sets; what was only planned still has it whole."""
    name, _, value = option.partition("=")
    return (f"fmask={value}", f"dmask={value}") if name == "umask" else (option,)


def _plain(option: str) -> str:
    name, equals, value = option.partition("=")
    if name in MASKS and value and set(value) <= set("01234567"):
        return f"{name}={int(value, 8):04o}"
    if name == "mode" and value and set(value) <= set("01234567"):
        return f"mode={int(value, 8):o}"
    if name in PATHS:
        return f"{name}={value.strip('/')}"
    if name in COMPRESSING:
        kind, _, level = (value or "zlib").partition(":")
        if kind in LEVELS and not level.strip("-0123456789"):
            return f"{name}={kind}:{min(int(level or 0), HIGHEST[kind]) or LEVELS[kind]}"
        return f"{name}={kind}"
    return f"{name}{equals}{value}"
