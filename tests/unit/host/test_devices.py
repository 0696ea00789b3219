"""What is made of what was found on a device; the finding itself needs devices and is tested in the lab."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pre_nixos.host import devicechild, devicereader, devices, processes
from pre_nixos.host.companion import Companion
from pre_nixos.host.questions import OpenExclusive, ReadAt, SafeProbe, Verdict
from tests.unit.host.trees import Tree

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.host.devicejobs import Facts, Job

SWAP = {"TYPE": "swap", "USAGE": "other", "UUID": "u", "SBMAGIC_OFFSET": "4086", "SBMAGIC_LENGTH": "10", "VERSION": "1"}
RAID = {"TYPE": "linux_raid_member", "USAGE": "raid", "UUID": "r", "SBMAGIC_OFFSET": "512", "UUID_SUB": "s"}
GPT = {"PTTYPE": "gpt", "PTUUID": "p", "PTMAGIC_OFFSET": "512", "PTMAGIC_LENGTH": "8"}
NOTHING: Facts = {
    "errno": 0,
    "error": "",
    "data": b"",
    "size": 1000,
    "size_after": 1000,
    "safeprobe": 1,
    "winner": {},
    "signatures": [],
    "incomplete": 0,
    "blank": True,
    "window_error": "",
}


@pytest.mark.parametrize(
    ("facts", "paths", "verdict", "error"),
    [
        ({**NOTHING}, "", Verdict.BLANK, ""),
        ({**NOTHING, "blank": False}, "", Verdict.DATA, ""),
        ({**NOTHING, "blank": None}, "", Verdict.DATA, "no signature; its ends were not read"),
        ({**NOTHING, "blank": None, "window_error": "bad"}, "", Verdict.UNREADABLE, "its ends could be read: bad"),
        ({**NOTHING, "size": 0, "size_after": 0}, "", Verdict.UNREADABLE, "no bytes"),
        ({**NOTHING, "size_after": 2000}, "", Verdict.UNREADABLE, "from 1000 to 2000 bytes"),
        ({**NOTHING, "safeprobe": -5}, "", Verdict.UNREADABLE, "Input/output error"),
        ({**NOTHING, "incomplete": -5}, "", Verdict.UNREADABLE, "Input/output error"),
        ({**NOTHING, "incomplete": -1, "signatures": [SWAP]}, "", Verdict.UNREADABLE, "Input/output error"),
        ({**NOTHING, "safeprobe": -2, "signatures": [SWAP, RAID]}, "", Verdict.AMBIGUOUS, "contradict"),
        ({**NOTHING, "safeprobe": 0, "winner": SWAP, "signatures": [SWAP]}, "", Verdict.KNOWN, ""),
        ({**NOTHING, "signatures": [SWAP]}, "", Verdict.KNOWN, ""),
        ({**NOTHING}, "nvme1 is connecting", Verdict.BUSY, "nvme1 is connecting"),
        ({**NOTHING, "signatures": [SWAP]}, "nvme1 is connecting", Verdict.KNOWN, ""),
        ({**NOTHING, "errno": errno.ENXIO, "error": "gone"}, "", Verdict.GONE, "gone"),
        ({**NOTHING, "errno": errno.EBUSY, "error": "busy"}, "", Verdict.BUSY, "busy"),
        ({**NOTHING, "errno": errno.EACCES, "error": "denied"}, "", Verdict.UNREADABLE, "denied"),
    ],
)
def test_blank_is_proven_or_not_said(facts: Facts, paths: str, verdict: Verdict, error: str) -> None:
    content = devices.judge("8:0", facts, paths)
    assert content.verdict is verdict
    assert error in content.error
    assert bool(content.error) == bool(error)


def test_what_libblkid_alone_would_have_said_comes_first() -> None:
    facts: Facts = {**NOTHING, "safeprobe": 0, "winner": RAID, "signatures": [SWAP, RAID, GPT]}
    first, *others = devices.judge("8:0", facts).signatures
    assert (first.type, first.usage, first.uuid, first.offset) == ("linux_raid_member", "raid", "r", 512)
    assert first.detail == {"UUID_SUB": "s"}
    assert [(other.type, other.usage, other.uuid, other.hidden) for other in others] == [
        ("swap", "other", "u", True),
        ("gpt", "table", "p", True),
    ]


def test_what_shows_on_an_encrypted_device_is_no_part_of_it() -> None:
    luks = {"TYPE": "crypto_LUKS", "USAGE": "crypto", "UUID": "l", "SBMAGIC_OFFSET": "0"}
    ext4 = {"TYPE": "ext4", "USAGE": "filesystem", "UUID": "e", "SBMAGIC_OFFSET": "1080"}
    content = devices.judge("8:0", {**NOTHING, "safeprobe": 0, "winner": luks, "signatures": [luks, ext4, GPT]})
    assert content.verdict is Verdict.AMBIGUOUS
    assert [(each.type, each.hidden) for each in content.signatures] == [
        ("crypto_LUKS", False),
        ("ext4", False),
        ("gpt", True),
    ]
    alone = devices.judge("8:0", {**NOTHING, "safeprobe": 0, "winner": luks, "signatures": [luks, GPT]})
    assert alone.verdict is Verdict.KNOWN


def test_nothing_hides_where_libblkid_cannot_decide() -> None:
    facts: Facts = {**NOTHING, "safeprobe": -2, "signatures": [SWAP, RAID]}
    assert not any(signature.hidden for signature in devices.judge("8:0", facts).signatures)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Devices that must not be opened."""
    tree = Tree(tmp_path)
    tree.add("dm-0", "252:0", dm__suspended="1")
    tree.add("dm-1", "252:1", dm__suspended="0")
    tree.stack("dm-1", "dm-0")
    return tree


