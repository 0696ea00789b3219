"""What NixOS is told, done by hand on a real kernel: what it would mount is what is mounted, its root is empty."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import pytest

import pre_nixos as pn
from pre_nixos.backends.btrfs.nixos import KEPT
from pre_nixos.backends.mounts import Mount
from pre_nixos.lab.description import Lab, LabDisk
from tests.unit.render.nixosmodules import options_of

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

MIB = 1 << 20
OPTIONS: dict[str, object] = {
    "esp": "64MiB",
    "least": "100MiB",
    "swap": "16MiB",
    "pbkdf": "pbkdf2",
    "iter_time": 10,
    "mirror": 2,
    "keys": ["env:KEY"],
}
SECRETS = {"env:KEY": "correct horse battery"}
OTHER = "/run/as-nixos"
MAPPED = "/dev/mapper/cryptroot"
SUBVOLUMES = 7
"""The root, the empty one, and those of home, nix, persist, log and swap."""


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    disks = tuple(LabDisk(name=name, size=500 * MIB) for name in ("a", "b"))
    running = boot_shared(Lab(disks=disks, firmware="uefi", modules=("dm_crypt", "btrfs")))
    machine = pn.probe(running.host)
    plan = pn.schedule(machine, pn.propose(machine, "impermanence", OPTIONS))
    pn.apply(plan, consent=plan.digest, host=running.host, secrets=SECRETS)
    # Links may be missing that udev makes at the next boot, and that is what this is about.
    running.run(["udevadm", "trigger", "--settle", "--action=change", "--subsystem-match=block"])
    return running


def wanted_on(guest: Guest) -> tuple[pn.Wanted, pn.Machine]:
    machine = pn.probe(guest.host)
    return pn.propose(machine, "impermanence", OPTIONS), machine


@pytest.fixture(scope="module")
def told(guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return options_of(pn.write_module(*wanted_on(guest)).text, folder(tmp_path_factory))


def folder(factory: pytest.TempPathFactory) -> Path:
    return factory.mktemp("nix")


def test_what_nixos_would_mount_is_what_is_mounted(guest: Guest, told: dict[str, Any]) -> None:
    wanted, _ = wanted_on(guest)
    places = {each.at for each in wanted.graph.of(Mount)}
    assert set(told["fileSystems"]) == {*places, "/boot-2"}
    for at in sorted(told["fileSystems"]):
        each = told["fileSystems"][at]
        options = ",".join(word for word in each["options"] if not word.startswith(("nofail", "x-")))
        there = shlex.quote(OTHER + at)
        guest.script(
            f"mkdir -p {there} && mount -t {each['fsType']} -o {shlex.quote(options)} {each['device']} {there}"
        )
        if at in places:
            same = (
                f"findmnt -nro MAJ:MIN,FSROOT {OTHER}{at} | tail -n 1; findmnt -nro MAJ:MIN,FSROOT /mnt{at} | tail -n 1"
            )
            mine, its = guest.script(same).stdout.splitlines()
            assert mine == its, at
    assert guest.run(["stat", "-c", "%a", f"{OTHER}/boot"]).stdout == "700\n"
    assert guest.run(["stat", "-c", "%a", f"{OTHER}/boot-2"]).stdout == "700\n"
    guest.script(f"umount -R {OTHER}")


def test_every_other_device_is_there_under_the_name_nixos_has_for_it(guest: Guest, told: dict[str, Any]) -> None:
    ((name, volume),) = told["boot"]["initrd"]["luks"]["devices"].items()
    assert name == "cryptroot"
    guest.run(["cryptsetup", "isLuks", volume["device"]])
    _, array = told["boot"]["swraid"]["mdadmConf"].splitlines()
    assert array.split()[-1].removeprefix("UUID=") in guest.run(["mdadm", "--detail", "--scan"]).stdout
    assert [each["device"] for each in told["swapDevices"]] == ["/swap/swapfile"]


def test_the_root_is_empty_at_every_boot_and_nothing_else_is(guest: Guest, told: dict[str, Any]) -> None:
    script = told["boot"]["initrd"]["systemd"]["services"]["pre-nixos-rollback"]["script"]
    guest.script("echo kept > /mnt/persist/file; swapoff /mnt/swap/swapfile; umount -R /mnt")
    for boot in range(4):
        # As systemd does it on a real system, there are subvolumes in the root; one of them cannot be written to.
        guest.script(
            f"mount -o subvol=root {MAPPED} /mnt && echo {boot} > /mnt/file && mkdir -p '/mnt/var/lib/a path b' && "
            "btrfs subvolume create '/mnt/var/lib/a path b/machines' && "
            "btrfs subvolume create '/mnt/var/lib/a path b/machines/inner' && "
            "btrfs property set '/mnt/var/lib/a path b/machines' ro true && umount /mnt"
        )
        guest.script(script)
        shown = guest.script(f"mount -o subvol=root {MAPPED} /mnt && ls -A /mnt && umount /mnt").stdout
        assert shown == "", "the root is empty"
    back(guest)
    assert guest.run(["cat", "/mnt/persist/file"]).stdout == "kept\n"
    guest.script(f"mkdir -p /run/top && mount -o subvolid=5 {MAPPED} /run/top")
    assert guest.script("cat /run/top/old-roots/*/file").stdout.split() == ["1", "2", "3"]
    assert len(guest.run(["btrfs", "subvolume", "list", "/run/top"]).stdout.splitlines()) == SUBVOLUMES + 3 * 3
    guest.script("umount /run/top")
    wanted, machine = wanted_on(guest)
    assert not pn.schedule(machine, wanted).actions, "it is as good as the first one"


def test_without_its_empty_snapshot_the_root_stays_as_it_is(guest: Guest, told: dict[str, Any]) -> None:
    script = told["boot"]["initrd"]["systemd"]["services"]["pre-nixos-rollback"]["script"]
    guest.script(
        f"mkdir -p /run/top && mount -o subvolid=5 {MAPPED} /run/top && echo mine > /run/top/root/mine && "
        "mv /run/top/root-blank /run/top/gone"
    )
    ran = guest.run(["bash", "-c", script], check=False)
    assert ran.status == 1
    assert "the root stays as it is" in ran.stderr
    assert guest.run(["cat", "/run/top/root/mine"]).stdout == "mine\n"
    guest.script("mv /run/top/gone /run/top/root-blank; umount /run/top")


NAMES = (
    *("x\nhome", "x", "x\nID 5 gen 1 top level 5 path home", " path home", "a b", "$(reboot)", "*", "-rf", "old-roots"),
    *("home", "\\n", "{}", "\udcff", "a/x\nhome", "a/x", "a/ \n /inner"),
)
"""What an ordinary user may call subvolumes, with another meaning for whoever takes them out of a list of lines."""
HOSTILE = f"""
import os, subprocess
def made(name):
    subprocess.run(["btrfs", "subvolume", "create", "./" + name], check=True, stdout=subprocess.DEVNULL)
