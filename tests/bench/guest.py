"""Looking at a machine, against the tools that look at parts of it: in a guest, where the devices are real."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, NamedTuple

from pre_nixos.host.questions import ReadBlockNodes
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.lab.residue import Recipe
from pre_nixos.lab.uml import boot
from pre_nixos.model.step import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping

ROUNDS = 7
NODES = 45
"""At least as many devices the machine has; what is measured depends on that."""

MACHINE = Lab(disks=tuple(LabDisk(name=f"disk{number}", size=512 * MIB) for number in range(10)), memory=768 * MIB)

STACKS = Recipe(
    name="stacks",
    story="A server in use: mirrors below volume groups, encrypted volumes, plain filesystems, two disks to spare.",
    disks=10,
    script="""
for disk in "$1" "$2" "$3" "$4"; do
    for size in 64 200 120 64; do echo "size=${size}MiB"; done | sfdisk -q --label gpt "$disk"
done
udevadm settle
mirror() {
    yes | mdadm --create "/dev/md/$1" --quiet --run --homehost=any --metadata=1.2 --level=1 --assume-clean \\
        --raid-devices=2 "$2" "$3"
}
mirror main "${1}2" "${2}2"
mirror large "${3}2" "${4}2"
udevadm settle
for disk in "$1" "$2" "$3" "$4"; do
    mkfs.vfat --mbr=n "${disk}1" > /dev/null
    mkswap -q "${disk}4"
done
volume() { lvcreate -qq --yes --name "$2" --size "${4:-32m}" "$1"; mkfs.ext4 -q -L "$2" "/dev/$1/$2"; }
vgcreate -qq main /dev/md/main
for name in slash home var_log; do volume main "$name" ext4; done
vgcreate -qq large /dev/md/large
for name in data more; do volume large "$name" ext4; done
vgcreate -qq single "${1}3" "${2}3"
for name in one two three four; do volume single "$name" ext4 24m; done
head -c 64 /dev/zero > /run/key
for partition in "${3}3" "${4}3"; do
    cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /run/key "$partition"
done
cryptsetup open --key-file /run/key "${3}3" secret
udevadm settle
vgcreate -qq --config 'devices{scan_lvs=1}' secrets /dev/mapper/secret
for name in letters photos; do volume secrets "$name" ext4; done
vgcreate -qq whole "$5" "$6"
for name in a b c; do volume whole "$name" ext4; done
lvcreate -qq --yes --type raid1 --nosync --name mirrored --size 32m whole
mkfs.ext4 -q "/dev/whole/mirrored"
mkfs.ext4 -q "$7"
mkfs.ext4 -q "$8"
mkdir -p /srv/here
mount "$7" /srv/here
udevadm settle
""",
)

OURS = "probe()"
LOOKING = """
import time, pre_nixos as pn
from pre_nixos.hooks.registry import installed
pn.probe, installed()
started = time.perf_counter()
pn.probe()
print(time.perf_counter() - started)
"""
"""A program that says how long it looked: without its own start and imports, but with all that looking starts."""
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    OURS: (sys.executable, "-c", "import pre_nixos as pn; pn.probe()"),
    "lvm fullreport": ("lvm", "fullreport"),
    "mdadm --examine --scan": ("mdadm", "--examine", "--scan"),
    "mdadm --detail --export": ("mdadm", "--detail", "--export", "/dev/md/main", "/dev/md/large"),
    "python -c pass": (sys.executable, "-c", "pass"),
}

TAKING_TURNS = """
import json, os, subprocess, sys, time
programs, looking, rounds = json.load(sys.stdin)
best = dict.fromkeys([*programs, "looking"], float("inf"))
for _ in range(rounds):
    for name, argv in programs.items():
        started = time.perf_counter()
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        best[name] = min(best[name], time.perf_counter() - started)
    said = subprocess.run(looking, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    best["looking"] = min(best["looking"], float(said))
print(json.dumps(best))
"""


class Looks(NamedTuple):
    """What took how long, in seconds."""

    nodes: int
    ours: float
    """The whole program."""
    looking: float
    """The call alone."""
    theirs: Mapping[str, float]

    @property
    def yardstick(self) -> float:
        """All that is measured against, one after the other."""
        return sum(self.theirs.values())


def look(artefacts: str, rounds: int = ROUNDS) -> Looks:
    """Boot the machine, and take the best time of each program, run in turns."""
    with boot(MACHINE, artefacts=artefacts) as guest:
        guest.dirty(STACKS, *(disk.name for disk in MACHINE.disks))
        nodes = [node for node in guest.host.ask(ReadBlockNodes()).nodes if node.attributes.get("size", "0") != "0"]
        if len(nodes) < NODES:
            raise RuntimeError(f"the guest has {len(nodes)} devices, and {NODES} were meant")
        given = json.dumps([PROGRAMS, (sys.executable, "-c", LOOKING), rounds])
        ran = guest.run([sys.executable, "-c", TAKING_TURNS], stdin=given, timeout=300)
        best: dict[str, float] = json.loads(ran.stdout)
    ours, looking = best.pop(OURS), best.pop("looking")
    return Looks(nodes=len(nodes), ours=ours, looking=looking, theirs=best)