def test_what_is_gone_or_stuck_is_said_without_opening_it(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "start", None)
    answer = devices.safe_probe(SafeProbe(numbers=("1:1", "252:0", "252:1", "1:1")), tree.sysfs)
    assert [(content.number, content.verdict.value, content.error) for content in answer.devices] == [
        ("1:1", "gone", "there is no block device 1:1"),
        ("252:0", "busy", "dm-0 was not opened: dm-0 is suspended"),
        ("252:1", "busy", "dm-1 was not opened: dm-0 is suspended"),
        ("1:1", "gone", "there is no block device 1:1"),
    ]
    assert devices.read_at(ReadAt(number="252:1", offset=0, length=1), tree.sysfs).error.endswith("dm-0 is suspended")
    assert not devices.open_exclusive(OpenExclusive(number="1:1"), tree.sysfs).free


def test_a_node_that_is_not_there_is_gone(tree: Tree) -> None:
    tree.add("no-such-device", "1:2")
    (content,) = devices.safe_probe(SafeProbe(numbers=("1:2",)), tree.sysfs).devices
    assert (content.verdict, content.error) == (Verdict.GONE, "No such file or directory")
    assert devices.read_at(ReadAt(number="1:2", offset=0, length=1), tree.sysfs).error == "No such file or directory"


def test_a_node_that_is_another_device_is_gone(tree: Tree) -> None:
    tree.add("null", "1:2")
    (content,) = devices.safe_probe(SafeProbe(numbers=("1:2",)), tree.sysfs).devices
    assert (content.verdict, content.error) == (Verdict.GONE, "/dev/null is not device 1:2")


@pytest.mark.parametrize(
    ("child", "error"),
    [
        ("import time; time.sleep(60)", "a read of it did not return within 0.5 s"),
        ("raise RuntimeError('lost')", "the reader of devices failed: RuntimeError: lost"),
        ("raise SystemExit(4)", "the reader of devices failed: it ended"),
    ],
)
def test_a_device_that_gives_no_answer_is_busy(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, child: str, error: str
) -> None:
    monkeypatch.setattr(devices, "READER", Companion([sys.executable, "-I", "-S", "-c", child]))
    tree.add("null", "1:2")
    (content,) = devices.safe_probe(SafeProbe(numbers=("1:2",), timeout=0.5), tree.sysfs).devices
    assert (content.verdict, content.error) == (Verdict.BUSY, error)


def test_one_device_that_hangs_keeps_only_its_own_answer_back(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        f"import sys, time; sys.path.insert(0, {devicechild.ROOT!r}); import pre_nixos.host.devicereader as d; "
        "real = d.work; d.work = lambda job: time.sleep(60) if job['number'] == '1:2' else real(job); d.main()"
    )
    reader = Companion([sys.executable, "-I", "-S", "-c", code])
    monkeypatch.setattr(devices, "READER", reader)
    tree.add("null", "1:2")
    tree.add("zero", "1:4")
    hung, other = devices.safe_probe(SafeProbe(numbers=("1:2", "1:4"), timeout=2.0), tree.sysfs).devices
    assert hung.verdict is Verdict.BUSY
    assert (other.verdict, other.error) == (Verdict.GONE, "/dev/zero is not device 1:4")
    (again,) = devices.safe_probe(SafeProbe(numbers=("1:4",)), tree.sysfs).devices
    assert again == other
    reader.close()


def test_a_defect_in_one_job_is_said_in_its_answer() -> None:
    facts = devicereader.safely({})  # type: ignore[typeddict-item]  # the defect
    assert (facts["errno"], facts["error"]) == (errno.EIO, "KeyError: 'do'")


def test_the_child_needs_nothing_but_the_standard_library() -> None:
    code = (
        f"import sys; sys.path.insert(0, {devicechild.ROOT!r}); "
        "import pre_nixos.host.devicereader, pre_nixos.host.blkid; "
        "print(*sorted({'json', 'msgspec', 'subprocess', 'threading'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.mark.parametrize(
    ("size", "partition", "entry", "types", "safeprobe", "blank"),
    [
        (0, False, b"", [], 1, None),
        (4 << 20, False, b"", [], 1, True),
        (4 << 20, False, bytes(64) + b"\x55\xaa", ["dos"], 0, None),
        (4 << 20, True, bytes(64) + b"\x55\xaa", [], 1, False),
        (4 << 20, True, b"\0\0\0\0\x83\0\0\0\0\1\0\0\0\1\0\0" + bytes(48) + b"\x55\xaa", ["dos"], 0, None),
    ],
)
def test_a_boot_sector_in_a_partition_is_no_table(
    tmp_path: Path,
    size: int,
    partition: bool,  # noqa: FBT001 - a column
    entry: bytes,
    types: list[str],
    safeprobe: int,
    blank: bool | None,  # noqa: FBT001 - a column
) -> None:
    job: Job = {
        "do": "probe",
        "number": "",
        "path": "",
        "align": 512,
        "window": 1 << 20,
        "partition": partition,
        "offset": 0,
        "length": 0,
    }
    path = tmp_path / "file"
    path.write_bytes(bytes(446) + entry if entry else b"")
    os.truncate(path, size)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        facts = devicereader.probe(descriptor, job)
    finally:
        os.close(descriptor)
    assert [found["PTTYPE"] for found in facts["signatures"]] == types
    assert (facts["size"], facts["safeprobe"], facts["blank"]) == (size, safeprobe, blank)
