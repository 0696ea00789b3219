"""btrfs with subvolumes on a real kernel: made, mounted, kept, added to, and found without mounting anything."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.backends import btrfs, dmcrypt, filesystems, gpt, mounts
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.model.layer import State
from tests.integration import carrying

if TYPE_CHECKING:
    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

MIB = 1 << 20
SECRETS = {"prompt:Passphrase": "correct horse battery"}
carry_out = partial(carrying.carry_out, secrets=SECRETS)
PLACES = {"root": "/", "home": "/home", "nix": "/nix", "persist": "/persist", "var/log": "/var/log"}
OPTIONS = ("compress=zstd", "noatime")


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    disks = tuple(LabDisk(name=name, size=size * MIB) for name, size in (("a", 900), ("b", 400), ("c", 400)))
    return boot_shared(Lab(disks=disks, modules=("dm_crypt", "btrfs")))


def impermanent(machine: pn.Machine, **more: str) -> pn.Wanted:
    """An ESP, and the rest encrypted, with a root that is to be rolled back."""
    disks = machine.disks.where(at_least="800MiB").exactly(1)
    draft = pn.Draft(machine, take=disks)
    table = draft.add(gpt.Table(), on=list(disks))
    esp = draft.add(gpt.Partition(number=1, size="64MiB", type="esp"), on=[table])
    boot = draft.add(filesystems.Filesystem(type="vfat", label="boot"), on=[esp])
    part = draft.add(gpt.Partition(number=2, size=pn.Rest()), on=[table])
    volume = dmcrypt.Luks(
        mapper="cryptroot", label="luks", pbkdf="pbkdf2", pbkdf_iterations=1000, keys=("prompt:Passphrase",)
    )
    pool = draft.add(btrfs.Btrfs(label="pool"), on=[draft.add(volume, on=[part])])
    for name, at in (PLACES | more).items():
        subvolume = draft.add(btrfs.Subvolume(name=f"/{name}"), on=[pool])
        draft.add(mounts.Mount(at=at, options=OPTIONS), on=[subvolume])
    draft.add(btrfs.Subvolume(name="root-blank", origin="root", read_only=True), on=[pool])
    draft.add(mounts.Mount(at="/boot", options=("umask=0077",)), on=[boot])
    return draft.wanted()


def found(guest: Guest) -> dict[str, bool | None]:
    return {each.name: each.read_only for each in pn.probe(guest.host).graph.of(btrfs.Subvolume)}


def test_impermanence_from_blank_and_not_again(guest: Guest) -> None:
    report = carry_out(guest, impermanent(pn.probe(guest.host)))
    assert len(report.rounds) == 1
    assert report.processes == 4  # mkfs.vfat, luksFormat, open, mkfs.btrfs
    assert found(guest) == {**dict.fromkeys(PLACES, False), "root-blank": True}
    guest.script("echo kept > /mnt/persist/file; echo gone > /mnt/etc; sync")


def test_after_a_reboot_everything_comes_back(guest: Guest) -> None:
    """A root that was rolled back to the empty snapshot is a root, too."""
    guest.script(
        "umount -R /mnt; mkdir -p /run/top; mount -o subvolid=5 /dev/mapper/cryptroot /run/top; cd /run/top; "
        "btrfs subvolume delete root; btrfs subvolume snapshot root-blank root; cd /; umount /run/top; "
        "cryptsetup close cryptroot; udevadm settle"
    )
    machine = pn.probe(guest.host)
    wanted = impermanent(machine)
    assert not pn.schedule(machine, wanted).losses()[wanted.takes[0]]
    report = carry_out(guest, wanted)
    assert {each.action.split()[0] for round_ in report.rounds for each in round_.done} == {"activate"}
    assert guest.run(["cat", "/mnt/persist/file"]).stdout == "kept\n"
    assert guest.run(["ls", "/mnt/etc"], check=False).status != 0


def test_a_subvolume_is_added_and_one_that_nobody_asked_for_stays(guest: Guest) -> None:
    guest.script("btrfs subvolume create /mnt/nix/made-by-a-program; sync")
    wanted = impermanent(pn.probe(guest.host), srv="/srv")
    plan = pn.schedule(pn.probe(guest.host), wanted)
    assert [each.verb for each in plan.actions] == [pn.Verb.MODIFY, pn.Verb.ACTIVATE]
    carry_out(guest, wanted)
    assert "nix/made-by-a-program" in found(guest)
    assert guest.run(["cat", "/mnt/persist/file"]).stdout == "kept\n"


def test_what_is_inside_is_told_whether_it_is_mounted_or_not(guest: Guest) -> None:
    mounted = found(guest)
    listed = guest.run(["btrfs", "subvolume", "list", "/mnt"]).stdout
    assert sorted(line.split(" path ")[1] for line in listed.splitlines()) == sorted(mounted)
    guest.script("umount -R /mnt")
    assert found(guest) == mounted
    assert not guest.run(["grep", " btrfs ", "/proc/mounts"], check=False).stdout


def test_a_mirror_over_two_devices(guest: Guest) -> None:
    machine = pn.probe(guest.host)
    disks = machine.disks.where(at_most="400MiB").exactly(2)
    draft = pn.Draft(machine, take=disks)
    pool = draft.add(btrfs.Btrfs(label="two", data="raid1", metadata="raid1"), on=list(disks))
    for name in ("data", "data/inner", "plain/inside"):
        draft.add(btrfs.Subvolume(name=name), on=[pool])
    draft.add(mounts.Mount(at="/two"), on=[draft.add(btrfs.Subvolume(name="top"), on=[pool])])
    wanted = draft.wanted()
    carry_out(guest, wanted)
    (there,) = (each for each in pn.probe(guest.host).graph.of(btrfs.Btrfs) if each.label == "two")
    assert (there.data, there.metadata, there.devices, there.state) == ("raid1", "raid1", 2, State.ACTIVE)
    assert set(found(guest)) >= {"data", "data/inner", "plain/inside", "top"}
