from __future__ import annotations

import pytest

from pre_nixos.backends import disks, dos, gpt
from pre_nixos.backends.gpt import Partition, Table
from pre_nixos.backends.gpt.types import UNUSED
from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import Registry
from pre_nixos.host.questions import BlockNode, Signature
from pre_nixos.host.survey import Memo
from pre_nixos.model.graph import DeviceGraph
from pre_nixos.model.identity import resolve
from pre_nixos.plugin import MIB, Exact, Health, State
from tests.unit.backends.canned import Canned, disk, part
from tests.unit.backends.gpt.bytes import DISK, ESP, RAID, Device, entry

SIZE = 64 * MIB
ONE, TWO = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
ENTRIES = {1: entry(ESP, ONE, 2048, 8191, "EFI", 4), 2: entry(RAID, TWO, 8192, 131038)}
SDA = disk("sda", "8:0", SIZE)
SDA1 = part("sda", "8:1", 1, MIB, 3 * MIB)
SDA2_SIZE = (131039 - 8192) * 512
SDA2 = part("sda", "8:2", 2, 4 * MIB, SDA2_SIZE)
GPT = Signature(type="gpt", usage="table", uuid=DISK)
MBR = Signature(type="dos", usage="table")
MEMBER = Signature(type="linux_raid_member", usage="raid")
SOUND = Device(SIZE).partitioned(ENTRIES)


def found(*nodes: BlockNode, device: Device = SOUND, signatures: tuple[Signature, ...] = (GPT,)) -> DeviceGraph:
    reader = Canned(nodes, {"8:0": signatures}, {"8:0": device})
    plugins = {"disks": disks, "gpt": gpt, "dos": dos}
    graph = resolve(Calls(Registry(plugins)).probe(Memo(reader)))
    assert reader.reads <= 3, "each read is a process"
    return graph


def test_a_sound_table_is_as_it_says() -> None:
    graph = found(SDA, SDA1, SDA2)
    assert list(graph) == ["disk:naa.sda", "disk:naa.sda/gpt", "disk:naa.sda/gpt/1", "disk:naa.sda/gpt/2"]
    (table,) = graph.of(Table)
    assert (table.uuid, table.state, table.health, table.remark) == (DISK, State.ACTIVE, Health.OK, "")
    first, second = graph.of(Partition)
    assert (first.number, first.start, first.size) == (1, MIB, Exact(bytes=3 * MIB))
    assert (first.type, first.uuid, first.label, first.attributes) == (ESP, ONE, "EFI", 4)
    assert second.label is None
    assert second.device is not None
    assert (second.device.number, second.state) == ("8:2", State.ACTIVE)


def test_wishes_that_are_there_are_fulfilled() -> None:
    first, second = found(SDA, SDA1, SDA2).of(Partition)
    wanted = Table().arrange(SIZE, [Partition(number=1, size="3MiB", type="EF00", label="EFI")])
    assert isinstance(wanted[0], Partition)
    assert not wanted[0].mismatches(first)
    filling = Partition(number=2, size=str(SDA2_SIZE), start=4 * MIB, type="raid")
    assert not filling.mismatches(second)


@pytest.mark.parametrize("only", ["primary", "backup"])
def test_one_copy_is_enough_and_its_lack_is_said(only: str) -> None:
    graph = found(SDA, SDA1, SDA2, device=Device(SIZE).partitioned(ENTRIES, only=[only]))
    (table,) = graph.of(Table)
    other = "primary" if only == "backup" else "backup"
    assert (table.health, table.remark) == (Health.DEGRADED, f"its {other} copy is missing")
    assert all(each.health is Health.OK for each in graph.of(Partition))


def test_what_the_kernel_does_not_show_is_inactive() -> None:
    graph = found(SDA, SDA1)
    (table,) = graph.of(Table)
    assert table.remark == "partition 2 is in the table and not in the kernel"
    second = graph["disk:naa.sda/gpt/2"]
    assert (second.state, second.device) == (State.INACTIVE, None)


