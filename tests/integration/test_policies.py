"""The policies for one system on a real kernel: from whatever is there to what they want, and not again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.backends.btrfs import Subvolume
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.lab import residue
from pre_nixos.lab.description import Lab, LabDisk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

MIB = 1 << 20
SIZES = {"a": 500, "b": 500, "c": 400, "d": 300}
SMALL: dict[str, object] = {"esp": "64MiB", "least": "100MiB", "swap": "16MiB"}
CHEAP: dict[str, object] = {**SMALL, "pbkdf": "pbkdf2", "iter_time": 10}
SECRETS = {"prompt:cryptroot": "correct horse battery"}
PLACES = {"/boot", "/home", "/nix", "/persist", "/swap", "/var/log"}


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    disks = tuple(LabDisk(name=name, size=size * MIB) for name, size in SIZES.items())
    running = boot_shared(Lab(disks=disks, firmware="uefi", modules=("dm_crypt", "btrfs")))
    running.dirty(residue.OLD_SWAP_ARRAY, "a", "b")
    running.dirty(residue.BYSTANDER, "c")
    running.dirty(residue.BYSTANDER, "d")
    return running


@pytest.fixture(scope="module", autouse=True)
def bystander(guest: Guest) -> Iterator[None]:
    """Whatever these tests do, nothing happens to the disk nobody meant."""
    before = guest.hash_disk("d")
    yield
    assert guest.hash_disk("d") == before


def carry_out(guest: Guest, policy: str, options: dict[str, object], *, instead: bool = False) -> pn.Wanted:
    """Do it; `instead` of another system of these policies, which is not lost without having been named."""
    machine = pn.probe(guest.host)
    wanted = pn.propose(machine, policy, options)
    plan = pn.schedule(machine, wanted)
    assert bool(plan.objections) is instead
    if instead:
        plan = pn.schedule(machine, wanted.replacing(*wanted.takes))
    assert not plan.objections
    assert any(plan.losses().values()), "it began with something else on the disks"
    pn.apply(plan, consent=plan.digest, host=guest.host, secrets=SECRETS)
    assert not pn.verify(wanted, guest.host)
    again = pn.probe(guest.host)
    assert pn.propose(again, policy, options) == wanted
    assert not pn.schedule(again, wanted).actions
    return wanted


def comes_back(guest: Guest, policy: str, options: dict[str, object]) -> None:
    """Insist that what was only put out of use is put into use again, and nothing else is done to it."""
    machine = pn.probe(guest.host)
    plan = pn.schedule(machine, pn.propose(machine, policy, options))
    assert {each.verb for each in plan.actions} == {pn.Verb.ACTIVATE}
    pn.apply(plan, consent=plan.digest, host=guest.host, secrets=SECRETS)
    assert guest.run(["cat", "/mnt/persist/file"]).stdout == "kept\n"


def below_mnt(guest: Guest) -> set[str]:
    lines = guest.run(["grep", " /mnt/", "/proc/mounts"]).stdout.splitlines()
    return {line.split()[1].removeprefix("/mnt") for line in lines}


def disks_of(guest: Guest, wanted: pn.Wanted) -> set[str]:
    shown = {guest.disk(name).serial_shown: name for name in SIZES}
    return {shown[disk.serial or ""] for disk in wanted.graph.of(pn.Disk)}


def test_single(guest: Guest) -> None:
    wanted = carry_out(guest, "single", {**SMALL, "at_least": "350MiB", "which": "smallest"})
    assert disks_of(guest, wanted) == {"c"}
    assert guest.run(["stat", "-f", "-c", "%T", "/mnt"]).stdout == "ext2/ext3\n"
    assert below_mnt(guest) == {"/boot"}
    assert "/mnt/swapfile" in guest.run(["cat", "/proc/swaps"]).stdout
    guest.script("swapoff /mnt/swapfile; umount -R /mnt")


MIRROR: dict[str, object] = {**CHEAP, "mirror": 2, "at_least": "450MiB"}


def test_impermanence_on_a_mirror(guest: Guest) -> None:
    wanted = carry_out(guest, "impermanence", MIRROR)
    assert disks_of(guest, wanted) == {"a", "b"}
    assert below_mnt(guest) == PLACES
    graph = pn.probe(guest.host).graph
    assert {each.label for each in graph.of(Filesystem) if each.type == "vfat"} == {"boot", "boot-2"}
    assert {each.name: each.read_only for each in graph.of(Subvolume)}["root-blank"]
    guest.script(
        "echo kept > /mnt/persist/file; sync; swapoff /mnt/swap/swapfile; umount -R /mnt; cryptsetup close cryptroot; "
        "udevadm control --property=ANACONDA=1; mdadm --stop --quiet --scan; udevadm settle"
    )
    comes_back(guest, "impermanence", MIRROR)
    guest.script(
        "swapoff /mnt/swap/swapfile; umount -R /mnt; cryptsetup close cryptroot; udevadm control --property=ANACONDA="
    )


ALONE: dict[str, object] = {**CHEAP, "at_least": "350MiB", "at_most": "450MiB"}


def test_impermanence_on_one_disk(guest: Guest) -> None:
    wanted = carry_out(guest, "impermanence", ALONE, instead=True)
    assert disks_of(guest, wanted) == {"c"}
    assert below_mnt(guest) == PLACES
    shown = guest.run(["findmnt", "-no", "OPTIONS", "/mnt/nix"]).stdout
    assert "compress=zstd" in shown
    assert "noatime" in shown
    guest.script("echo kept > /mnt/persist/file; sync; swapoff /mnt/swap/swapfile; umount -R /mnt; sync")
    comes_back(guest, "impermanence", ALONE)
