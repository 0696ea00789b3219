"""What each technology has NixOS told, and what it refuses to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.backends import btrfs, dmcrypt, lvm, mdraid, mounts, swap
from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import installed
from pre_nixos.plugin import hooks
from pre_nixos.render.nixos import write_module
from tests.unit.backends.nixosdesk import BY_UUID, PARTUUID, UUID, Desk, ext4

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.model.draft import Handle

HOSTILE = ("a b", "'' ${x}", 'q"u\\o', "é", "$(reboot)")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_what_is_mounted_is_found_by_its_uuid(desk: Desk) -> None:
    desk.mount("/", desk.add(ext4(), desk.part()), options=("noatime", "x-a b"))
    assert desk.told()["fileSystems"] == {
        "/": {"device": BY_UUID, "fsType": "ext4", "options": ["noatime", "x-a b"]},
    }


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_are_only_names(desk: Desk, hostile: str) -> None:
    root = desk.add(btrfs.Btrfs(uuid=UUID), desk.part())
    desk.mount(f"/{hostile}", desk.add(btrfs.Subvolume(name=hostile), root), options=(f"x-{hostile}",))
    found = desk.told()
    entry = {"device": BY_UUID, "fsType": "btrfs", "options": [f"subvol=/{hostile}", f"x-{hostile}"]}
    assert found["fileSystems"] == {f"/{hostile}": entry}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_where_scripts_of_nixos_would_take_them_for_more_they_are_refused(desk: Desk, hostile: str) -> None:
    desk.add(dmcrypt.Luks(mapper=hostile, uuid=PARTUUID), desk.part())
    desk.add(dmcrypt.Luks(mapper="fine", uuid=PARTUUID, keys=(f"keyfile:/dev/{hostile}",)), desk.part(2))
    root = desk.add(ext4(), desk.part(3))
    desk.add(swap.File(path=f"/{hostile}/swap", root="/mnt"), root)
    problems = desk.refused().splitlines()
    assert [hostile in each or repr(hostile)[1:-1] in each for each in problems] == [True] * 3


@pytest.mark.parametrize("name", ["a,nosuid", "a\\040b"])
def test_a_subvolume_that_would_be_several_options_is_refused(desk: Desk, name: str) -> None:
    root = desk.add(btrfs.Btrfs(uuid=UUID), desk.part())
    desk.mount("/a", desk.add(btrfs.Subvolume(name=name), root))
    assert "would take" in desk.refused()


@pytest.mark.parametrize("field", ["at", "options", "code", "swap"])
def test_what_would_be_a_further_line_of_fstab_is_refused(desk: Desk, field: str) -> None:
    root = desk.add(ext4(), desk.part())
    if field == "at":
        desk.mount("/a\n/dev/sda /evil ext4 defaults 0 0", root)
    elif field == "options":
        desk.mount("/a", root, options=("noatime\nx",))
    elif field == "code":
        desk.mount("/a\\012b", root)
    else:
        desk.add(swap.File(path="/a\nb", root="/mnt"), root)
    assert "/etc/fstab, which NixOS writes" in desk.refused()


def test_directories_are_bound_and_memory_is_mounted(desk: Desk) -> None:
    data = desk.add(ext4(), desk.part())
    desk.mount("/data", data)
    desk.mount("/srv", data, directory="/srv", options=("ro",))
    desk.mount("/all", data, directory="/", options=("ro",))
    desk.add(mounts.Mount(at="/tmp", type="tmpfs", mode=0o1777, options=("size=1G",)))
    found = desk.told()["fileSystems"]
    assert found["/srv"] == {"device": "/data/srv", "fsType": "none", "options": ["bind", "ro"]}
    assert found["/all"] == {"device": "/data", "fsType": "none", "options": ["bind", "ro"]}
    assert found["/tmp"] == {"device": "tmpfs", "fsType": "tmpfs", "options": ["size=1G", "mode=1777"]}


def test_a_directory_of_what_is_mounted_nowhere_is_refused(desk: Desk) -> None:
    desk.mount("/srv", desk.add(ext4(), desk.part()), directory="/srv")
    assert "/srv is a directory of what is mounted nowhere as a whole" in desk.refused()


def test_what_has_no_uuid_is_refused_with_everything_else(desk: Desk) -> None:
    desk.mount("/", desk.add(ext4(None), desk.add(lvm.Volume(name="v", size="1GiB"), group(desk, "g"))))
    wanted = desk.draft.wanted()
    assert "fileSystems" in write_module(wanted, msgspec.structs.replace(desk.machine, graph=wanted.graph)).text
    desk.add(dmcrypt.Luks(mapper="c"), desk.part(2))
    desk.add(swap.Use(), desk.add(swap.Area(), desk.part(3)))
    wanted = desk.draft.wanted()
    with pytest.raises(pn.InvalidLayout) as caught:
        write_module(wanted, desk.machine)
    assert len(caught.value.problems) == 2
    assert "by-id" not in str(caught.value), "what is on a partition is not found by its disk"


def group(desk: Desk, name: str) -> Handle:
    return desk.add(lvm.Group(name=name), desk.part())


def test_luks_is_opened_in_the_initrd(desk: Desk) -> None:
    volume = dmcrypt.Luks(mapper="c", uuid=UUID, allow_discards=True, bypass_workqueues=True, keys=("keyfile:/run/k",))
    desk.add(volume, desk.part())
    key = dmcrypt.Luks(mapper="d", uuid=PARTUUID, allow_discards=False, keys=("keyfile:/dev/disk/by-id/usb-KEY",))
    desk.add(key, desk.part(2))
    assert desk.told()["boot"]["initrd"]["luks"]["devices"] == {
        "c": {"device": BY_UUID, "allowDiscards": True, "bypassWorkqueues": True},
        "d": {"device": f"/dev/disk/by-uuid/{PARTUUID}", "keyFile": "/dev/disk/by-id/usb-KEY"},
    }
    assert "/run/k" not in desk.written(), "it is a file of the installer's"


INTEGRITY: list[tuple[tuple[str, ...], list[str], str]] = [
    (("--use-random",), [], ""),
    (("--integrity", "hmac-sha256"), ["dm_integrity", "authenc"], ""),
    (("-Ihmac-sha512", "--integrity-no-wipe"), ["dm_integrity", "authenc"], ""),
    (("--integrity=poly1305", "--integrity-no-wipe"), ["dm_integrity"], "poly1305"),
    (("-I", "aead"), ["dm_integrity"], "aead"),
]


@pytest.mark.parametrize(("arguments", "modules", "named"), INTEGRITY)
def test_volumes_with_integrity_need_more_of_the_kernel(
    desk: Desk, arguments: tuple[str, ...], modules: list[str], named: str
) -> None:
    desk.add(dmcrypt.Luks(mapper="c", uuid=UUID, arguments=arguments), desk.part())
    assert desk.told()["boot"]["initrd"].get("availableKernelModules", []) == modules
    said = [each for each in desk.module().remarks if "its integrity" in each]
    assert [f"those of {named} " in each for each in said] == [True] * bool(named)


def test_arrays_are_assembled_by_uuid(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "a", "b")
    uuid = "aaaaaaaa:bbbbbbbb:cccccccc:dddddddd"
    for number, name in enumerate(("main", "odd name"), 1):
        members = [desk.part(number, "raid", on) for on in (0, 1)]
        desk.add(mdraid.Array(name=name, level=1, uuid=uuid), *members)
    swraid = desk.told()["boot"]["swraid"]
    assert swraid["enable"] is True
    assert swraid["mdadmConf"] == f"MAILADDR root\nARRAY /dev/md/main UUID={uuid}\n"


MODULES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"type": "striped", "stripes": 1}, []),
    ({"type": "raid1", "mirrors": 1}, ["dm-raid", "raid1"]),
    ({"type": "raid5_ls"}, ["dm-raid", "raid456"]),
    ({"type": "snapshot", "origin": "other"}, ["dm-snapshot"]),
    ({"type": "cache"}, ["dm-cache", "dm-cache-smq"]),
]


@pytest.mark.parametrize(("fields", "modules"), MODULES)
def test_volumes_get_the_modules_their_type_needs(desk: Desk, fields: dict[str, Any], modules: list[str]) -> None:
    main = group(desk, "main")
    desk.add(lvm.Volume(name="other", size="1GiB"), main)
    desk.add(lvm.Volume(name="v", size="1GiB", **fields), main)
    found = desk.told()
    assert found["services"]["lvm"] == {"enable": True}
    assert found["boot"]["initrd"]["services"]["lvm"] == {"enable": True}
    assert found["boot"]["initrd"].get("kernelModules", []) == modules


def test_thin_volumes_need_their_programs(desk: Desk) -> None:
    main = group(desk, "main")
    desk.add(lvm.Volume(name="pool", size="1GiB", type="thin-pool"), main)
    desk.add(lvm.Volume(name="v", size="1GiB", type="thin", pool="pool"), main)
    assert desk.told()["services"]["lvm"] == {"enable": True, "boot": {"thin": {"enable": True}}}


def test_swap_is_used_as_it_was_asked_for(desk: Desk) -> None:
    desk.add(swap.Use(priority=0, discard=True, discard_policy="once"), desk.add(swap.Area(uuid=UUID), desk.part()))
    root = desk.add(ext4(PARTUUID), desk.part(2))
    desk.mount("/", root)
    desk.add(swap.File(path="/swapfile", root="/mnt", size="1GiB", priority=5), root)
    assert desk.told()["swapDevices"] == [
        {"device": BY_UUID, "priority": 0, "discardPolicy": "once"},
        {"device": "/swapfile", "priority": 5},
    ]


def test_swap_that_is_encrypted_anew_is_found_by_its_partition(desk: Desk) -> None:
    plain = desk.add(dmcrypt.Plain(mapper="swap", allow_discards=True), desk.part(type_="scratch", uuid=PARTUUID))
    desk.add(swap.Use(discard=True), desk.add(swap.Area(), plain))
    device = f"/dev/disk/by-partuuid/{PARTUUID}"
    encryption = {"enable": True, "allowDiscards": True}
    assert desk.told()["swapDevices"] == [{"device": device, "discardPolicy": "both", "randomEncryption": encryption}]


def test_what_is_mounted_with_swap_is_said_and_where_a_sleeping_system_wakes_up(desk: Desk) -> None:
    area = desk.add(swap.Area(uuid=UUID), desk.part())
    desk.add(swap.Use(options=("nofail", "x-systemd.device-timeout=5s"), resume=True), area)
    found = desk.told()
    assert found["swapDevices"] == [{"device": BY_UUID, "options": ["nofail", "x-systemd.device-timeout=5s"]}]
    assert found["boot"]["resumeDevice"] == BY_UUID


def test_no_system_wakes_up_in_what_is_encrypted_anew(desk: Desk) -> None:
    plain = desk.add(dmcrypt.Plain(mapper="swap"), desk.part(type_="scratch"))
    desk.add(swap.Use(resume=True), desk.add(swap.Area(), plain))
    assert "no system could wake up in it: it is encrypted anew at every boot" in desk.refused()


def test_nor_does_one_wake_up_in_two_places(desk: Desk) -> None:
    for number in (1, 2):
        desk.add(swap.Use(resume=True), desk.add(swap.Area(), desk.part(number)))
    assert "two layers want the option boot.resumeDevice to be different" in desk.refused()


@pytest.mark.parametrize("option", ["a b", "a,b\nc", "a\\040b"])
def test_options_of_swap_that_are_more_than_options_are_refused(desk: Desk, option: str) -> None:
    desk.add(swap.Use(options=(option,)), desk.add(swap.Area(uuid=UUID), desk.part()))
    assert "/etc/fstab, which NixOS writes, " in desk.refused()


def test_a_cipher_that_is_no_word_is_refused(desk: Desk) -> None:
    plain = desk.add(dmcrypt.Plain(mapper="swap", cipher="aes $(reboot)"), desk.part(type_="scratch"))
    desk.add(swap.Use(), desk.add(swap.Area(), plain))
    assert "aes $(reboot)" in desk.refused()


SILENT = {"dm", "dos", "dos.logical", "dos.partition", "filesystem.journal", "loop", "lvm.orphan", "unrecognised"}
"""What is recognised and cleared away, and never wanted."""


def test_every_kind_that_can_be_wanted_has_an_answer() -> None:
    registry = installed()
    answered = {kind for kind in registry.kinds if registry.owner(hooks.nixos_options, kind) is not None}
    assert set(registry.kinds) - answered == SILENT
    assert Calls(registry).can(hooks.nixos_options, mounts.Mount(at="/"))


def test_how_luks_is_opened_at_boot_is_what_was_asked_for(desk: Desk) -> None:
    at_boot = (("preLVM", False), ("keyFileTimeout", 5), ("crypttabExtraOpts", ("tpm2-device=auto",)))
    desk.add(dmcrypt.Luks(mapper="c", uuid=UUID, at_boot=at_boot, not_told=("gpgCard",)), desk.part())
    desk.add(dmcrypt.Luks(mapper="d", uuid=PARTUUID, initrd=False), desk.part(2))
    assert desk.told()["boot"]["initrd"]["luks"]["devices"] == {
        "c": {"device": BY_UUID, "keyFileTimeout": 5, "crypttabExtraOpts": ["tpm2-device=auto"]},
    }
    said = " ".join(desk.module().remarks)
    assert "add what is needed of them: preLVM, gpgCard" in said
    assert "its initrdUnlock is false" in said


def test_what_crypttab_would_take_for_more_is_refused(desk: Desk) -> None:
    desk.add(dmcrypt.Luks(mapper="c", uuid=UUID, at_boot=(("crypttabExtraOpts", ("a b",)),)), desk.part())
    assert "/etc/crypttab, which NixOS writes, would not take 'a b' for one option" in desk.refused()


def test_options_of_a_file_to_swap_to(desk: Desk) -> None:
    root = desk.add(ext4(), desk.part())
    desk.mount("/", root)
    desk.add(swap.File(path="/swap", root="/mnt", size="1G", options=("nofail",)), root)
    assert desk.told()["swapDevices"] == [{"device": "/swap", "options": ["nofail"]}]
