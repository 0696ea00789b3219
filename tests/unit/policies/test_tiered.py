"""What the policy wants of whole machines, and that a plan can be made of it."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pre_nixos.backends import disks as disks_backend
from pre_nixos.backends import filesystems, gpt, lvm, mdraid, mounts, swap
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.gpt import Partition
from pre_nixos.backends.lvm import Group, Volume
from pre_nixos.backends.mdraid import Array
from pre_nixos.backends.mounts import Mount
from pre_nixos.backends.swap import Area, Use
from pre_nixos.flow.propose import propose
from pre_nixos.flow.schedule import schedule
from pre_nixos.hooks.registry import Registry
from pre_nixos.model.difference import shortcomings
from pre_nixos.plugin import BlockDevice, Disk, InvalidLayout, Machine, Wanted, exact_bytes
from pre_nixos.policies import tiered
from pre_nixos.policies.tiered import TieredOptions
from pre_nixos.policies.tiered.options import read_sizes
from tests.unit.policies.servers import GB, GIB, MIB, TB, disk, drawn, hdds, server, ssds

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLUGINS = (disks_backend, filesystems, gpt, lvm, mdraid, mounts, swap, tiered)
REGISTRY = Registry({each.__name__: each for each in _PLUGINS})


def wanted(machine: Machine, **options: object) -> Wanted:
    return tiered.propose(machine, msgspec.convert(options, TieredOptions))


def told(wanted: Wanted) -> Mapping[str, str]:
    """Each mount and swap by its place, as `volume group/volume`."""
    graph = wanted.graph
    uses = [(each.at, each.id) for each in graph.of(Mount)] + [("swap", each.id) for each in graph.of(Use)]
    return {
        place: "/".join(
            [*(graph[each].segment for each in graph.below(id_) if isinstance(graph[each], Group | Volume))][::-1]
        )
        or "esp"
        for place, id_ in uses
    }


SSDS_AND_HDDS = [*ssds(TB, TB), *hdds(*[8 * TB] * 4, TB, TB, 3 * TB)]


def test_a_server() -> None:
    found = wanted(server(SSDS_AND_HDDS))
    assert told(found) == {
        "/": "main/slash",
        "/boot": "esp",
        "/home": "main/home",
        "/data": "large/data",
        "/var/tmp": "swap/var_tmp",
        "/var/log": "swap/var_log",
        "swap": "swap/swap",
    }
    assert {each.name: each.level for each in found.graph.of(Array)} == {
        "main": "raid0",
        "large": "raid5",
        "swap": "raid1",
    }
    assert not any("H6" in each for each in found.takes), "a disk that matches no other is not taken"
    assert len(found.takes) == 8
    assert found.named == ()
    assert {each.at: each.mode for each in found.graph.of(Mount) if each.mode} == {"/var/tmp": 0o1777}


def test_labels_are_for_people_and_short_enough_for_every_filesystem() -> None:
    graph = wanted(server([*ssds(*[TB] * 12), *hdds(TB, TB)])).graph
    labels = {each.label for each in graph.of(Filesystem) if each.type == "ext4"}
    assert labels == {"slash", "home", "data"}
    assert [each.label for each in graph.of(Area)] == ["swap"]
    esps = sorted(str(each.label) for each in graph.of(Filesystem) if each.type == "vfat")
    assert esps == sorted(["ESP", *(f"ESP-{count}" for count in range(2, 13))])
    assert max(map(len, esps)) <= 11


def test_every_disk_of_main_has_an_esp_and_the_first_is_mounted() -> None:
    graph = wanted(server([*ssds(TB, TB), *hdds(TB, TB)])).graph
    esps = [each for each in graph.of(Partition) if graph.standing_on(each.id) and _type(each) == "esp"]
    assert sorted(each.id.split("/")[0] for each in esps) == ["disk:Disk-S0", "disk:Disk-S1"]
    assert all(exact_bytes(each.size) == GIB for each in esps)
    mounted = [each for each in graph.of(Mount) if each.at == "/boot"]
    assert [(graph.disks(each.id), each.options) for each in mounted] == [
        (frozenset({"disk:Disk-S0"}), ("fmask=0077", "dmask=0077"))
    ]


def _type(partition: Partition) -> str:
    return partition.describe().split()[0]


@pytest.mark.parametrize(
    ("firmware", "asked", "types"),
    [
        ("uefi", "auto", {"esp", "raid"}),
        ("bios", "auto", {"bios-boot", "raid"}),
        ("bios", "uefi", {"esp", "raid"}),
        ("uefi", "bios", {"bios-boot", "raid"}),
    ],
)
def test_firmware(firmware: str, asked: str, types: set[str]) -> None:
    graph = wanted(server(ssds(TB, TB), firmware=firmware), firmware=asked).graph
    assert {_type(each) for each in graph.of(Partition)} == types
    assert ("/boot" in {each.at for each in graph.of(Mount)}) is ("esp" in types)


def test_one_disk_needs_no_array() -> None:
    for disks in (ssds(TB), hdds(TB), [disk("X", TB, rotational=None)]):
        found = wanted(server(disks))
        assert not found.graph.of(Array)
        assert told(found)["/"] == "main/slash"
        assert {_type(each) for each in found.graph.of(Partition)} == {"esp", "lvm"}


def test_a_small_machine_with_sizes_to_match() -> None:
    machine = server([*ssds(4 * GIB, 4 * GIB), *hdds(6 * GIB, 6 * GIB)], memory=480 * MIB)
    found = wanted(machine, esp="256MiB", slash="2GiB", data="1GiB", swap_cap="512MiB")
    assert told(found) == {
        "/": "main/slash",
        "/boot": "esp",
        "/home": "main/home",
        "/data": "large/data",
        "swap": "large/swap",
    }


@pytest.mark.parametrize("name", ["S1", "naa.5001", "/dev/disk/by-id/ata-Disk_S1", "ata-Disk_S1", "disk:naa.5001"])
def test_naming_disks(name: str) -> None:
    machine = server([disk("S0", TB), disk("S1", TB, wwn="naa.5001", removable=True, transport="usb")])
    assert wanted(machine).takes == ("disk:Disk-S0",)
    found = wanted(machine, disks=[name])
    assert found.takes == found.named == ("disk:naa.5001",)
    assert len(wanted(machine, disks=[name, "S0", name]).takes) == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("S9", "there is no disk 'S9'"),
        ("/dev/sd0s", "is the kernel's name"),
        ("sd0s", "is the kernel's name"),
        ("TWIN", "'TWIN' is 2 disks"),
        ("", "there is no disk ''"),
    ],
)
def test_a_name_that_fits_no_disk_or_two(name: str, said: str) -> None:
    twins = [disk("TWIN", TB, number="8:1", wwn="naa.1"), disk("TWIN", TB, number="8:2", wwn="naa.2")]
    with pytest.raises(InvalidLayout) as refused:
        wanted(server([*ssds(TB), *twins]), disks=["S0", name, "also not there"])
    assert said in refused.value.problems[0]
    assert "'also not there'" in refused.value.problems[1]
    assert "disk Disk S0, 931.3 GiB: disk:Disk-S0" in refused.value.problems[2]


def test_a_named_disk_is_not_left_out_in_silence() -> None:
    machine = server([*ssds(TB, TB), *hdds(4 * TB)])
    with pytest.raises(InvalidLayout, match=r"Disk H0 .* would be left alone: no other HDD"):
        wanted(machine, disks=["S0", "S1", "H0"])
    assert "large" in {each.name for each in wanted(machine, disks=["S0", "S1", "H0"], lone=True).graph.of(Group)}


def test_disks_on_a_network_must_be_named() -> None:
    far = disk("FAR", TB, transport="nvme-tcp")
    assert wanted(server([*ssds(TB), far])).takes == ("disk:Disk-S0",)
    assert wanted(server([*ssds(TB), far]), disks=["FAR"]).takes == ("disk:Disk-FAR",)


def test_no_disks_at_all() -> None:
    with pytest.raises(InvalidLayout, match="at least 1 disk, and none fits") as refused:
        propose(server([disk("STICK", 32 * GB, transport="usb")]), "tiered", registry=REGISTRY)
    assert "Disk STICK, 29.8 GiB (taken only if named)" in str(refused.value)


def test_too_small_for_the_system() -> None:
    with pytest.raises(InvalidLayout, match=r"main/slash is to have 50 GiB, .* Set the option slash to at most"):
        propose(server(ssds(32 * GB)), "tiered", registry=REGISTRY)


def test_too_small_for_the_partitions() -> None:
    with pytest.raises(InvalidLayout, match=r"volume group main needs larger disks .* \(option esp\)"):
        wanted(server(ssds(900 * MIB)))


def test_two_groups_cannot_get_one_name() -> None:
    with pytest.raises(InvalidLayout, match="two volume groups would be named main_1"):
        wanted(server([*ssds(TB, TB, 2 * TB, 2 * TB), *hdds(TB, TB)]), large_name="main_1")


def test_options_come_in_as_plain_values() -> None:
    found = propose(
        server(ssds(TB, TB)),
        "tiered",
        {"careful": "true", "home_share": "10", "disks": ["S0", "S1"]},
        registry=REGISTRY,
    )
    assert [each.level for each in found.graph.of(Array)] == ["raid1"]
    with pytest.raises(InvalidLayout, match="did you mean 'careful'"):
        propose(server(ssds(TB)), "tiered", {"carefull": True}, registry=REGISTRY)


def test_every_option_says_what_it_is_for() -> None:
    schema = msgspec.json.schema(TieredOptions)
    described = schema["$defs"]["TieredOptions"]["properties"]
    assert not [name for name, field in described.items() if not field.get("description")]


@pytest.mark.parametrize("order", list(permutations(range(4)))[::5])
def test_kernel_names_and_the_order_of_disks_do_not_matter(order: tuple[int, ...]) -> None:
    disks = [*ssds(TB, TB), *hdds(TB, TB)]
    shuffled = [_renamed(disks[position], count) for count, position in enumerate(order)]
    assert wanted(server(shuffled)) == wanted(server(disks))


def _renamed(disk: Disk, count: int) -> Disk:
    assert disk.device
    device = msgspec.structs.replace(disk.device, name=f"sd{'abcd'[count]}", number=f"8:{count}", diskseq=count)
    return msgspec.structs.replace(disk, device=device)


MACHINES = {
    "two and two": [*ssds(TB, TB), *hdds(4 * TB, 4 * TB)],
    "one SSD": ssds(TB),
    "one HDD": hdds(TB),
    "all tiers": [*SSDS_AND_HDDS, *(disk(f"T{count}", 2 * TB) for count in range(2)), disk("U", TB, transport="usb")],
    "HDDs only": hdds(*[8 * TB] * 6, TB, TB),
}


@pytest.mark.parametrize("firmware", ["uefi", "bios"])
@pytest.mark.parametrize("disks", MACHINES.values(), ids=MACHINES)
def test_a_plan_leads_there(disks: list[Disk], firmware: str) -> None:
    machine = server(disks, firmware=firmware)
    for options in ({}, {"careful": True}):
        aim = propose(machine, "tiered", options, registry=REGISTRY)
        plan = schedule(machine, aim, registry=REGISTRY)
        assert plan.objections == ()
        assert not shortcomings(plan.result(), aim)
        after = msgspec.structs.replace(machine, graph=plan.result())
        assert schedule(after, wanted(after, **options), registry=REGISTRY).actions == ()


SIZES = st.sampled_from([8 * GB, 120 * GB, 480 * GB, 481 * GB, TB, 4 * TB, 4 * TB + 8 * GB, 16 * TB])
DEVICES = st.lists(
    st.tuples(
        SIZES,
        st.sampled_from([True, False, None]),
        st.sampled_from(["sata", "nvme", "sas", "usb", "mmc", "nvme-tcp", "virtual"]),
        st.sampled_from(["", "", "", "", "boot", "removable", "read_only"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60)
@given(DEVICES, st.booleans(), st.booleans(), st.integers(0, 512 * GIB))
def test_whatever_the_machine(
    given: list[tuple[int, bool | None, str, str]],
    careful: bool,  # noqa: FBT001 - drawn
    lone: bool,  # noqa: FBT001 - drawn
    memory: int,
) -> None:
    disks = drawn(given)
    running_from = [each.id for each, (*_, remark) in zip(disks, given, strict=True) if remark == "boot"]
    machine = server(disks, memory=memory)
    machine = msgspec.structs.replace(
        machine, boot_medium=msgspec.structs.replace(machine.boot_medium, disks=tuple(running_from))
    )
    try:
        found = propose(machine, "tiered", {"careful": careful, "lone": lone}, registry=REGISTRY)
    except InvalidLayout:
        return  # too small for the system, or nothing may be taken
    assert found == propose(machine, "tiered", {"careful": careful, "lone": lone}, registry=REGISTRY)
    for id_ in found.takes:
        device = _device(machine, id_)
        assert id_ not in running_from
        assert not device.removable
        assert not device.read_only
        assert device.transport in {"sata", "nvme", "sas"}
    _nothing_is_larger_than_what_it_is_on(found)
    plan = schedule(machine, found, registry=REGISTRY)
    assert plan.objections == ()
    assert {disk for action in plan.actions for disk in action.touches} <= set(found.takes)
    assert not shortcomings(plan.result(), found)


def _device(machine: Machine, id_: str) -> BlockDevice:
    layer = machine.graph[id_]
    assert layer.device
    return layer.device


def _nothing_is_larger_than_what_it_is_on(found: Wanted) -> None:
    graph = found.graph
    for group in graph.of(Group):
        used = sum(exact_bytes(each.size) for each in graph.parts_of_kind(group, Volume))
        assert used + 2 * 4 * MIB <= graph.space(group) <= sum(graph.space(each) for each in graph.under(group))
    for each in found.takes:
        partitions = [layer for layer in graph.of(Partition) if each in graph.disks(layer.id)]
        assert sum(exact_bytes(layer.size) for layer in partitions) < graph.space(graph[each])


@pytest.mark.parametrize("name", ["slash", "extent"])
def test_what_cannot_be_read_is_said_once(name: str) -> None:
    with pytest.raises(InvalidLayout) as refused:
        read_sizes(msgspec.convert({name: "abc"}, TieredOptions))
    assert refused.value.problems == (f"option {name}: 'abc' is not a size; write for example 512M, 50GiB or 400GB",)
