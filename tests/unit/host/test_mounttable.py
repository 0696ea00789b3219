from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pre_nixos.host.mounttable import block_number, decode, namespace_of, parse, permissions, read_mounts

if TYPE_CHECKING:
    from pathlib import Path

OURS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
22 21 0:5 / /proc rw,nosuid shared:2 - proc proc rw
23 21 8:2 / /mnt/with\\040blank rw shared:3 - vfat /dev/sda2 rw,codepage=437
24 21 0:40 /@home /home rw shared:4 - btrfs /dev/sdb rw,subvolid=256,subvol=/@home
25 21 0:41 / /tmp rw shared:5 - tmpfs tmpfs rw
26 21 0:42 / /far ro shared:6 - btrfs /dev/root rw
27 21 0:43 / /nameless rw shared:7 - tmpfs  rw
this is not a mount
"""
FOLLOWS = """\
121 100 8:1 / / rw,relatime master:1 - ext4 /dev/sda1 rw,errors=remount-ro
123 121 8:2 / /mnt/with\\040blank rw master:3 - vfat /dev/sda2 rw,codepage=437
130 121 8:3 / /only/here rw - ext4 /dev/sda3 rw
"""
PRIVATE = """\
221 200 8:1 / / rw,relatime - ext4 /dev/sda1 rw
223 221 8:2 / /mnt/with\\040blank rw - vfat /dev/sda2 rw
"""
SWAPS = """\
Filename				Type		Size	Used	Priority
/dev/sda4                               partition	1000	0	-2
/swap\\040file                           file		1000	0	-3
"""


@pytest.fixture
def proc(tmp_path: Path) -> str:
    """Three namespaces: ours, one that follows it, one that was cut off."""
    for pid, comm, namespace, mounts in (
        (1, "init", 10, OURS),
        (50, "ours-too", 10, OURS),
        (60, "follower", 20, FOLLOWS),
        (61, "another", 20, FOLLOWS),
        (70, "hermit", 30, PRIVATE),
    ):
        process = tmp_path / str(pid)
        (process / "ns").mkdir(parents=True)
        (process / "ns/mnt").symlink_to(f"mnt:[{namespace}]")
        (process / "comm").write_text(comm + "\n")
        (process / "mountinfo").write_text(mounts)
    (tmp_path / "self").symlink_to("1")
    (tmp_path / "swaps").write_text(SWAPS)
    (tmp_path / "sys").mkdir()
    return str(tmp_path)


STACKED = """\
21 1 8:1 / / rw - ext4 /dev/sda1 rw
22 21 8:2 / /data rw - xfs /dev/sda2 rw
23 21 0:50 / /share rw - nfs4 far:/share rw
24 23 8:3 / /share/disk rw - ext4 /dev/sda3 rw
25 21 8:4 / /twice rw - ext4 /dev/sda4 rw
26 21 8:5 / /twice rw - ext4 /dev/sda5 rw
27 21 8:6 / /hidden/below rw - ext4 /dev/sda6 rw
28 21 0:51 / /hidden rw - tmpfs x rw
29 21 0:52 / /run rw - tmpfs x rw
30 29 0:53 / /run/cluster rw - gfs2 /dev/sda7 rw
"""


def test_only_directories_that_answer_at_once_are_asked_for_their_mode(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/mountinfo").write_text(STACKED)
    asked: list[str] = []

    def mode_at(path: str) -> int:
        asked.append(path)
        return 0o1777

    mounts = read_mounts(str(tmp_path), number_at, mode_at).mounts
    assert asked == ["/", "/data", "/twice", "/hidden", "/run"]
    assert [each.device for each in mounts if each.at == "/twice" and each.mode is not None] == ["8:5"]


def test_only_what_answers_at_once_is_asked_for_its_size(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/mountinfo").write_text(STACKED)

    def size_at(type_: str, at: str, number: str) -> int | None:
        return {("xfs", "/data", "8:2"): 300, ("ext4", "/share/disk", "8:3"): 400}.get((type_, at, number))

    mounts = read_mounts(str(tmp_path), number_at, size_at=size_at).mounts
    assert [(each.at, each.size) for each in mounts if each.size is not None] == [("/data", 300)]


def test_a_filesystem_that_turned_read_only_is_so_wherever_it_is_mounted() -> None:
    (line,) = parse("21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 ro,errors=remount-ro")
    assert line.options == ("ro", "relatime", "errors=remount-ro")


def test_what_cannot_be_asked_has_no_mode(tmp_path: Path) -> None:
    assert permissions(str(tmp_path / "nothing")) is None
    tmp_path.chmod(0o750)
    assert permissions(str(tmp_path)) == 0o750


def number_at(path: str) -> str:
    return {"/dev/sdb": "8:16"}.get(path, "")


def test_mounts_are_listed_but_not_those_of_the_kernel(proc: str) -> None:
    table = read_mounts(proc, number_at)
    ours = [(entry.device, entry.at) for entry in table.mounts if not entry.namespace]
    assert [each for each in ours if each[0]] == [
        ("8:1", "/"),
        ("8:2", "/mnt/with blank"),
        ("8:16", "/home"),
        ("0:42", "/far"),
    ]
    assert [at for device, at in ours if not device] == ["/tmp", "/nameless"]
    home = table.mounts[2]
    assert (home.root, home.source, home.type) == ("/@home", "/dev/sdb", "btrfs")
    assert home.options == ("rw", "subvolid=256", "subvol=/@home")
    assert next(each for each in table.mounts if each.at == "/far").options == ("ro",)
    assert table.swaps == ("/dev/sda4", "/swap file")


def test_of_another_namespace_only_what_would_outlive_ours(proc: str) -> None:
    foreign = [entry for entry in read_mounts(proc, number_at).mounts if entry.namespace]
    assert [(entry.namespace, entry.at) for entry in foreign] == [
        ("20 (pid 60 follower)", "/"),
        ("20 (pid 60 follower)", "/only/here"),
        ("30 (pid 70 hermit)", "/"),
        ("30 (pid 70 hermit)", "/mnt/with blank"),
    ]
    assert [namespace_of(entry) for entry in foreign] == [60, 60, 70, 70]


def test_without_a_proc_there_is_nothing(tmp_path: Path) -> None:
    table = read_mounts(str(tmp_path), number_at)
    assert (table.mounts, table.swaps) == ((), ())


def test_this_host_has_a_proc() -> None:
    with open("/proc/self/mountinfo") as file:
        assert any(line.at == "/proc" for line in parse(file.read()))
    assert block_number("/dev/null") == block_number("/nonesuch") == block_number("a\0b") == ""


@pytest.mark.parametrize(
    ("field", "text"),
    [("plain", "plain"), (r"a\040b", "a b"), (r"\134\011\012\043", "\\\t\n#"), ("\\04", "\\04"), (r"x\999", r"x\999")],
)
def test_octal_escapes_are_undone(field: str, text: str) -> None:
    assert decode(field) == text
