"""Making two usual layouts on blank disks, against a plain script that calls the tools in the order Disko does.

Both work in the same guest, with the same tools, on disks alike. Deriving keys takes as long on either side and would
only hide the rest, so both are told to take no time for it. What the script does not do (looking at what is there,
proving that it is blank, reading back, verifying) is in the time of ours.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.lab.uml import boot
from pre_nixos.model.step import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pre_nixos.lab.guest import Guest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CASES = os.path.join(ROOT, "tests/unit/cases/layouts/right")
GIB = 1024 * MIB
KEY = "/run/keys/disk"
QUICK = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
LAYOUT = "/run/layout.json"
AGAIN = 3

PREPARED = f"""
mkdir -p {os.path.dirname(KEY)} /mnt
umask 077
echo 'correct horse' > {KEY}
# Mirrors of sparse files, made whole by their kernel, would become the files they are not.
echo 10 > /proc/sys/dev/raid/speed_limit_min
echo 10 > /proc/sys/dev/raid/speed_limit_max
"""

COUNTING = """
trap 'cat /run/said >&2' EXIT
count=0
t() { count=$((count + 1)); "$@" > /run/said 2>&1 < /dev/null; }
settled() { t udevadm trigger --subsystem-match=block; t udevadm settle --timeout=120; }
typed() { count=$((count + 2)); blkid "$1" -o export 2> /run/said | grep -q '^TYPE='; }
"""
"""Every call is a program that is started, and counted."""

PARTITIONED = """
table() { t blkid "$1" || t sgdisk --clear "$1"; }
partition() {
    if ! t sgdisk --info="$2" "$1" || ! grep -q "$5" /run/said; then
        t sgdisk --align-end --new="$2:0:$3" --partition-guid="$2:R" --change-name="$2:$5" --typecode="$2:$4" "$1"
    fi
    t partprobe "$1" || true
    settled
}
made() { node=$1; shift; typed "$node" || t "$@" "$node"; }
mounted() { t findmnt "$1" "$2" || { t mount "$1" "$2" -o "$3" -o X-mount.mkdir; }; }
locked() {
    if ! t blkid "$1" || ! t cryptsetup isLuks "$1"; then
        t cryptsetup -q luksFormat "$1" --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file "$KEY"
    fi
    t cryptsetup status crypted || t cryptsetup open "$1" crypted --key-file "$KEY" --allow-discards --persistent
}
volume() { t lvdisplay "main/$1" || t lvcreate --yes --size "$2" -n "$1" main; }
"""

MIRRORED = """
for disk in 0 1; do
    [ $disk = 0 ] && node=$1 || node=$2
    table "$node"
    partition "$node" 1 +1G EF00 "disk-ssd$disk-ESP"
    partition "$node" 2 -0 FD00 "disk-ssd$disk-raid"
    made "${node}1" mkfs.vfat -n "ESP$disk"
done
if ! [ -e /dev/md/main ]; then
    t mdadm --create /dev/md/main --run --level=1 --raid-devices=2 --metadata=1.2 --force --homehost=any "${1}2" "${2}2"
    t partprobe /dev/md/main || true
    settled
    t sgdisk --zap-all /dev/md/main
fi
locked /dev/md/main
typed /dev/mapper/crypted || t pvcreate /dev/mapper/crypted
t vgdisplay main || t vgcreate main /dev/mapper/crypted
volume home 16G
volume root 50G
volume swap 64G
made /dev/main/home mkfs.ext4
made /dev/main/root mkfs.ext4
made /dev/main/swap mkswap
t vgchange -a y
mounted /dev/main/root /mnt defaults
mounted "${1}1" /mnt/boot umask=0077
mounted /dev/main/home /mnt/home defaults
count=$((count + 3)) # swapon, grep, readlink
swapon --show | grep -q "$(readlink -f /dev/main/swap)" || t swapon /dev/main/swap
"""

IMPERMANENT = """
table "$1"
partition "$1" 1 +1G EF00 disk-main-ESP
partition "$1" 2 -0 8300 disk-main-luks
made "${1}1" mkfs.vfat
locked "${1}2"
made /dev/mapper/crypted mkfs.btrfs -f
for name in home log nix persist root; do
    typed /dev/mapper/crypted
    count=$((count + 1))
    top=$(mktemp -d)
    t mount /dev/mapper/crypted "$top" -o subvol=/
    t mkdir -p "$top"
    t btrfs subvolume show "$top/$name" || t btrfs subvolume create "$top/$name"
    t umount "$top"
    t rm -rf "$top"
