"""Whether the options somebody asked for are in force, as the kernel shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

UNSAID = {
    "acl": "noacl",
    "async": "sync",
    "atime": "noatime",
    "auto_da_alloc": "noauto_da_alloc",
    "barrier": "nobarrier",
    "barrier=1": "nobarrier",
    "block_validity": "noblock_validity",
    "datacow": "nodatacow",
    "datasum": "nodatasum",
    "delalloc": "nodelalloc",
    "dev": "nodev",
    "diratime": "nodiratime",
    "exec": "noexec",
    "init_itable": "noinit_itable",
    "noautodefrag": "autodefrag",
    "nodiscard": "discard",
    "noflushoncommit": "flushoncommit",
    "noikeep": "ikeep",
    "nolargeio": "largeio",
    "nolazytime": "lazytime",
    "norelatime": "relatime",
    "nostrictatime": "strictatime",
    "suid": "nosuid",
    "symfollow": "nosymfollow",
    "treelog": "notreelog",
    "user_xattr": "nouser_xattr",
}
"""Options the kernel shows by not showing their opposite."""

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

MASKS = frozenset({"umask", "fmask", "dmask"})
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


def of_the_mount(option: str) -> bool:
    """Whether an option is none of the filesystem's own."""
    return option in OF_THE_MOUNT


def missing(wanted: Iterable[str], shown: Collection[str]) -> tuple[str, ...]:
    """List the options that are wanted and not in force."""
    each_shown = {_plain(each) for option in shown for each in _apart(option)}
    return tuple(option for option in wanted if not _in_force(option, each_shown))


def _in_force(option: str, shown: Collection[str]) -> bool:
    name, _, value = option.partition("=")
    if name in FOR_FSTAB or name.startswith(("x-", "X-")) or name == "comment":
        return True
    if option in UNSAID:
        return not any(each == UNSAID[option] or each.startswith(f"{UNSAID[option]}=") for each in shown)
    if option in USUAL and not any(each.startswith(f"{name}=") for each in shown):
        return True
    if option == "strictatime":
        return not {"relatime", "noatime"} & set(shown)
    if name == "umask":
        return all(_plain(f"{mask}={value}") in shown for mask in ("fmask", "dmask"))
    if name in ("uid", "gid") and value == "0":
        return not any(each.startswith(f"{name}=") and each != option for each in shown)
    if name == "size" and value.endswith("%"):
        return any(each.startswith("size=") for each in shown)  # what it comes to is shown, not what was asked for
    if name == "mode" and _plain(option) == "mode=1777" and not any(each.startswith("mode=") for each in shown):
        return True  # what memory has if nothing is said is not shown
    plain = _plain(option)
    # A compression shows the level it was not given: compress=zstd becomes compress=zstd:3.
    return any(each == plain or each.startswith((f"{plain}:", f"{plain}=")) for each in shown)


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
    if name == "size" and value[:-1].isdecimal() and value[-1].lower() in "kmg0123456789":
        number, unit = (value, "") if value.isdecimal() else (value[:-1], value[-1].lower())
        return f"size={int(number) << {'': 0, 'k': 10, 'm': 20, 'g': 30}[unit]}"
    if name in PATHS:
        return f"{name}={value.strip('/')}"
    return f"{name}{equals}{value}"
