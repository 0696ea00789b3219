from __future__ import annotations

import pytest

from pre_nixos.host.doing.options import parse_options, subvolume

RDONLY, NOSUID, NODEV, NOEXEC, NOATIME, RELATIME = 1, 2, 4, 8, 1 << 10, 1 << 21


@pytest.mark.parametrize(
    ("options", "flags", "data"),
    [
        ((), 0, ""),
        (("defaults",), 0, ""),
        (("ro", "nosuid", "nodev", "noexec"), RDONLY | NOSUID | NODEV | NOEXEC, ""),
        (("ro", "rw"), 0, ""),
        (("relatime", "noatime"), NOATIME, ""),
        (("noatime", "relatime"), RELATIME, ""),
        (("subvol=@home", "compress=zstd:3", "noatime"), NOATIME, "subvol=@home,compress=zstd:3"),
        (("umask=0077,fmask=0077",), 0, "umask=0077,fmask=0077"),
        (("nofail", "noauto", "x-systemd.automount", "_netdev", "comment=a", "user", "errors=remount-ro"), 0,
         "errors=remount-ro"),
        (('context="a:b,c"', "discard"), 0, 'context="a:b,c",discard'),
        (("user_xattr", "userquota"), 0, "user_xattr,userquota"),
    ],
)  # fmt: skip
def test_options_go_to_whoever_reads_them(options: tuple[str, ...], flags: int, data: str) -> None:
    parsed = parse_options(options)
    assert (parsed.flags, parsed.data) == (flags, data)


@pytest.mark.parametrize("option", ["bind", "remount", "rbind", "move", "loop=/dev/loop1", "rshared"])
def test_other_operations_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match="something else than mounting"):
        parse_options(["ro", option])


@pytest.mark.parametrize(
    ("options", "expected"),
    [((), "/"), (("subvol=@",), "/@"), (("ro,subvol=/a/b/",), "/a/b"), (("subvol=/",), "/")],
)
def test_subvolumes(options: tuple[str, ...], expected: str) -> None:
    assert subvolume(options) == expected
