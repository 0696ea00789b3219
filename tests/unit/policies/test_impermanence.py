"""What the policy `impermanence` wants, on one disk and on a mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.backends.btrfs import Btrfs, Subvolume
from pre_nixos.backends.dmcrypt import Luks
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.gpt import Partition
from pre_nixos.backends.mdraid import Array
from pre_nixos.backends.mounts import Mount
from pre_nixos.backends.swap import File
from pre_nixos.policies.impermanence import ImpermanenceOptions
from tests.unit.policies.finished import insist, read_back
from tests.unit.policies.servers import GB, TB, disk, hdds, server, ssds

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.plugin import Disk


def wanted(*disks: Disk, **options: object) -> pn.Wanted:
    return pn.propose(server(disks), "impermanence", options)


def refused(*disks: Disk, **options: object) -> str:
    with pytest.raises(pn.InvalidLayout) as raised:
        wanted(*disks, **options)
    return str(raised.value)


def test_one_disk() -> None:
    graph = insist(server(ssds(TB)), "impermanence", {}).graph
    (volume,) = graph.of(Luks)
    assert volume.id == "disk:Disk-S0/gpt/2/luks"
    assert (volume.mapper, volume.label, volume.version) == ("cryptroot", "luks", "2")
    assert volume.keys == ("prompt:cryptroot",), "a person is asked if nothing is said"
    assert not volume.allow_discards
    (pool,) = graph.of(Btrfs)
    assert graph.on(pool.id) == (volume.id,)
    subvolumes = {each.name: (each.origin, each.read_only) for each in graph.parts_of_kind(pool, Subvolume)}
    assert subvolumes == {
        **dict.fromkeys(("root", "home", "nix", "persist", "log"), (None, None)),
        "root-blank": ("root", True),
    }
    mounts = {each.at: each.options for each in graph.of(Mount)}
    assert mounts == {
        **dict.fromkeys(("/", "/home", "/nix", "/persist", "/var/log"), ("compress=zstd", "noatime")),
        "/boot": ("fmask=0077", "dmask=0077"),
    }
    assert [(each.type, each.label) for each in graph.of(Filesystem)] == [("vfat", "boot")]
    assert not graph.of(Array)


def test_a_mirror_has_the_same_names() -> None:
    machine = server([*ssds(TB, TB), disk("OTHER", 4 * TB, rotational=True)])
    found = insist(machine, "impermanence", {"mirror": 2})
    graph = found.graph
    assert found.takes == ("disk:Disk-S0", "disk:Disk-S1")
    (array,) = graph.of(Array)
    (volume,) = graph.of(Luks)
    assert (array.name, array.level, volume.mapper) == ("root", "raid1", "cryptroot")
    assert graph.on(volume.id) == (array.id,)
    assert sorted(graph.on(array.id)) == ["disk:Disk-S0/gpt/2", "disk:Disk-S1/gpt/2"]
    alone = wanted(*ssds(TB)).graph
    for kind in (Subvolume, Mount):
        assert {each.segment for each in graph.of(kind)} == {each.segment for each in alone.of(kind)}


def test_every_member_of_a_mirror_has_an_esp_and_the_first_is_mounted() -> None:
    graph = wanted(*hdds(TB, TB, TB), mirror=3).graph
    esps = {each.label: each for each in graph.of(Filesystem)}
    assert set(esps) == {"boot", "boot-2", "boot-3"}
    (mount,) = (each for each in graph.of(Mount) if each.at == "/boot")
    assert graph.on(mount.id) == (esps["boot"].id,)
    assert graph.disks(mount.id) == {"disk:Disk-H0"}
    types = sorted((each.number, each.describe().split()[0], each.label) for each in graph.of(Partition))
    assert types == [
        (1, "esp", "boot"),
        (1, "esp", "boot-2"),
        (1, "esp", "boot-3"),
        *[(2, "raid", "root")] * 3,
    ]


OTHER_HOST: dict[str, object] = {
    "disks": ["S1"],
    "mapper": "enc",
    "luks_label": "secret",
    "keys": ["file:/run/key", "prompt:spare"],
    "pbkdf": "pbkdf2",
    "iter_time": 500,
    "allow_discards": True,
    "label": "tank",
    "mount_options": "noatime,compress=lzo",
    "subvolumes": ["@=/", "@var/lib=/var/lib", "/nix/=/nix/", "spare"],
    "blank": "@blank",
    "size": "400GiB",
    "swap": "8GiB",
}


def test_a_few_values_make_another_host() -> None:
    found = insist(server(ssds(TB, TB)), "impermanence", OTHER_HOST)
    graph = found.graph
    (volume,) = graph.of(Luks)
    assert volume.keys == ("file:/run/key", "prompt:spare")
    assert (volume.pbkdf, volume.iter_time, volume.allow_discards) == ("pbkdf2", 500, True)
    assert {each.name for each in graph.of(Subvolume)} == {"@", "@var/lib", "nix", "spare", "swap", "@blank"}
    assert {each.at for each in graph.of(Mount)} == {"/", "/var/lib", "/nix", "/swap", "/boot"}
    assert {each.root for each in found.rooted("/target").graph.of(Mount)} == {"/target"}
    (file,) = graph.of(File)
    assert file.place == "/mnt/swap/swapfile"
    assert [each.place for each in found.rooted("/target").graph.of(File)] == ["/target/swap/swapfile"]
    assert graph[graph.on(file.id)[0]].segment == "swap"
    assert not wanted(*ssds(TB), blank="").graph.of(Subvolume)[0].read_only


@pytest.mark.parametrize("options", [{}, {"mirror": 2, "medium": "hdd"}, OTHER_HOST])
def test_it_can_be_said_as_a_layout(options: dict[str, object], tmp_path: Path) -> None:
    machine = server([*ssds(TB, 2 * TB), *hdds(TB, TB)])
    found = pn.propose(machine, "impermanence", {"medium": "ssd", "which": "smallest"} | options)
    read_back(machine, found, tmp_path)


def test_a_subvolume_and_swap_are_added_in_place() -> None:
    machine = server(ssds(TB))
    there = msgspec.structs.replace(machine, graph=pn.schedule(machine, wanted(*ssds(TB))).result())
    there = msgspec.structs.replace(there, graph=there.graph.with_each(lambda each: machine.graph.get(each.id) or each))
    places = ["root=/", "home=/home", "nix=/nix", "persist=/persist", "log=/var/log", "srv=/srv"]
    more = pn.propose(there, "impermanence", {"subvolumes": places, "swap": "1GiB"})
    plan = pn.schedule(there, more)
    assert not plan.objections
    assert not plan.losses().get("disk:Disk-S0")
    assert {each.verb for each in plan.actions} == {pn.Verb.MODIFY, pn.Verb.ACTIVATE}


def test_of_several_mirrors_none_is_taken_and_all_are_listed() -> None:
    said = refused(*ssds(TB, TB), *hdds(4 * TB, 4 * TB), disk("LONE", 2 * TB), mirror=2)
    assert "4 disks fit, and 2 are to be used." in said
    for serial in ("S0", "S1", "H0", "H1"):
        assert f": disk:Disk-{serial}\n" in said
    assert "disk:Disk-LONE (2 of one kind and size are needed, and of this it is alone)" in said
    assert "4 disks fit, and 2 are to be used." in refused(*ssds(TB, TB, TB, TB), mirror=2)
    assert "4 disks fit as the largest" in refused(*ssds(TB, TB, *[2 * TB] * 4), mirror=2, which="largest")


def test_which_mirror_is_said_by_a_rule() -> None:
    disks = [*ssds(TB, TB), *hdds(4 * TB, 4 * TB)]
    assert wanted(*disks, mirror=2, which="smallest").takes == ("disk:Disk-S0", "disk:Disk-S1")
    assert wanted(*disks, mirror=2, which="largest").takes == ("disk:Disk-H0", "disk:Disk-H1")
    assert wanted(*disks, mirror=2, disks=["H1", "H0"]).takes == ("disk:Disk-H0", "disk:Disk-H1")


def test_disks_that_are_not_alike_make_no_mirror() -> None:
    assert "no disk fits, and 2 are needed" in refused(*ssds(TB, 2 * TB), mirror=2)
    assert "no disk fits, and 2 are needed" in refused(*ssds(TB), *hdds(TB), mirror=2)
    named = ["S0", "S1"]
    assert "differ by more than 1% (option tolerance)" in refused(*ssds(TB, TB + 20 * GB), mirror=2, disks=named)
    assert len(wanted(*ssds(TB, TB + 20 * GB), mirror=2, tolerance=3).takes) == 2
    assert "2 disks are named, and one is to be used" in refused(*ssds(TB, TB), disks=named)
    assert "1 disks are named, and 2 are to be used" in refused(*ssds(TB, TB), disks=["S0"], mirror=2)
    # Somebody who names an SSD and an HDD has a reason.
    assert len(wanted(*ssds(TB), *hdds(TB), disks=["S0", "H0"], mirror=2).takes) == 2


def test_too_small_disks_are_refused_with_the_arithmetic() -> None:
    for options in ({"mirror": 2}, {"mirror": 2, "disks": ["S0", "S1"]}):
        said = refused(*ssds(8 * GB, 8 * GB), **options)
        assert "which leaves 6.4 GiB for the system; it is to have at least 8 GiB (option least): 1.6 GiB too" in said
    assert wanted(*ssds(8 * GB), least="6GiB").takes
    assert "Make it larger" in str(pn.schedule(server(ssds(TB)), wanted(*ssds(TB), size="100MiB")).objections)


def test_odd_disks_are_taken_only_if_named() -> None:
    stick = disk("X", TB, transport="usb")
    assert "taken only if named" in refused(stick)
    assert wanted(*ssds(TB), stick).takes == ("disk:Disk-S0",)
    assert wanted(*ssds(TB), stick, disks=["X"]).named == ("disk:Disk-X",)
    assert "of this it is alone" in refused(*ssds(TB), stick, mirror=2)


def test_a_bios_is_refused() -> None:
    with pytest.raises(pn.InvalidLayout, match=r"this takes UEFI: .* set the option firmware to uefi"):
        pn.propose(server(ssds(TB), firmware="bios"), "impermanence")
    assert pn.propose(server(ssds(TB), firmware="bios"), "impermanence", {"firmware": "uefi"}).takes


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"subvolumes": ["home=/home"]}, "one must be mounted at /, as in root=/, and 0 are"),
        ({"subvolumes": ["a=/", "b=/"]}, "one must be mounted at /, as in root=/, and 2 are"),
        ({"subvolumes": ["root=/", "a=/x", "b=/x/"]}, "two would be mounted at /x"),
        ({"subvolumes": ["root=/", "a=/x", "/a=/y"]}, "there are two named a"),
        ({"subvolumes": ["root=/", "a=x"]}, "'a=x': a mount's at must be an absolute path"),
        ({"subvolumes": ["root=/", "=/x"]}, "'=/x': a subvolume's name must be a path"),
        ({"subvolumes": ["root=/", "../a"]}, "'../a': a subvolume's name must be a path"),
        ({"subvolumes": ["root=/", "root/var=/var"]}, "root/var would lie inside the root"),
        ({"subvolumes": ["root=/", "old-roots=/old"]}, "old-roots would lie where"),
        ({"blank": "old-roots/blank"}, "old-roots/blank would lie where"),
        ({"subvolumes": ["root=/", "home=/home"]}, "nothing is mounted at /nix or /nix/store"),
        ({"subvolumes": ["root=/", "esp=/boot"]}, "the EFI system partition is mounted at /boot"),
        ({"subvolumes": ["root=/", "swap=/x"], "swap": "1GiB"}, "there are two named swap"),
        ({"blank": "home"}, "home is the name of another subvolume"),
        ({"blank": "root/blank"}, "root/blank would lie inside the root"),
        ({"blank": "/"}, "option blank: a subvolume's name must be"),
        ({"keys": ["hunter2"]}, "option keys: one of the keys is no reference to a secret"),
        ({"mirror": 0}, "option mirror"),
        ({"pbkdf": "scrypt"}, "option pbkdf"),
        ({"cipher": "x"}, "has no option 'cipher'"),
    ],
)
def test_what_makes_no_sense(options: dict[str, object], said: str) -> None:
    answer = refused(*ssds(TB), **options)
    assert said in answer
    assert "hunter2" not in answer, "it may be the passphrase itself"


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(pn.InvalidLayout) as raised:
        wanted(*ssds(TB), subvolumes=["root/x=/x"], blank="root/x", keys=["x"], esp="?", disks=["NO"])
    said = "\n".join(raised.value.problems)
    for part in ("option esp", "option subvolumes", "option blank", "option keys", "there is no disk 'NO'"):
        assert part in said


def test_every_option_says_what_it_is_for() -> None:
    described = msgspec.json.schema(ImpermanenceOptions)["$defs"]["ImpermanenceOptions"]["properties"]
    assert not [name for name, field in described.items() if not field.get("description")]
