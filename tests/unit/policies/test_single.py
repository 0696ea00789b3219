"""What the policy `single` wants, and which disk it takes for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.gpt import Partition
from pre_nixos.backends.mounts import Mount
from pre_nixos.backends.swap import File
from pre_nixos.plugin import exact_bytes
from pre_nixos.policies.single import SingleOptions
from tests.unit.policies.finished import insist, read_back
from tests.unit.policies.servers import GB, GIB, TB, disk, hdds, server, ssds

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.plugin import Disk


def wanted(*disks: Disk, **options: object) -> pn.Wanted:
    return pn.propose(server(disks), "single", options)


def refused(*disks: Disk, **options: object) -> str:
    with pytest.raises(pn.InvalidLayout) as raised:
        wanted(*disks, **options)
    return str(raised.value)


def taken(*disks: Disk, **options: object) -> str:
    (id_,) = wanted(*disks, **options).takes
    return id_.removeprefix("disk:Disk-")


def test_an_esp_and_everything_else() -> None:
    found = insist(server(ssds(TB)), "single", {})
    assert {each.id for each in found.graph.layers()} == {
        "disk:Disk-S0",
        "disk:Disk-S0/gpt",
        "disk:Disk-S0/gpt/1",
        "disk:Disk-S0/gpt/1/filesystem",
        "disk:Disk-S0/gpt/1/filesystem/mount@/mnt/boot",
        "disk:Disk-S0/gpt/2",
        "disk:Disk-S0/gpt/2/filesystem",
        "disk:Disk-S0/gpt/2/filesystem/mount@/mnt",
    }
    assert {(each.type, each.label) for each in found.graph.of(Filesystem)} == {("vfat", "boot"), ("ext4", "root")}
    assert {each.at: each.options for each in found.graph.of(Mount)} == {
        "/": None,
        "/boot": ("fmask=0077", "dmask=0077"),
    }
    assert found.named == ()


def test_a_few_values_make_another_host() -> None:
    options: dict[str, object] = {
        "disks": ["S1"],
        "esp": "512MiB",
        "boot_label": "EFI",
        "size": "50%",
        "filesystem": "xfs",
        "label": "nixos",
        "swap": "4GiB",
    }
    found = insist(server(ssds(TB, TB)), "single", options)
    assert found.takes == found.named == ("disk:Disk-S1",)
    sizes = {each.number: exact_bytes(each.size) for each in found.graph.of(Partition)}
    assert sizes[1] == GIB // 2
    assert abs(sizes[2] - TB // 2) < GIB
    assert {each.label for each in found.graph.of(Filesystem)} == {"EFI", "nixos"}
    (file,) = found.graph.of(File)
    assert file.place == "/mnt/swapfile"
    assert [each.place for each in found.rooted("/target").graph.of(File)] == ["/target/swapfile"]


def test_on_a_bios_the_boot_loader_has_its_place() -> None:
    machine = server(ssds(TB), firmware="bios")
    found = insist(machine, "single", {})
    assert [each.describe().split()[0] for each in found.graph.of(Partition)] == ["bios-boot", "linux"]
    assert [each.at for each in found.graph.of(Mount)] == ["/"]
    assert {each.at for each in insist(machine, "single", {"firmware": "uefi"}).graph.of(Mount)} == {"/", "/boot"}
    assert len(insist(machine, "single", {"bios_boot": "0"}).graph.of(Partition)) == 1


@pytest.mark.parametrize("options", [{}, {"swap": "2GiB", "size": "40GiB"}])
def test_it_can_be_said_as_a_layout(options: dict[str, object], tmp_path: Path) -> None:
    machine = server(ssds(TB))
    read_back(machine, pn.propose(machine, "single", options), tmp_path)


def test_a_bystander_is_not_taken() -> None:
    machine = server([*ssds(TB), *hdds(4 * TB)])
    found = insist(machine, "single", {"medium": "ssd"})
    assert found.takes == ("disk:Disk-S0",)
    assert not [each for each in found.graph if "H0" in each]


def test_of_several_none_is_taken_and_all_are_listed() -> None:
    said = refused(*ssds(TB, 2 * TB), disk("STICK", 32 * GB, transport="usb"))
    assert "2 disks fit, and one is to be used. Name what is meant (option disks)" in said
    assert "\n  disk Disk S0, 931.3 GiB: disk:Disk-S0\n  disk Disk S1, 1.8 TiB: disk:Disk-S1\n" in said
    assert "\n  disk Disk STICK, 29.8 GiB: disk:Disk-STICK (removable, or attached as if it were; taken only if" in said


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"which": "smallest"}, "A"),
        ({"which": "largest"}, "D"),
        ({"which": "smallest", "medium": "hdd"}, "C"),
        ({"medium": "ssd", "at_least": "200GB"}, "B"),
        ({"at_least": "200GB", "at_most": "1TB"}, "B"),
        ({"which": "largest", "at_most": "2TB"}, "C"),
        ({"disks": ["C"]}, "C"),
    ],
)
def test_which_disk_is_said_by_a_rule(options: dict[str, object], expected: str) -> None:
    disks = [disk("A", 120 * GB), disk("B", 240 * GB)]
    disks += [disk("C", 2 * TB, rotational=True), disk("D", 4 * TB, rotational=True)]
    assert taken(*disks, **options) == expected
    assert taken(*reversed(disks), **options) == expected


@pytest.mark.parametrize("rule", ["smallest", "largest"])
def test_a_rule_that_two_disks_fit_decides_nothing(rule: str) -> None:
    assert f"2 disks fit as the {rule}" in refused(*ssds(TB, TB), which=rule)
    assert f"2 disks fit as the {rule}" in refused(*ssds(TB), *hdds(TB), which=rule)


def test_a_disk_that_is_too_small_is_no_candidate() -> None:
    assert taken(*ssds(8 * GB, TB)) == "S1"
    assert taken(*ssds(8 * GB, TB, 2 * TB), which="smallest") == "S1"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"swap": "2GiB"},
            (
                "of 7.5 GiB the partitions before it and what describes them take 1 GiB, which leaves 6.4 GiB for the "
                "system; it is to have at least 8 GiB (option least) and 2 GiB of swap (option swap): "
                "3.6 GiB too little"
            ),
        ),
        ({"size": "7GiB"}, "the partitions need 1 GiB for partition 1 + 7 GiB for partition 2 and end at 8 GiB"),
        ({"esp": "8GiB"}, "nothing is left for partition 2"),
        ({"at_least": "100GB"}, "is smaller than 93.1 GiB (option at_least)"),
    ],
)
@pytest.mark.parametrize("names", [{}, {"disks": ["S0"]}])
def test_too_small_disks_are_refused_with_the_arithmetic(
    options: dict[str, object], names: dict[str, object], said: str
) -> None:
    answer = refused(*ssds(8 * GB), **options, **names)
    assert said in answer
    assert "disk Disk S0, 7.5 GiB" in answer


@pytest.mark.parametrize(
    "stick",
    [
        disk("X", TB, transport="usb"),
        disk("X", TB, removable=True),
        disk("X", TB, transport="mmc"),
        disk("X", TB, transport="fc"),
        disk("X", TB, transport="nvme-tcp"),
    ],
)
def test_odd_disks_are_taken_only_if_named(stick: Disk) -> None:
    assert "taken only if named" in refused(stick)
    assert taken(stick, disk("A", 2 * TB)) == "A"
    assert taken(stick, disk("A", TB), disks=["X"]) == "X"


def test_neither_what_we_run_from_nor_what_cannot_be_written() -> None:
    disks = [disk("RUN", TB), disk("LOCKED", TB, read_only=True), disk("A", TB)]
    machine = server(disks)
    medium = msgspec.structs.replace(machine.boot_medium, disks=("disk:Disk-RUN",))
    machine = msgspec.structs.replace(machine, boot_medium=medium)
    assert pn.propose(machine, "single").takes == ("disk:Disk-A",)
    with pytest.raises(pn.InvalidLayout) as raised:
        pn.propose(machine, "single", {"at_least": "2TB"})
    assert "(this system runs from it)" in str(raised.value)
    assert "(read-only)" in str(raised.value)
    for name in ("RUN", "LOCKED"):
        assert pn.schedule(machine, pn.propose(machine, "single", {"disks": [name]})).objections


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(pn.InvalidLayout) as raised:
        wanted(*ssds(TB), disks=["S7"], size="much", esp="0", swap="x", at_least="2GB", at_most="1GB")
    said = raised.value.problems
    for part in (
        "option swap: 'x' is not a size",
        "option size: 'much' is not a size",
        "there is no disk 'S7'",
        "options at_least, at_most: no disk has from 1.9 GiB to 953.7 MiB",
        "option esp: '0' leaves UEFI nothing to start from",
    ):
        assert any(part in each for each in said), said
    assert "options size, swap" in refused(*ssds(TB), size="1GiB", swap="1GiB")
    assert "2 disks are named, and one is to be used" in refused(*ssds(TB, TB), disks=["S0", "S1"])
    assert "is no HDD (option medium)" in refused(*ssds(TB), disks=["S0"], medium="hdd")


def test_every_option_says_what_it_is_for() -> None:
    described = msgspec.json.schema(SingleOptions)["$defs"]["SingleOptions"]["properties"]
    assert not [name for name, field in described.items() if not field.get("description")]


def test_no_disks_at_all() -> None:
    assert "no disk fits, and one is needed" in refused()


@pytest.mark.parametrize("which", ["only", "largest", "smallest"])
def test_a_system_stays_where_it_is_whatever_is_plugged_in_later(which: str) -> None:
    alone = server(ssds(TB))
    made = pn.propose(alone, "single", {})
    more = server([*ssds(TB), *hdds(TB // 2, 4 * TB)])
    there = msgspec.structs.replace(
        more,
        graph=more.graph.plus(
            (each, made.graph.on(each.id)) for each in made.graph.layers() if each.id not in more.graph
        ),
    )
    assert pn.propose(there, "single", {"which": which}) == made
