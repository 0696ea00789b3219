"""detect: blank is proven, what cannot be read is never called blank, and what is no storage is not looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pre_nixos.hooks.registry import installed
from pre_nixos.host.questions import (
    BlockNode,
    Command,
    Content,
    Contents,
    LookAround,
    MountEntry,
    Question,
    Ran,
    ReadFile,
    SafeProbe,
    Signature,
    Surroundings,
    Text,
    Verdict,
)
from pre_nixos.installer.detect import Found, detect_storage
from tests.unit.backends.canned import Canned, disk, part

if TYPE_CHECKING:
    from collections.abc import Mapping

A = TypeVar("A")
GB = 1000**3
EXT4 = Signature(type="ext4", usage="filesystem", offset=1080, length=2, uuid="5e1f")


class Zeros:
    def read(self, offset: int, length: int) -> bytes:
        del offset
        return bytes(length)


class There(Canned):
    """A machine whose devices hold what is said of them, and nothing where nothing is said."""

    def __init__(
        self,
        *nodes: BlockNode,
        holds: Mapping[str, Verdict] = {},
        signatures: Mapping[str, Signature] = {},
        mounts: tuple[MountEntry, ...] = (),
        root: bool = True,
    ) -> None:
        held = {each: [found] for each, found in signatures.items()}
        super().__init__(nodes, held, {each: Zeros() for each in held}, mounts=mounts)
        self._holds = holds
        self._root = root
        self.read: list[str] = []

    def ask(self, question: Question[A]) -> A:
        asked: Any = question
        answer: Any
        match asked:
            case LookAround():
                answer = Surroundings(memory=1 << 30, architecture="x86_64", firmware="uefi", root=self._root)
            case Command():
                answer = Ran(status=-1, error="missing")
            case ReadFile():
                answer = Text(error="missing")
            case SafeProbe(numbers=numbers):
                self.read += numbers
                told = Contents(devices=tuple(self._told(each) for each in numbers))
                answer = told
            case _:
                answer = super().ask(asked)
        return answer  # type: ignore[no-any-return]  # as each question declares

    def _told(self, number: str) -> Content:
        if number in self._holds:
            return Content(number=number, verdict=self._holds[number], error="Input/output error")
        return self._content(number)


def found(there: There) -> Found:
    return detect_storage(there, registry=installed()).found


SDA, SDB = disk("sda", "8:0", 500 * GB), disk("sdb", "8:16", 500 * GB)


def test_disks_that_were_read_and_hold_nothing_are_blank() -> None:
    storage = detect_storage(There(SDA, SDB), registry=installed())
    assert (storage.found, storage.found.exit_status) == (Found.BLANK, 0)
    assert storage.in_words() == "2 disks, and nothing on any of them"


@pytest.mark.parametrize("verdict", [Verdict.UNREADABLE, Verdict.BUSY, Verdict.GONE])
def test_a_disk_that_cannot_be_read_is_undetermined_and_never_blank(verdict: Verdict) -> None:
    storage = detect_storage(There(SDA, SDB, holds={"8:16": verdict}), registry=installed())
    assert (storage.found, storage.found.exit_status) == (Found.UNDETERMINED, 4)
    assert "sdb" in storage.in_words()


@pytest.mark.parametrize("state", ["offline", "transport-offline"])
def test_a_disk_out_of_reach_is_undetermined_and_is_not_opened(state: str) -> None:
    there = There(SDA, disk("sdb", "8:16", GB, **{"device/state": state}))
    assert found(there) is Found.UNDETERMINED
    assert "8:16" not in there.read


@pytest.mark.parametrize("verdict", [Verdict.DATA, Verdict.AMBIGUOUS])
def test_bytes_that_nobody_claims_are_something(verdict: Verdict) -> None:
    assert found(There(SDA, holds={"8:0": verdict})) is Found.OCCUPIED


def test_a_signature_is_something_on_a_disk_and_on_a_partition() -> None:
    assert found(There(SDA, SDB, signatures={"8:16": EXT4})) is Found.OCCUPIED
    gpt = Signature(type="gpt", usage="table")
    nodes = (SDA, part("sda", "8:1", 1, 1 << 20, GB))
    assert found(There(*nodes, signatures={"8:0": gpt})) is Found.OCCUPIED


def test_something_is_something_whatever_else_cannot_be_read() -> None:
    there = There(SDA, SDB, signatures={"8:0": EXT4}, holds={"8:16": Verdict.UNREADABLE})
    assert found(there) is Found.OCCUPIED


def test_what_is_no_storage_is_ignored() -> None:
    others = [
        BlockNode(name="fd0", number="2:0", attributes={"size": "2880"}, path="/sys/devices/platform/fd/block/fd0"),
        disk("sr0", "11:0", GB),
        BlockNode(name="loop0", number="7:0", attributes={"size": "99"}, path="/sys/devices/virtual/block/loop0"),
        BlockNode(name="ram0", number="1:0", attributes={"size": "99"}, path="/sys/devices/virtual/block/ram0"),
        BlockNode(name="zram0", number="252:0", attributes={"size": "99"}, path="/sys/devices/virtual/block/zram0"),
    ]
    there = There(*others, signatures={"7:0": EXT4, "252:0": EXT4})
    storage = detect_storage(there, registry=installed())
    assert (storage.found, storage.found.exit_status, storage.disks) == (Found.NONE, 5, ())
    assert not {"2:0", "11:0", "1:0", "252:0"}.intersection(there.read)
    assert found(There(*others, SDA)) is Found.BLANK


def test_a_machine_without_disks_is_not_blank() -> None:
    assert found(There()) is Found.NONE


def test_what_the_system_runs_from_does_not_count() -> None:
    image = MountEntry(device="8:16", root="/", at="/iso", type="iso9660", source="/dev/sdb")
    iso = Signature(type="iso9660", usage="filesystem")
    storage = detect_storage(There(SDA, SDB, signatures={"8:16": iso}, mounts=(image,)), registry=installed())
    assert storage.found is Found.BLANK
    assert [each.name for each in storage.disks] == ["sda"]
    assert found(There(SDB, signatures={"8:16": iso}, mounts=(image,))) is Found.NONE


def test_where_it_cannot_be_told_what_the_system_runs_from_nothing_is_blank() -> None:
    strange = MountEntry(device="0:50", root="/", at="/", type="cephfs", source="x")
    storage = detect_storage(There(SDA, mounts=(strange,)), registry=installed())
    assert storage.found is Found.UNDETERMINED
    assert any("what this system runs from" in each for each in storage.remarks)


def test_who_may_not_read_disks_does_not_know() -> None:
    there = There(SDA, root=False)
    assert found(there) is Found.UNDETERMINED
    assert there.read == []