def test_what_only_the_kernel_shows_is_no_partition_anybody_wants() -> None:
    graph = found(SDA, SDA1, SDA2, part("sda", "8:3", 3, 60 * MIB, MIB))
    (table,) = graph.of(Table)
    assert table.remark == "partition 3 is in the kernel and not in the table"
    third = graph["disk:naa.sda/gpt/3"]
    assert isinstance(third, Partition)
    assert (third.type, third.start, third.size) == (UNUSED, 60 * MIB, Exact(bytes=MIB))
    assert Partition(number=3, size="1MiB", type="linux").mismatches(third)


def test_a_partition_that_is_elsewhere_in_the_kernel() -> None:
    graph = found(SDA, part("sda", "8:1", 1, 2 * MIB, MIB), SDA2)
    (table,) = graph.of(Table)
    assert table.health is Health.DEGRADED
    assert "partition 1 has 1048576 bytes from byte 2097152 in the kernel" in table.remark


def test_a_table_inside_a_partition_has_partitions_nobody_shows() -> None:
    inside = Canned(
        [SDA, SDA1, SDA2],
        {"8:0": (GPT,), "8:2": (GPT,)},
        {"8:0": SOUND, "8:2": Device(SDA2_SIZE).partitioned({1: entry(ESP, ONE, 2048, 4095)})},
    )
    graph = resolve(Calls(Registry({"disks": disks, "gpt": gpt})).probe(Memo(inside)))
    inner = graph["disk:naa.sda/gpt/2/gpt"]
    assert (inner.health, inner.remark) == (Health.OK, "")
    assert graph["disk:naa.sda/gpt/2/gpt/1"].state is State.INACTIVE


def test_the_table_of_an_array_that_shows_through_its_member_is_not_the_member_s() -> None:
    hidden = Signature(type="gpt", usage="table", uuid=DISK, hidden=True)
    assert not found(SDA, signatures=(MEMBER, hidden)).of(Table)


def test_a_stale_superblock_does_not_hide_a_table_the_kernel_goes_by() -> None:
    hidden = Signature(type="gpt", usage="table", uuid=DISK, hidden=True)
    assert len(found(SDA, SDA1, SDA2, signatures=(MEMBER, hidden)).of(Partition)) == 2


def test_what_is_left_of_a_gpt_below_an_mbr_has_no_partitions_in_force() -> None:
    graph = found(SDA, SDA1, signatures=(MBR, GPT))
    assert {each.id: each.state for each in graph.of(Partition)} == {
        "disk:naa.sda/gpt/1": State.INACTIVE,
        "disk:naa.sda/gpt/2": State.INACTIVE,
    }
    assert graph["disk:naa.sda/dos/1"].state is State.ACTIVE
    assert graph.of(Table)[0].remark == ""


def test_partitions_whose_table_is_gone_are_still_found() -> None:
    graph = found(SDA, SDA1, device=Device(SIZE), signatures=())
    assert list(graph) == ["disk:naa.sda", "disk:naa.sda/kernel", "disk:naa.sda/kernel/1"]
    assert graph["disk:naa.sda/kernel"].describe() == "table that only the kernel knows of"


def test_cloned_disks_keep_their_own_partitions() -> None:
    sdb = disk("sdb", "8:16", SIZE)
    reader = Canned(
        [SDA, SDA1, sdb, part("sdb", "8:17", 1, MIB, 3 * MIB)],
        {"8:0": (GPT,), "8:16": (GPT,)},
        {"8:0": SOUND, "8:16": SOUND},
    )
    graph = resolve(Calls(Registry({"disks": disks, "gpt": gpt})).probe(Memo(reader)))
    assert graph.on("disk:naa.sda/gpt/1") == ("disk:naa.sda/gpt",)
    assert graph.on("disk:naa.sdb/gpt/1") == ("disk:naa.sdb/gpt",)
    other = graph["disk:naa.sdb/gpt/1"].device
    assert other is not None
    assert other.number == "8:17"


def test_what_is_beside_a_table_and_how_its_list_lies_is_known() -> None:
    hybrid = Device(SIZE).partitioned(ENTRIES, slots=56, mbr=(0x83, 0xEE))
    (table,) = found(SDA, SDA1, SDA2, device=hybrid).of(Table)
    assert (table.beside, table.unusual, table.lasting) == (("83",), "has room for 56 partitions, not for 128", True)
    (table,) = found(SDA, SDA1, SDA2).of(Table)
    assert (table.beside, table.unusual, table.lasting) == ((), "", True)
