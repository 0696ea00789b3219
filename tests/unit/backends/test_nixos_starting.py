"""What the machine is said to start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pre_nixos.backends import filesystems, mdraid
from tests.unit.backends.nixosdesk import Desk

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def esp(
    desk: Desk, on: int = 0, at: str | None = "/boot", options: tuple[str, ...] | None = None, number: int = 1
) -> None:
    uuid = f"0000-00{number - 1}{on}"
    made = desk.add(filesystems.Filesystem(type="vfat", uuid=uuid), desk.part(number, "esp", on))
    if at is not None:
        desk.mount(at, made, options=options)


def test_the_machine_starts_from_its_esp(desk: Desk) -> None:
    esp(desk, options=("noatime",))
    found = desk.told()
    assert found["boot"]["loader"] == {
        "systemd-boot": {"enable": True},
        "efi": {"canTouchEfiVariables": True, "efiSysMountPoint": "/boot"},
    }
    entry = {"device": "/dev/disk/by-uuid/0000-0000", "fsType": "vfat", "options": ["noatime", "umask=0077"]}
    assert found["fileSystems"]["/boot"] == entry
    assert "lib.mkDefault true" in desk.written(), "somebody may want another boot loader"


def test_masks_that_were_chosen_stay(desk: Desk) -> None:
    esp(desk, options=("fmask=0137", "dmask=0027"))
    assert desk.told()["fileSystems"]["/boot"]["options"] == ["fmask=0137", "dmask=0027"]


@pytest.mark.parametrize("third", ["/boot-3", "/efi", "/boot/efi"])
def test_further_esps_are_kept_alike_and_none_of_them_is_needed(tmp_path: Path, third: str) -> None:
    desk = Desk(tmp_path, "a", "b", "c")
    esp(desk, 0)
    esp(desk, 1, at=None)
    esp(desk, 2, at=third)
    found = desk.told()
    assert set(found["fileSystems"]) == {"/boot", "/boot-2", third}
    for each in found["fileSystems"].values():
        assert each["options"] == ["umask=0077", "nofail", "x-systemd.device-timeout=10s"]
    assert found["fileSystems"]["/boot-2"]["device"] == "/dev/disk/by-uuid/0000-0001"
    commands = found["boot"]["loader"]["systemd-boot"]["extraInstallCommands"]
    for copy in ("/boot-2", third):
        assert (
            f"/util-linux/bin/mountpoint --quiet /boot && /util-linux/bin/mountpoint --quiet {copy}; then" in commands
        )
        assert f"--delete-before -- /boot/ {copy}/ || exit 1" in commands
    assert not [each for each in desk.module().remarks if "nothing is copied" in each]


FOREIGN: list[tuple[int, str | None, str]] = [
    (0, None, "the machine starts from another one on its disk"),
    (0, "/efi", "the machine starts from another one on its disk"),
    (0, "/windows", "the machine starts from another one on its disk"),
    (1, "/windows", "it has a place of its own, /windows"),
    (1, "/boot-old", "it has a place of its own, /boot-old"),
]


@pytest.mark.parametrize(("on", "at", "why"), FOREIGN)
def test_an_esp_that_may_be_another_systems_stays_as_it_is(tmp_path: Path, on: int, at: str | None, why: str) -> None:
    desk = Desk(tmp_path, "a", "b")
    esp(desk)
    esp(desk, on, at, number=2)
    found = desk.told()
    assert set(found["fileSystems"]) == ({"/boot", at} if at else {"/boot"})
    assert "nofail" not in found["fileSystems"]["/boot"]["options"]
    assert at is None or "nofail" in found["fileSystems"][at]["options"]
    assert found["boot"]["loader"]["systemd-boot"] == {"enable": True}
    (said,) = [each for each in desk.module().remarks if "nothing is copied" in each]
    assert f"nothing is copied to it, because {why}." in said
    assert f"(disk:Disk-{'ab'[on]}/gpt/2/filesystem): " in said


def test_of_two_on_a_disk_it_is_the_one_that_was_said(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "a", "b")
    esp(desk)
    esp(desk, 1, at=None)
    esp(desk, 1, at=None, number=2)
    assert set(desk.told()["fileSystems"]) == {"/boot"}
    assert len([each for each in desk.module().remarks if "there is another one on its disk" in each]) == 2
    esp(desk, 1, at="/boot-2", number=3)
    found = desk.told()
    assert set(found["fileSystems"]) == {"/boot", "/boot-2"}
    assert found["boot"]["loader"]["systemd-boot"]["extraInstallCommands"].count("rsync/bin") == 1


def test_one_that_is_mounted_twice_is_no_copy_of_itself(desk: Desk) -> None:
    made = desk.add(filesystems.Filesystem(type="vfat", uuid="0000-0001"), desk.part(1, "esp"))
    desk.mount("/efi", made)
    desk.mount("/boot", made)
    assert desk.told()["boot"]["loader"]["systemd-boot"] == {"enable": True}


def test_an_esp_where_scripts_would_stumble_over_it_is_refused(desk: Desk) -> None:
    esp(desk, at="/boot $(reboot)")
    assert "mount it at /boot" in desk.refused()


def test_a_bios_starts_from_every_disk_with_room_for_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "a", "b")
    for on in (0, 1):
        desk.part(1, "bios-boot", on)
    devices = ["/dev/disk/by-id/a", "/dev/disk/by-id/b"]
    assert desk.told()["boot"]["loader"] == {"grub": {"enable": True, "devices": devices}}


def test_where_there_is_an_esp_a_bios_has_no_say(desk: Desk) -> None:
    esp(desk)
    desk.part(2, "bios-boot")
    assert "grub" not in desk.told()["boot"]["loader"]


def test_a_disk_without_a_lasting_link_is_left_for_nixos_to_ask(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "a", links=())
    desk.part(1, "bios-boot")
    assert desk.told()["boot"]["loader"] == {"grub": {"enable": True, "devices": []}}


def test_an_esp_that_nobody_mounts_is_not_what_the_machine_starts_from(desk: Desk) -> None:
    esp(desk, at=None)
    desk.part(2, "bios-boot")
    assert desk.told()["boot"]["loader"] == {"grub": {"enable": True, "devices": ["/dev/disk/by-id/a"]}}


def mirrored_esp(tmp_path: Path, metadata: str, level: int = 1, **fields: Any) -> Desk:
    desk = Desk(tmp_path, "a", "b")
    members = [desk.part(1, "esp", on) for on in (0, 1)]
    array = desk.add(mdraid.Array(name="boot", level=level, metadata=metadata), *members)
    desk.mount("/boot", desk.add(filesystems.Filesystem(type="vfat", uuid="0000-0001"), array), **fields)
    return desk


def test_an_esp_on_a_mirror_is_one_for_all_disks(tmp_path: Path) -> None:
    desk = mirrored_esp(tmp_path, "1.0", options=("noatime",))
    desk.part(2, "bios-boot")
    found = desk.told()
    assert found["fileSystems"]["/boot"]["options"] == ["noatime", "umask=0077"]
    assert found["boot"]["loader"] == {
        "efi": {"efiSysMountPoint": "/boot"},
        "grub": {"enable": True, "efiSupport": True, "efiInstallAsRemovable": True, "devices": ["nodev"]},
    }
    (said,) = [each for each in desk.module().remarks if "systemd-boot" in each]
    assert said.startswith("array boot: ")


@pytest.mark.parametrize(("metadata", "level"), [("1.2", 1), ("1.0", 0)])
def test_what_firmware_cannot_read_is_no_esp(tmp_path: Path, metadata: str, level: int) -> None:
    module = mirrored_esp(tmp_path, metadata, level).module()
    assert "umask" not in module.text
    assert any("set boot.loader yourself" in each for each in module.remarks)
