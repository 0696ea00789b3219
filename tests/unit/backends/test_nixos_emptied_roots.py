"""What is said where the root is empty at every boot, and what is refused there."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest

from pre_nixos.backends import btrfs, filesystems, mdraid, mounts, swap
from pre_nixos.backends.btrfs.emptied import FORMER
from pre_nixos.backends.btrfs.nixos import script
from tests.unit.backends.nixosdesk import BY_UUID, PARTUUID, UUID, Desk, ext4
from tests.unit.render.nixosmodules import options_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def forgetful(
    desk: Desk,
    *more: str,
    blank: dict[str, Any] | None = None,
    keeper: str = "/persist",
    log: bool = True,
    store: str = "/nix",
) -> None:
    pool = desk.add(btrfs.Btrfs(uuid=UUID), desk.part())
    desk.mount("/", desk.add(btrfs.Subvolume(name="root"), pool))
    nix = desk.add(btrfs.Subvolume(name="nix"), pool)
    if store:
        desk.mount(store, nix)
    for each in more:
        desk.add(btrfs.Subvolume(name=each), pool)
    if keeper:
        desk.mount(keeper, desk.add(btrfs.Subvolume(name="persist"), pool))
    if log:
        desk.mount("/var/log", desk.add(btrfs.Subvolume(name="log"), pool))
    how: dict[str, Any] = {"origin": "root", "read_only": True} if blank is None else blank
    desk.add(btrfs.Subvolume(name="blank", **how), pool)


def test_an_empty_root_comes_back_at_every_boot(desk: Desk) -> None:
    forgetful(desk)
    found = desk.told()
    unit = found["boot"]["initrd"]["systemd"]["services"]["pre-nixos-rollback"]
    device = r"dev-disk-by\x2duuid-11111111\x2d2222\x2d4333\x2d8444\x2d555555555555.device"
    assert unit["requires"] == [device]
    assert unit["after"] == [device, "systemd-hibernate-resume.service"]
    assert unit["before"] == ["sysroot.mount"]
    assert f"mount -t btrfs -o subvolid=5 {BY_UUID} " in unit["script"]
    assert unit["script"] == script(BY_UUID, "root", "blank"), "what the shell is to fill in, Nix left alone"
    assert found["boot"]["initrd"]["systemd"]["initrdBin"] == ["/btrfs-progs", "/findutils"]
    needed = {at for at, each in found["fileSystems"].items() if each.get("neededForBoot")}
    assert needed == {"/persist", "/var/log"}
    kept = found["environment"]["persistence"]["/persist"]
    assert kept["directories"] == ["/etc/nixos", "/var/lib/nixos", "/var/lib/systemd"]
    assert {"/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key"} <= set(kept["files"])


def test_logs_are_kept_where_they_have_no_place_of_their_own(desk: Desk) -> None:
    forgetful(desk, keeper="/persistent", log=False)
    assert "/var/log" in desk.told()["environment"]["persistence"]["/persistent"]["directories"]


def test_without_its_module_nothing_is_kept_and_that_is_said(desk: Desk) -> None:
    forgetful(desk)
    found = options_of(desk.written(), desk.folder, impermanence=False)
    assert "environment" not in found
    assert "impermanence is not imported" in found["warnings"][0]


def test_where_nothing_can_be_kept_that_is_said(desk: Desk) -> None:
    forgetful(desk, keeper="")
    assert "other host keys" in desk.told()["warnings"][0]


def test_memory_keeps_nothing(desk: Desk) -> None:
    forgetful(desk, keeper="")
    desk.add(mounts.Mount(at="/persist", type="tmpfs"))
    found = desk.told()
    assert "other host keys" in found["warnings"][0]
    assert "environment" not in found
    assert desk.module().keeper == ""
    desk.mount("/state", desk.add(ext4(PARTUUID), desk.part(2)))
    assert set(desk.told()["environment"]["persistence"]) == {"/state"}


def test_nor_does_a_directory_of_the_empty_root(desk: Desk) -> None:
    pool = desk.add(btrfs.Btrfs(uuid=UUID), desk.part())
    root = desk.add(btrfs.Subvolume(name="root"), pool)
    desk.mount("/", root)
    desk.mount("/persist", root, directory="/kept")
    desk.mount("/nix", desk.add(btrfs.Subvolume(name="nix"), pool))
    desk.add(btrfs.Subvolume(name="blank", origin="root", read_only=True), pool)
    assert "other host keys" in desk.told()["warnings"][0]


def test_memory_is_empty_at_every_boot_by_itself(desk: Desk) -> None:
    desk.add(mounts.Mount(at="/", type="tmpfs"))
    desk.mount("/persist", desk.add(ext4(), desk.part()))
    desk.mount("/nix", desk.add(ext4(), desk.part(2)))
    found = desk.told()
    assert found["fileSystems"]["/persist"]["neededForBoot"] is True
    assert "/persist" in found["environment"]["persistence"]
    assert "services" not in found["boot"]["initrd"]["systemd"]


@pytest.mark.parametrize("name", ["root/home", "root/var/lib/machines", "old-roots", "old-roots/mine"])
def test_what_would_go_with_the_root_is_refused(desk: Desk, name: str) -> None:
    forgetful(desk, name, "rooted", "old-rootsy")
    problem, *others = desk.refused().splitlines()
    assert problem.startswith(f"subvolume {name}: it would ")
    assert problem.endswith("; call it otherwise, or have no empty snapshot of the root")
    assert not others
    (objection,) = [each for each in desk.objections() if each.subject.endswith(f"/{name}")]
    assert objection.text.startswith(f"subvolume {name}: it would ")


def test_so_is_an_empty_snapshot_that_would_go_with_it(desk: Desk) -> None:
    pool = desk.add(btrfs.Btrfs(uuid=UUID), desk.part())
    desk.mount("/", desk.add(btrfs.Subvolume(name="root"), pool))
    desk.mount("/nix", desk.add(btrfs.Subvolume(name="nix"), pool))
    desk.add(btrfs.Subvolume(name="root/blank", origin="root", read_only=True), pool)
    assert "subvolume root/blank: it would lie inside the root" in desk.refused()


def test_nothing_goes_with_a_root_that_stays(desk: Desk) -> None:
    forgetful(desk, "root/home", "old-roots", blank={})
    assert "/" in desk.told()["fileSystems"]
    assert not [each for each in desk.objections() if "root" in each.text]


def test_what_is_there_and_would_go_with_the_root_is_refused_though_nobody_asked_for_it(desk: Desk) -> None:
    forgetful(desk)
    desk.unasked = ("root/srv", "root/var/lib/machines", "home", "rooted", "old-roots/2019-photos")
    said = desk.refused()
    assert said.startswith("subvolume root: subvolumes that nobody asked for are inside, ")
    assert ": root/srv, root/var/lib/machines; move them" in said
    assert "mount -o subvolid=5" in said
    assert "photos" not in said
    desk.unasked = tuple(f"root/{each}" for each in range(8))
    assert "root/0, root/1, root/2, root/3, root/4 and 3 more" in desk.refused()


def test_what_came_into_being_since_the_last_rollback_goes_with_the_next(desk: Desk) -> None:
    forgetful(desk)
    former = "old-roots/root-000007-2026-11-20-220214"
    desk.unasked = ("root/srv", former, f"{former}/srv", "old-roots/.going", "old-roots/2019-photos")
    (said,) = [each for each in desk.module().remarks if each.startswith("subvolume root: ")]
    assert said.endswith("made in it since it was last emptied go with it again: root/srv.")
    desk.unasked = (former, f"{former}/srv")
    assert not [each for each in desk.module().remarks if each.startswith("subvolume ")]


@pytest.mark.parametrize("blank", [{}, {"origin": "root"}])
def test_in_a_root_that_stays_there_may_be_anything(desk: Desk, blank: dict[str, Any]) -> None:
    forgetful(desk, blank=blank)
    desk.unasked = ("root/srv", "old-roots/2019-photos")
    assert "/" in desk.told()["fileSystems"]


STORE = "the root is empty at every boot, and the store is in it"


@pytest.mark.parametrize("store", ["", "/nix/var", "/nixed"])
def test_a_store_that_would_go_with_the_root_is_refused(desk: Desk, store: str) -> None:
    forgetful(desk, store=store)
    assert STORE in desk.refused()


@pytest.mark.parametrize("store", ["/nix", "/nix/store"])
def test_a_store_with_a_place_of_its_own_stays(desk: Desk, store: str) -> None:
    forgetful(desk, store=store)
    assert store in desk.told()["fileSystems"]
    assert any("so is /nix/var" in each for each in desk.module().remarks) is (store == "/nix/store")


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({}, ["mode=0755"]),
        ({"options": ("size=2G",)}, ["size=2G", "mode=0755"]),
        ({"options": ("mode=750",)}, ["mode=750"]),
        ({"mode": 0o711}, ["mode=0711"]),
    ],
)
def test_not_everybody_may_write_to_a_root_in_memory(desk: Desk, fields: dict[str, Any], options: list[str]) -> None:
    desk.add(mounts.Mount(at="/", type="tmpfs", **fields))
    desk.add(mounts.Mount(at="/tmp", type="tmpfs"))
    desk.mount("/nix", desk.add(ext4(), desk.part()))
    found = desk.told()["fileSystems"]
    assert found["/"]["options"] == options
    assert "options" not in found["/tmp"]


def test_memory_keeps_no_store(desk: Desk) -> None:
    desk.add(mounts.Mount(at="/", type="tmpfs"))
    assert STORE in desk.refused()
    desk.add(mounts.Mount(at="/nix", type="tmpfs"))
    assert STORE in desk.refused()
    desk.mount("/persist", persist := desk.add(ext4(), desk.part()))
    desk.mount("/nix/store", persist, directory="/store")
    assert "/nix/store" in desk.told()["fileSystems"]


def test_nor_does_a_directory_of_the_root(desk: Desk) -> None:
    pool = desk.add(btrfs.Btrfs(uuid=UUID), desk.part())
    root = desk.add(btrfs.Subvolume(name="root"), pool)
    desk.mount("/", root)
    desk.mount("/nix", root, directory="/elsewhere")
    desk.add(btrfs.Subvolume(name="blank", origin="root", read_only=True), pool)
    assert STORE in desk.refused()


BOOT = "GRUB keeps its menu and all but the first of its code in /boot, which is in the root and empty at every boot"


def in_memory(desk: Desk) -> None:
    desk.add(mounts.Mount(at="/", type="tmpfs"))
    desk.mount("/nix", desk.add(ext4(), desk.part(2)))


@pytest.mark.parametrize("empty", [forgetful, in_memory])
def test_grub_is_refused_where_it_would_start_the_machine_only_once(desk: Desk, empty: Callable[[Desk], None]) -> None:
    desk.part(7, "bios-boot")
    empty(desk)
    assert BOOT in desk.refused()
    desk.add(mounts.Mount(at="/boot", type="tmpfs"))
    assert BOOT in desk.refused()


@pytest.mark.parametrize("empty", [forgetful, in_memory])
def test_a_place_for_grub_that_stays_will_do(desk: Desk, empty: Callable[[Desk], None]) -> None:
    desk.part(7, "bios-boot")
    empty(desk)
    desk.mount("/boot", desk.add(ext4(), desk.part(8)))
    assert desk.told()["boot"]["loader"]["grub"]["enable"] is True


@pytest.mark.parametrize("at", ["/boot", "/efi", "/boot/efi"])
def test_on_a_mirror_it_is_grub_as_well(tmp_path: Path, at: str) -> None:
    desk = Desk(tmp_path, "a", "b")
    array = desk.add(mdraid.Array(name="boot", level=1, metadata="1.0"), *(desk.part(7, "esp", on) for on in (0, 1)))
    desk.mount(at, desk.add(filesystems.Filesystem(type="vfat", uuid="0000-0001"), array))
    forgetful(desk)
    if at == "/boot":
        assert "grub" in desk.told()["boot"]["loader"]
    else:
        assert BOOT in desk.refused()


def test_a_root_that_stays_has_room_for_grub(desk: Desk) -> None:
    desk.part(7, "bios-boot")
    forgetful(desk, blank={})
    assert "grub" in desk.told()["boot"]["loader"]


@pytest.mark.parametrize("at", ["/boot", "/efi"])
def test_systemd_boot_needs_nothing_in_the_root(desk: Desk, at: str) -> None:
    desk.mount(at, desk.add(filesystems.Filesystem(type="vfat", uuid="0000-0001"), desk.part(7, "esp")))
    forgetful(desk)
    assert "systemd-boot" in desk.told()["boot"]["loader"]


def test_so_is_a_file_to_swap_to(desk: Desk) -> None:
    pool = desk.add(btrfs.Btrfs(uuid=UUID), desk.part())
    root = desk.add(btrfs.Subvolume(name="root"), pool)
    desk.mount("/", root)
    desk.mount("/nix", desk.add(btrfs.Subvolume(name="nix"), pool))
    desk.add(swap.File(path="/swapfile", root="/mnt"), root)
    assert desk.told()["swapDevices"]
    desk.add(btrfs.Subvolume(name="blank", origin="root", read_only=True), pool)
    assert "swap file /mnt/swapfile: it is in the root, which is empty at every boot" in desk.refused()


@pytest.mark.parametrize("keeper", ["/persist", "/state", ""])
def test_passwords_go_with_the_root_and_that_is_said(desk: Desk, keeper: str) -> None:
    forgetful(desk, keeper=keeper)
    module = desk.module()
    (said,) = [each for each in module.remarks if "/etc/shadow" in each]
    assert "nobody can log in" in said
    assert f"hashedPasswordFile to a file below {keeper}" in said if keeper else "hashedPassword " in said
    assert f"# {said}" in module.text
    assert module.keeper == keeper
    assert "remarks" not in desk.told()


NOT_BLANK: list[dict[str, Any]] = [
    {"origin": "root"},
    {"origin": "root", "read_only": False},
    {"origin": "nix", "read_only": True},
    {"read_only": True},
]


@pytest.mark.parametrize("blank", NOT_BLANK)
def test_no_root_is_ever_emptied_for_anything_less_than_its_empty_snapshot(desk: Desk, blank: dict[str, Any]) -> None:
    forgetful(desk, blank=blank)
    found = desk.told()
    assert "services" not in found["boot"]["initrd"]["systemd"]
    assert "environment" not in found


def test_nor_for_a_snapshot_that_somebody_uses(desk: Desk) -> None:
    pool = desk.add(btrfs.Btrfs(uuid=UUID), desk.part())
    desk.mount("/", desk.add(btrfs.Subvolume(name="root"), pool))
    desk.mount("/old", desk.add(btrfs.Subvolume(name="blank", origin="root", read_only=True), pool))
    assert "services" not in desk.told()["boot"]["initrd"]["systemd"]


def test_only_what_the_script_puts_away_itself_is_taken_for_a_former_root() -> None:
    for mine in ("root-000001-2026-11-20-220214", "root-123456-1970-01-01-000000"):
        assert fnmatchcase(mine, FORMER)
    for foreign in (
        "2019-photos",
        "root-old",
        "root-2026-11-20-220214",
        "root-000001-2026-11-20-220214-kept",
        ".fresh",
    ):
        assert not fnmatchcase(foreign, FORMER)
    assert f'set -- "$old"/{FORMER}\n' in script(BY_UUID, "root", "blank")


def test_dangerous_shell_words_are_quoted() -> None:
    text = script("/dev/x y", "ro'ot", "$(reboot)")
    assert "mount -t btrfs -o subvolid=5 '/dev/x y' " in text
    assert """root="$top"/'ro'"'"'ot'\n""" in text
    assert """blank="$top"/'$(reboot)'\n""" in text
