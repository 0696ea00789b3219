"""`pre-nixos wipe`, typed in a guest: a refusal leaves every byte, and what was asked for is done to the last one."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.lab import residue
from pre_nixos.lab.description import Attachment, Lab, LabDisk
from pre_nixos.lab.image import content_hash, make_image
from pre_nixos.model.step import MIB

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.host.questions import Ran
    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMAND = (sys.executable, "-m", "pre_nixos.cli")
ENVIRONMENT = {"PYTHONPATH": ROOT, "NO_COLOR": "1"}
TARGET = LabDisk(name="target", size=192 * MIB)
LARGE = LabDisk(name="large", size=3072 * MIB)
PLAIN = LabDisk(name="plain", size=128 * MIB, attachment=Attachment.PLAIN)
BYSTANDER = LabDisk(name="bystander", size=64 * MIB)


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    running = boot_shared(Lab(disks=(TARGET, LARGE, PLAIN, BYSTANDER)))
    running.dirty(residue.BYSTANDER, "bystander")
    return running


def typed(guest: Guest, *words: str) -> Ran:
    return guest.run([*COMMAND, *words], environment=ENVIRONMENT, timeout=180, check=False)


def blank_hash(size: int, folder: Path) -> str:
    image = str(folder / "blank.img")
    make_image(image, size)
    return content_hash(image)


ELSEWHERE = """
printf 'size=32MiB\\nsize=32MiB\\n' | sfdisk -q --label gpt "$1"
udevadm settle
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "${1}1"
mkswap -q "${1}2"
swapon "${1}2"
rm -f /run/mounted
mkdir -p /srv/elsewhere
unshare --mount --propagation private setsid \\
    sh -c "mount ${1}1 /srv/elsewhere; touch /srv/elsewhere/file; sync; touch /run/mounted; exec sleep 86400" \\
    < /dev/null > /dev/null 2>&1 &
echo $! > /run/holder
while [ ! -e /run/mounted ]; do sleep 0.1; done
udevadm settle
"""


def test_with_a_filesystem_mounted_in_another_namespace_nothing_is_even_switched_off(guest: Guest) -> None:
    guest.script(ELSEWHERE, guest.node("target"))
    before = guest.hash_disk("target")
    ran = typed(guest, "wipe", TARGET.serial_shown, "--yes")
    assert ran.status == 1
    said = " ".join(ran.stderr.split())
    assert "mounted at /srv/elsewhere" in said
    assert "mnt:" in said or "namespace" in said
    assert guest.hash_disk("target") == before
    # The barrier: what could have been released was not.
    assert f"{guest.node('target')}2" in guest.script("cat /proc/swaps").stdout
    guest.script("kill $(cat /run/holder); while kill -0 $(cat /run/holder) 2> /dev/null; do sleep 0.05; done")
    done = typed(guest, "wipe", TARGET.serial_shown, "--yes")
    assert done.status == 0, done.stderr
    again = typed(guest, "wipe", TARGET.serial_shown, "--check")
    assert again.status == 0
    assert "nothing to do" in again.stdout


def test_overwriting_leaves_nothing_but_zeros(guest: Guest, tmp_path: Path) -> None:
    bystander = guest.hash_disk("bystander")
    guest.script(f"noise 201326592 2> /dev/null > {guest.node('target')} || true; udevadm settle")
    ran = typed(guest, "wipe", TARGET.serial_shown, "--yes", "--overwrite", "--report", "/run/report.json")
    assert ran.status == 0, ran.stderr
    assert guest.hash_disk("target") == blank_hash(TARGET.size, tmp_path)
    assert guest.hash_disk("bystander") == bystander
    report = msgspec.json.decode(guest.run(["cat", "/run/report.json"]).stdout)["content"]
    assert [each["action"].split()[0] for each in report["rounds"][0]["done"]] == ["teardown", "erase"]


def test_discarding_gives_the_space_back(guest: Guest) -> None:
    node = f"/dev/{next(iter(plain_disks(guest)))}"
    guest.script(f"noise 104857600 > {node}; sync; udevadm settle; mkfs.ext4 -q -F -E nodiscard {node}; sync")
    taken = os.stat(guest.image("plain")).st_blocks
    ran = typed(guest, "wipe", PLAIN.serial_shown, "--yes", "--discard")
    assert ran.status == 0, ran.stderr
    guest.run(["sync"])
    assert os.stat(guest.image("plain")).st_blocks < taken // 2
    refused = typed(guest, "wipe", TARGET.serial_shown, "--yes", "--discard")
    assert refused.status == 1
    assert "cannot be told to discard" in " ".join(refused.stderr.split())


def plain_disks(guest: Guest) -> list[str]:
    machine = pn.probe(guest.host)
    return [each.device.name for each in machine.all_disks if each.device and each.device.name.startswith("ubd")]


def test_asked_to_stop_it_stops_between_two_stretches_and_goes_on_when_run_again(guest: Guest, tmp_path: Path) -> None:
    node = guest.node("large")
    guest.script(
        f"for at in 1 1500 2900; do dd if=/dev/urandom of={node} bs=1M count=4 seek=$at status=none; done; sync"
    )
    words = ("wipe", LARGE.serial_shown, "--overwrite", "--yes")
    environment = {**ENVIRONMENT, "PYTHONUNBUFFERED": "1"}
    pid = guest.start([*COMMAND, *words, "--log", "/run/events"], log="/run/said", environment=environment)
    deadline = time.monotonic() + 120
    while '"step":"Zero"' not in guest.script("cat /run/events 2> /dev/null || true").stdout.replace(" ", ""):
        assert time.monotonic() < deadline, guest.script("cat /run/said").stdout
        time.sleep(0.1)
    guest.script(f"kill -TERM {pid} || true; while [ -e /proc/{pid}/exe ]; do sleep 0.05; done", timeout=120)
    said = " ".join(guest.script("cat /run/said").stdout.split())
    assert "Stopped, as asked" in said
    assert guest.hash_disk("large") != blank_hash(LARGE.size, tmp_path)
    done = typed(guest, *words)
    assert done.status == 0, done.stderr
    assert guest.hash_disk("large") == blank_hash(LARGE.size, tmp_path)