done
for pair in root:/mnt home:/mnt/home nix:/mnt/nix persist:/mnt/persist log:/mnt/var/log; do
    name=${pair%%:*} at=${pair#*:}
    t findmnt "$at" || t mount /dev/mapper/crypted "$at" -o compress=zstd,noatime,subvol=/$name -o X-mount.mkdir
done
mounted "${1}1" /mnt/boot umask=0077
"""

REMOVED = """
swapoff -a
umount -R /mnt
vgchange -qq -an main 2> /dev/null || true
udevadm settle
[ ! -e /dev/mapper/crypted ] || cryptsetup close crypted
[ ! -e /dev/md/main ] || mdadm --stop --quiet /dev/md/main
udevadm settle
for disk; do
    for node in "${disk}"?; do dd if=/dev/zero of="$node" bs=1M count=20 status=none; done
    sgdisk --zap-all "$disk" > /dev/null
done
udevadm settle
"""

TIMED = """
import json, subprocess, sys, time
argv, script = json.load(sys.stdin)
started = time.perf_counter()
ran = subprocess.run(argv, input=script, capture_output=True, text=True)
print(json.dumps([time.perf_counter() - started, ran.returncode, ran.stdout, ran.stderr]))
"""


class Bench(NamedTuple):
    """A layout, and the script that makes the same."""

    name: str
    size: int
    disks: tuple[str, ...]
    """What the layout calls them."""
    script: str
    most: int
    """How many programs of ours may change something."""


BENCHES = (
    Bench("raid1-luks-lvm", 140 * GIB, ("ssd0", "ssd1"), MIRRORED, 14),
    Bench("impermanence-btrfs", 16 * GIB, ("main",), IMPERMANENT, 6),
)


class Made(NamedTuple):
    """What making a layout took, and making it again."""

    name: str
    ours: float
    script: float
    ours_again: float
    script_again: float
    processes: int
    processes_again: int
    most: int
    calls: int
    """Of the script."""
    calls_again: int


def make(artefacts: str) -> Iterator[Made]:
    """Make each layout by the script and by ours, each on disks of its own, each twice."""
    for bench in BENCHES:
        disks = [
            LabDisk(name=f"{side}{name}", serial=f"{side}{name}", size=bench.size)
            for side in ("theirs", "ours")
            for name in bench.disks
        ]
        lab = Lab(disks=tuple(disks), memory=768 * MIB, modules=("dm_crypt", "btrfs"), firmware="uefi")
        with boot(lab, artefacts=os.path.join(artefacts, bench.name)) as guest:
            guest.script(PREPARED)
            yield _made(bench, guest)


def _made(bench: Bench, guest: Guest) -> Made:
    nodes = [guest.node(f"theirs{name}") for name in bench.disks]
    script = f"set -eu\nKEY={KEY}\n{COUNTING}{PARTITIONED}{bench.script}\necho $count\n"
    argv = ["sh", "-s", "--", *nodes]
    (theirs, calls), (theirs_again, calls_again) = _timed(guest, argv, script), _best(guest, argv, script)
    guest.run(["sh", "-eu", "-s", "--", *nodes], stdin=REMOVED)
    guest.run(["tee", LAYOUT], stdin=json.dumps(_layout(bench)))
    chosen = [word for name in bench.disks for word in ("--disk", f"{name}=ours{name}")]
    argv = [sys.executable, "-m", "pre_nixos.cli", "apply", "--yes", "--json", "--layout", LAYOUT, *chosen]
    (ours, report), (ours_again, report_again) = _timed(guest, argv), _best(guest, argv)
    processes = [json.loads(each)["content"].get("processes", 0) for each in (report, report_again)]
    return Made(
        name=bench.name,
        ours=ours,
        script=theirs,
        ours_again=ours_again,
        script_again=theirs_again,
        processes=processes[0],
        processes_again=processes[1],
        most=bench.most,
        calls=int(calls),
        calls_again=int(calls_again),
    )


def _best(guest: Guest, argv: list[str], script: str = "") -> tuple[float, str]:
    """Take the quickest of what can be repeated."""
    return min(_timed(guest, argv, script) for _ in range(AGAIN))


def _timed(guest: Guest, argv: list[str], script: str = "") -> tuple[float, str]:
    guest.run(["sync"], timeout=120)  # what the one before left to be written is not for this one to wait for
    given = json.dumps([argv, script])
    ran = guest.run(
        [sys.executable, "-c", TIMED], stdin=given, environment={"PYTHONPATH": ROOT}, directory=ROOT, timeout=300
    )
    seconds, status, out, error = json.loads(ran.stdout)
    if status != 0:
        raise RuntimeError(f"{argv[0]} in the guest: status {status}\n{out}{error}")
    return seconds, out


def _layout(bench: Bench) -> dict[str, Any]:
    """Read the layout, with as little time for its keys as the script takes."""
    with open(os.path.join(CASES, f"{bench.name}.json"), encoding="utf-8") as file:
        layout: dict[str, Any] = json.load(file)["layout"]
    for luks in _encrypted(layout):
        luks["extraFormatArgs"] = [*QUICK]
    return layout


def _encrypted(table: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if table.get("type") == "luks":
        yield table
    for each in table.values():
        if isinstance(each, dict):
            yield from _encrypted(cast("dict[str, Any]", each))
