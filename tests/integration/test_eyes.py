"""Whatever is on a machine is seen for what it is, on real kernels, and looking at it changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

import pre_nixos as pn
from pre_nixos.backends.btrfs import Btrfs
from pre_nixos.backends.devicemapper import Mapped
from pre_nixos.backends.dmcrypt import Luks, Plain
from pre_nixos.backends.lvm import Group, Orphan, Volume
from pre_nixos.backends.mdraid import Array, Container, Subarray
from pre_nixos.backends.mounts import Mount
from pre_nixos.host.questions import Verdict
from pre_nixos.model.layer import Disk, Health, State, Unrecognised
from tests.integration.zoo import DISKS, MIB, PULLED, STATE, Seen, boot_zoo, freeze, hashes

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    return boot_zoo(boot_shared)


@pytest.fixture(scope="module")
def seen(guest: Guest) -> Seen:
    return Seen(guest)


def test_disks_are_what_they_are(seen: Seen) -> None:
    coarse, plain, mbr = (seen.disk(name).device for name in ("coarse", "plain", "mbr"))
    assert coarse is not None
    assert plain is not None
    assert mbr is not None
    assert (coarse.logical_block, coarse.rotational, coarse.size) == (4096, False, 512 * MIB)
    assert (plain.name, plain.logical_block, plain.wwn) == ("ubda", 512, None)
    assert mbr.rotational
    assert len(seen.graph.of(Disk)) == len(DISKS) - len(PULLED) + 1


def test_what_can_be_taken_out_is_not_taken_unasked_and_what_cannot_be_read_is_immovable(seen: Seen) -> None:
    stick = seen.one(Disk, model="scsi_debug")
    assert stick.device is not None
    assert stick.device.removable
    assert not seen.machine.may_take(stick)
    (content,) = seen.standing(stick)
    assert isinstance(content, Unrecognised)
    assert content.immovable
    assert "not all of its ends could be read" in content.what


def test_a_bare_disk_has_nothing_on_it(seen: Seen) -> None:
    assert seen.standing(seen.disk("blank")) == []


TABLES = {
    "sound": ("coarse", Health.OK, "", ["xfs 'coarse'"]),
    "damaged": ("damaged", Health.DEGRADED, "its primary copy is missing", ["ext4 'two'"]),
}


@pytest.mark.parametrize("case", TABLES)
def test_guid_partition_tables(seen: Seen, case: str) -> None:
    disk, health, remark, content = TABLES[case]
    (table,) = seen.standing(seen.disk(disk))
    assert (table.kind, table.state, table.health) == ("gpt", State.ACTIVE, health)
    assert table.remark.startswith(remark)
    last = seen.standing(table)[-1]
    # Whether the kernel still shows the partitions of a damaged table depends on when it last looked.
    assert seen.content(last) == (content if last.state is State.ACTIVE else [])


def test_an_mbr_with_logical_partitions(seen: Seen) -> None:
    (table,) = seen.standing(seen.disk("mbr"))
    assert table.describe() == "MBR"
    assert [(each.segment, each.describe()) for each in seen.standing(table)] == [
        ("1", "type 83 64 MiB"),
        ("2", "type 82 64 MiB"),
        ("3", "type 05 256 MiB"),
        ("5", "64 MiB"),
        ("6", "64 MiB"),
    ]
    assert [seen.content(seen.part("mbr", number)) for number in (1, 2, 3, 5, 6)] == [
        ["ext4 'first'"],
        ["swap 'second'"],
        ["dos.logical"],
        ["vfat 'FIFTH'"],
        [],
    ]


def test_a_partition_the_kernel_sees_in_a_boot_sector_is_none(seen: Seen) -> None:
    assert seen.content(seen.disk("plain")) == ["vfat 'PLAIN'"]


class Case(NamedTuple):
    """An array as it should be seen."""

    level: str
    members: list[int]
    metadata: str = "1.2"
    state: State = State.ACTIVE
    health: Health = Health.OK
    remark: str = ""
    started: bool = True


ARRAYS = {
    "fine": Case("raid1", [1, 2]),
    "pending": Case("raid1", [3, 4], health=Health.SYNCING, remark="a resync is still to come, and frozen"),
    "running": Case("raid1", [5, 6], health=Health.SYNCING, remark="resync runs"),
    "lonely": Case("raid1", [7], health=Health.DEGRADED, remark="1 of 2 members are missing"),
    "spared": Case("raid5", [8, 9, 10, 11]),
    "bereft": Case("raid1", [12], health=Health.DEGRADED, remark="1 of 2 members are missing"),
    "at-end": Case("raid1", [16, 17], "1.0"),
    "at-start": Case("raid1", [18, 19], "1.1"),
    "asleep": Case("raid1", [20, 21], state=State.INACTIVE, started=False),
    "half": Case("raid1", [22, 23], remark="assembled from 1 of its devices, but not started", started=False),
    "lower-a": Case("raid1", [24, 25]),
    "lower-b": Case("raid1", [26, 27]),
    "upper": Case("raid0", []),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(seen: Seen, name: str) -> None:
    expected = ARRAYS[name]
    array = seen.one(Array, name=name)
    found = Case(
        str(array.level),
        seen.numbers(array),
        array.metadata or "",
        array.state or State.ABSENT,
        array.health,
        array.remark,
        array.device is not None,
    )
    assert found == expected


def test_arrays_of_the_oldest_metadata_have_no_name(seen: Seen) -> None:
    ancient = seen.one(Array, metadata="0.90")
    assert ancient.name == ancient.uuid
    assert seen.numbers(ancient) == [14, 15]


def test_arrays_on_arrays_and_spares(seen: Seen) -> None:
    upper, spared = seen.one(Array, name="upper"), seen.one(Array, name="spared")
    assert [each.title for each in seen.graph.under(upper)] == ["array lower-a", "array lower-b"]
    assert (spared.members, spared.spares) == (3, 1)
    assert seen.graph.disks(upper.id) == {seen.disk("arrays").id}


def test_a_member_that_was_thrown_out_is_a_signature_the_array_does_not_reach(seen: Seen) -> None:
    (content,) = seen.standing(seen.part("arrays", 13))
    assert isinstance(content, Unrecognised)
    assert (content.what, content.immovable) == ("linux_raid_member", False)


@pytest.mark.parametrize("metadata", ["imsm", "ddf"])
def test_containers_of_the_firmware(seen: Seen, metadata: str) -> None:
    container = seen.one(Container, metadata=metadata)
    disks = {seen.disk(f"{metadata}-{letter}").id for letter in "ab"}
    assert seen.graph.disks(container.id) == disks
    (inside,) = (each for each in seen.standing(container) if isinstance(each, Subarray))
    assert (str(inside.level), inside.state, inside.health) == ("raid1", State.ACTIVE, Health.SYNCING)
    assert inside.device is not None


ACTIVE, INACTIVE = State.ACTIVE, State.INACTIVE
GROUPS: dict[str, tuple[State, Health, str, list[int]]] = {
    "kinds": (ACTIVE, Health.OK, "", [1, 2, 3, 4]),
    "my-vg": (ACTIVE, Health.OK, "", [5]),
    "idle": (INACTIVE, Health.OK, "", [6]),
    "onmd": (ACTIVE, Health.OK, "", []),
    "asleep": (INACTIVE, Health.FAILED, "1 of its 2 physical volumes are missing", [12]),
    "awake": (ACTIVE, Health.FAILED, "1 of its 2 physical volumes are missing", [13]),
    "exported": (ACTIVE, Health.OK, "exported: it cannot be activated", [14]),
    "outer": (ACTIVE, Health.OK, "", [15]),
    "inner": (ACTIVE, Health.OK, "", []),
}


@pytest.mark.parametrize("name", GROUPS)
def test_volume_groups(seen: Seen, name: str) -> None:
    group = seen.one(Group, name=name)
    assert (group.state, group.health, group.remark, seen.numbers(group)) == GROUPS[name]


VOLUMES = {
    "kinds/plain": ("linear 16 MiB", ACTIVE, Health.OK),
    "kinds/with-dash": ("linear 16 MiB", ACTIVE, Health.OK),
    "kinds/stripes": ("striped 16 MiB", ACTIVE, Health.OK),
    "kinds/pool": ("thin-pool 48 MiB", ACTIVE, Health.OK),
    "kinds/thin": ("thin 64 MiB in pool", ACTIVE, Health.OK),
    "kinds/thinsnap": ("thin 64 MiB in pool", INACTIVE, Health.OK),
    "kinds/snap": ("snapshot 8 MiB of plain", ACTIVE, Health.OK),
    "kinds/mirrored": ("raid1 16 MiB", ACTIVE, Health.OK),
    "kinds/parity": ("raid5 16 MiB", ACTIVE, Health.OK),
    "kinds/cached": ("cache 16 MiB", ACTIVE, Health.OK),
    "my-vg/r-t": ("linear 16 MiB", ACTIVE, Health.OK),
    "idle/one": ("linear 16 MiB", INACTIVE, Health.OK),
    "onmd/data": ("linear 16 MiB", ACTIVE, Health.OK),
    "inner/deep": ("linear 16 MiB", ACTIVE, Health.OK),
    "asleep/here": ("linear 16 MiB", INACTIVE, Health.OK),
    "asleep/gone": ("linear 16 MiB", INACTIVE, Health.FAILED),
    "asleep/both": ("raid1 16 MiB", INACTIVE, Health.DEGRADED),
    "awake/here": ("linear 16 MiB", ACTIVE, Health.OK),
    "awake/gone": ("linear 16 MiB", ACTIVE, Health.FAILED),
    "awake/both": ("raid1 16 MiB", ACTIVE, Health.DEGRADED),
}


@pytest.mark.parametrize("name", VOLUMES)
def test_volumes(seen: Seen, name: str) -> None:
    volume = seen.graph[f"lvm.group:{name}"]
    assert isinstance(volume, Volume)
    assert (volume.describe(), volume.state, volume.health) == VOLUMES[name]
    offers = volume.state is ACTIVE and not volume.is_pool
    assert (volume.device is not None) == offers


def test_names_with_dashes_and_of_snapshots(seen: Seen) -> None:
    assert seen.one(Volume, name="r-t").mapper == "my--vg-r--t"
    assert seen.one(Volume, name="thinsnap").origin == "thin"


def test_two_groups_of_one_name_are_told_apart(seen: Seen) -> None:
    twins = [each for each in seen.graph.of(Group) if each.name == "twin"]
    assert sorted(each.id for each in twins) == sorted(f"lvm.group:twin#{each.uuid}" for each in twins)
    assert sorted(seen.numbers(each) for each in twins) == [[7], [8]]
    assert all(len(seen.standing(each)) == 1 for each in twins)


def test_a_volume_in_no_group_and_groups_on_other_things(seen: Seen) -> None:
    assert [type(each) for each in seen.standing(seen.part("volumes", 9))] == [Orphan]
    assert [each.title for each in seen.graph.under(seen.one(Group, name="onmd"))] == ["array under"]
    assert [each.id for each in seen.graph.under(seen.one(Group, name="inner"))] == ["lvm.group:outer/pv"]


CRYPT: dict[int, tuple[str | None, str, State, Health, list[str], int]] = {
    1: (None, "2", INACTIVE, Health.OK, [], 1),
    2: ("a name with blanks", "2", ACTIVE, Health.OK, ["unknown data"], 1),
    3: (None, "1", INACTIVE, Health.OK, [], 1),
    4: ("older", "1", ACTIVE, Health.OK, ["swap"], 1),
    6: ("detached", "2", ACTIVE, Health.OK, ["unknown data"], 2),
    7: ("detached", "2", ACTIVE, Health.OK, ["unknown data"], 2),
    8: ("headless", "2", ACTIVE, Health.FAILED, ["unknown data"], 1),
}


@pytest.mark.parametrize("number", CRYPT)
def test_encrypted_volumes(seen: Seen, number: int) -> None:
    (volume,) = seen.standing(seen.part("mapped", number))
    assert isinstance(volume, Luks)
    found = (volume.mapper, volume.version, volume.state, volume.health, seen.content(volume))
    assert (*found, len(seen.graph.on(volume.id))) == CRYPT[number]
    assert volume.orphan == (volume.mapper == "headless")


def test_a_mapping_without_a_header(seen: Seen) -> None:
    (mapping,) = seen.standing(seen.part("mapped", 5))
    assert isinstance(mapping, Plain)
    assert (mapping.mapper, mapping.state) == ("plain", ACTIVE)


def test_raw_tables_also_one_that_stands_still(seen: Seen) -> None:
    found = {each.name: (each.target, each.suspended, each.health) for each in seen.graph.of(Mapped)}
    assert found == {
        "raw": ("linear", False, Health.OK),
        "still": ("linear", True, Health.FAILED),
        "holed": ("linear+error", False, Health.OK),
        "hole": ("error", False, Health.OK),
    }
    assert seen.content(seen.one(Mapped, name="raw")) == ["ext4"]
    still = seen.one(Mapped, name="still")
    assert still.device is not None
    assert f"{still.device.name} was not opened" in " ".join(seen.machine.remarks)


@pytest.mark.parametrize("name", ["hole", "holed"])
def test_what_cannot_be_read_is_left_alone(seen: Seen, name: str) -> None:
    (content,) = seen.standing(seen.one(Mapped, name=name))
    assert isinstance(content, Unrecognised)
    assert content.immovable
    assert "Input/output error" in content.what


STRAY = {
    "zfs": ["signature zfs_member, which no backend claims"],
    "random": ["unknown data"],
    "luks-ext4": ["LUKS1", "ext4"],
    "swap-xfs": ["swap", "xfs"],
}


@pytest.mark.parametrize("name", STRAY)
def test_what_nobody_claims_and_what_several_claim(seen: Seen, name: str) -> None:
    assert seen.content(seen.disk(name)) == STRAY[name]


@pytest.mark.parametrize(
    ("disk", "verdict"),
    [
        ("blank", Verdict.BLANK),
        ("random", Verdict.DATA),
        ("zfs", Verdict.KNOWN),
        ("luks-ext4", Verdict.AMBIGUOUS),
        ("swap-xfs", Verdict.AMBIGUOUS),
    ],
)
def test_verdicts(seen: Seen, disk: str, verdict: Verdict) -> None:
    assert seen.verdict(disk) is verdict


def test_mounts_wherever_they_are(seen: Seen) -> None:
    everywhere = [each for each in seen.graph.of(Mount) if each.at.startswith("/srv")]
    ours = {each.at: each for each in everywhere if not each.namespace}
    assert {at: [under.describe() for under in seen.graph.under(each)] for at, each in ours.items()} == {
        "/srv/used": ["ext4 'used'"],
        "/srv/bound": ["ext4 'used'"],
        "/srv/image": ["ext4 'image'"],
        "/srv/pool": ["btrfs 'pool' over 2 devices"],
    }
    assert ours["/srv/bound"].source_root == "/folder"
    # A private namespace keeps a copy of what was mounted when it was made, and what was mounted in it.
    elsewhere = {each.at: each for each in everywhere if each.namespace}
    assert sorted(elsewhere) == ["/srv/bound", "/srv/hidden", "/srv/image", "/srv/used"]
    hidden = elsewhere["/srv/hidden"]
    assert [under.describe() for under in seen.graph.under(hidden)] == ["ext4 'hidden'"]
    assert "sleep" in hidden.remark


def test_a_filesystem_over_several_devices(seen: Seen) -> None:
    pool = seen.one(Btrfs, label="pool")
    assert seen.graph.disks(pool.id) == {seen.disk("pool-a").id, seen.disk("pool-b").id}
    assert (pool.devices, pool.health) == (2, Health.OK)


def test_swap_in_every_form(seen: Seen) -> None:
    used = {each.id for each in seen.graph.layers() if each.kind in {"swap.use", "swap.file"}}
    first = seen.part("used", 1)
    assert used == {
        f"{first.id}/filesystem/swap@/srv/used/swapfile",
        f"{seen.part('used', 2).id}/swap/swap.use",
        f"{seen.part('mapped', 4).id}/luks/swap/swap.use",
    }


def test_loop_devices_of_files_and_of_devices(seen: Seen) -> None:
    image = seen.graph[f"{seen.part('used', 1).id}/filesystem/loop@/srv/used/image"]
    assert seen.content(image) == ["ext4 'image'"]
    (partition,) = seen.standing(seen.part("used", 4))
    assert partition.kind == "loop"


def test_every_device_is_accounted_for(seen: Seen) -> None:
    """Nothing the kernel shows is missing from the graph, be it as a device or inside something, or said to be none."""
    known = {layer.device.number for layer in seen.graph.layers() if layer.device is not None}
    known.update(*(layer.inner() for layer in seen.graph.layers()))
    unknown = {name for number, name in seen.node_numbers.items() if number not in known}
    none = {remark.partition(" ")[0] for remark in seen.machine.remarks if "is no partition" in remark}
    assert {name for name in unknown if not name.startswith("ram")} == none
    assert len(none) == 1
    holders = [each for each in seen.graph.of(Unrecognised) if each.device is not None]
    assert not holders


def test_what_is_found_can_be_written_down_and_read_back(seen: Seen, tmp_path: Path) -> None:
    path = tmp_path / "machine.json"
    path.write_bytes(pn.dump_machine(seen.machine))
    assert pn.load_machine(str(path)) == seen.machine


def test_looking_changes_not_a_byte_and_starts_nothing(guest: Guest, seen: Seen) -> None:
    del seen  # what it started, it has started
    freeze(guest)
    before, state = hashes(guest, DISKS), guest.script(STATE).stdout
    first = pn.probe(guest.host)
    second = pn.probe(guest.host)
    assert guest.script(STATE).stdout == state
    assert hashes(guest, DISKS) == before
    assert first.graph.wishes() == second.graph.wishes()