os.chdir("/mnt/var/tmp")
for name in {NAMES!r}:
    os.makedirs(os.path.dirname("./" + name), exist_ok=True)
    made(name)
made("closed")
made("closed/inner")
subprocess.run(["btrfs", "property", "set", "-ts", "closed", "ro", "true"], check=True)
os.symlink("../../../home", "link")
for _ in range(20):
    os.mkdir("d" * 255)
    os.chdir("d" * 255)
made("deep")
made("deep/inner")
"""
"""All that, one that cannot be written to, and one with a longer path than the kernel takes at once."""


def test_no_name_in_the_root_leads_to_what_is_outside(guest: Guest, told: dict[str, Any]) -> None:
    script = told["boot"]["initrd"]["systemd"]["services"]["pre-nixos-rollback"]["script"]
    guest.script("swapoff -a; umount -R /mnt; mkdir -p /run/top")
    guest.script(f"mount -o subvolid=5 {MAPPED} /run/top && echo thesis > /run/top/home/thesis && umount /run/top")
    user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    for _ in range(5):
        guest.script(
            f"mount -o subvol=root {MAPPED} /mnt && mkdir -p /mnt/var/tmp && chmod 1777 /mnt/var/tmp && "
            "btrfs subvolume create /mnt/sent && btrfs property set -ts /mnt/sent ro true && "
            "btrfs send -q /mnt/sent | btrfs receive -q /mnt/var/tmp"
        )
        guest.run([*user, "python3", "-c", HOSTILE])
        guest.script("umount /mnt")
        assert guest.run(["bash", "-e", "-c", script]).status == 0
    guest.script(f"mount -o subvolid=5 {MAPPED} /run/top")
    assert guest.run(["cat", "/run/top/home/thesis"]).stdout == "thesis\n"
    assert guest.run(["ls", "/run/top"]).stdout.split() == sorted(
        ["home", "log", "nix", "old-roots", "persist", "root", "root-blank", "swap"]
    )
    assert len(guest.run(["ls", "/run/top/old-roots"]).stdout.split()) == KEPT
    each = 1 + len(NAMES) + len(("closed", "closed/inner", "deep", "deep/inner", "sent", "received"))
    roots = guest.run(["find", "/run/top", "-type", "d", "-inum", "256", "-printf", "x"]).stdout
    assert len(roots) == 1 + SUBVOLUMES + KEPT * each, "of what was in older roots nothing is left"
    guest.script("umount /run/top")


FOREIGN = ("2019-photos", "root-000000", "root-000000-2019-01-01-000000-mine", "root-old")
"""What somebody may have put beside former roots, and is none of them."""


def test_of_former_roots_the_oldest_goes_whatever_the_clock_says(guest: Guest, told: dict[str, Any]) -> None:
    script = told["boot"]["initrd"]["systemd"]["services"]["pre-nixos-rollback"]["script"]
    made = " && ".join(f"btrfs subvolume create {each}" for each in FOREIGN)
    guest.script(f"mkdir -p /run/top && mount -o subvolid=5 {MAPPED} /run/top && cd /run/top/old-roots && {made}")
    before = [each for each in guest.run(["ls", "/run/top/old-roots"]).stdout.split() if each not in FOREIGN]
    assert len(before) == KEPT
    guest.script("echo mine > /run/top/root/mine")
    guest.script(f"date() {{ echo 1970-01-01-000000; }}\n{script}")
    after = [each for each in guest.run(["ls", "/run/top/old-roots"]).stdout.split() if each not in FOREIGN]
    assert after[:-1] == before[1:]
    assert after[-1].endswith("-1970-01-01-000000")
    assert guest.run(["cat", f"/run/top/old-roots/{after[-1]}/mine"]).stdout == "mine\n"
    guest.script(f"cd /run/top/old-roots && btrfs subvolume delete {' '.join(FOREIGN)} && cd / && umount /run/top")


FORMER = "root-000000-2020-01-01-000000"


def test_what_cannot_be_removed_stays_and_holds_up_nothing(guest: Guest, told: dict[str, Any]) -> None:
    script = told["boot"]["initrd"]["systemd"]["services"]["pre-nixos-rollback"]["script"]
    guest.script(
        f"mkdir -p /run/top && mount -o subvolid=5 {MAPPED} /run/top && cd /run/top/old-roots && mkdir {FORMER} && "
        "btrfs subvolume create .fresh && btrfs subvolume create .fresh/half && btrfs subvolume create .going && "
        "echo mine > ../root/mine"
    )
    before = guest.run(["ls", "/run/top/old-roots"]).stdout.split()
    ran = guest.run(["bash", "-e", "-c", script], check=False)
    assert ran.status == 1
    assert f"an old root stays, or some of it: /run/pre-nixos-rollback/old-roots/{FORMER}" in ran.stderr
    after = guest.run(["ls", "-A", "/run/top/old-roots"]).stdout.split()
    assert len(after) == 1 + KEPT
    assert after[:KEPT] == [FORMER, *before[-KEPT + 1 :]]
    assert guest.run(["cat", f"/run/top/old-roots/{after[-1]}/mine"]).stdout == "mine\n"
    assert guest.run(["ls", "-A", "/run/top/root"]).stdout == "", "and the root is empty all the same"
    guest.script(f"rmdir /run/top/old-roots/{FORMER}; umount /run/top")


def back(guest: Guest) -> None:
    wanted, machine = wanted_on(guest)
    plan = pn.schedule(machine, wanted, only={pn.Verb.ACTIVATE})
    pn.apply(plan, consent=plan.digest, host=guest.host, secrets=SECRETS)
