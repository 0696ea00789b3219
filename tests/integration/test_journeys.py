"""What users go through: blank, made, verified, restarted, mounted, run again, changed, run again."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.model.step import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAYOUTS = os.path.join(ROOT, "tests/unit/cases/layouts/right")
GIB = 1024 * MIB
KEY = "/run/keys/disk"
HERE, FOUND = "/run/layout.json", "/run/found.json"


class Journey(NamedTuple):
    """One description of a machine, and how it is changed later."""

    disks: tuple[LabDisk, ...]
    words: tuple[str, ...]
    """What is said to every command."""
    marked: str
    """A directory that is to survive it all."""
    changed: str
    """What becomes of it: a directory that is new, or a mount point whose filesystem has grown."""
    layout: str = ""
    """The name of a layout, if it is one."""
    change: Callable[[Any], None] = lambda _: None
    more: tuple[str, ...] = ()
    """What is said to every command once it has changed."""
    memory: int = 768 * MIB
    processes: int | None = None
    """How many programs may change something the first time."""
    encrypted: str = ""
    """Where the volume is whose root is rolled back before it is mounted, as the new system's initrd would do."""


def disks(size: int, *names: str, rotational: bool = False) -> tuple[LabDisk, ...]:
    return tuple(LabDisk(name=each, serial=f"S-{each}", size=size, rotational=rotational) for each in names)


def grow_home(layout: Any) -> None:
    layout["disko"]["devices"]["lvm_vg"]["main"]["lvs"]["home"]["size"] = "18G"


def add_srv(layout: Any) -> None:
    subvolumes = layout["disko"]["devices"]["disk"]["main"]["content"]["partitions"]["luks"]["content"]["content"]
    subvolumes["subvolumes"]["/srv"] = {"mountpoint": "/srv"}


SECRET = ("--keys", f"file:{KEY}", "--pbkdf", "pbkdf2", "--iter-time", "10")
SUBVOLUMES = ("root=/", "home=/home", "nix=/nix", "persist=/persist", "log=/var/log", "srv=/srv")
MORE = tuple(word for each in SUBVOLUMES for word in ("--subvolumes", each))
JOURNEYS = {
    "raid1-luks-lvm": Journey(
        disks=disks(140 * GIB, "a", "b"),
        words=("--layout", HERE, "--disk", "ssd0=S-a", "--disk", "ssd1=S-b"),
        layout="raid1-luks-lvm",
        marked="/home",
        change=grow_home,
        changed="/home",
        processes=14,
    ),
    "impermanence-btrfs": Journey(
        disks=disks(8 * GIB, "a"),
        words=("--layout", HERE, "--disk", "main=S-a"),
        layout="impermanence-btrfs",
        marked="/persist",
        change=add_srv,
        changed="/srv",
        processes=6,
    ),
    "tiered": Journey(
        disks=(*disks(4 * GIB, "a", "b"), *disks(6 * GIB, "c", "d", rotational=True)),
        words=("--policy", "tiered", "--careful", "--slash", "1GiB", "--home-cap", "256MiB", "--data", "2GiB"),
        more=("--slash", "1500MiB"),
        marked="/data",
        changed="/",
    ),
    "single": Journey(
        disks=disks(4 * GIB, "a"),
        words=("--policy", "single", "--size", "2GiB"),
        more=("--size", "2500MiB"),
        marked="/",
        changed="/",
    ),
    "impermanence": Journey(
        disks=disks(12 * GIB, "a"),
        words=("--policy", "impermanence", *SECRET),
        more=MORE,
        marked="/persist",
        changed="/srv",
        encrypted="{}2",
    ),
    "impermanence on a mirror": Journey(
        disks=disks(12 * GIB, "a", "b"),
        words=("--policy", "impermanence", "--mirror", "2", *SECRET),
        more=MORE,
        marked="/persist",
        changed="/srv",
        encrypted="/dev/md/root",
    ),
}


ROLLBACK = """
udevadm settle
cryptsetup open --key-file - "$1" rollback
mkdir -p /run/top
mount -t btrfs -o subvolid=5 /dev/mapper/rollback /run/top
btrfs subvolume delete /run/top/root
btrfs subvolume snapshot /run/top/root-blank /run/top/root
umount /run/top
cryptsetup close rollback
udevadm settle
"""


class Traveller:
    """Gives commands in a guest, as a person would."""

    def __init__(self, guest: Guest, journey: Journey) -> None:
        self.guest = guest
        self.words: Sequence[str] = journey.words
        self.prepare(journey)

    def prepare(self, journey: Journey, change: Callable[[Any], None] = lambda _: None) -> None:
        """Put where they are looked for: the key, and the layout."""
        # Mirrors of sparse files, made whole by their kernel, would become the files they are not.
        self.guest.script(
            f"mkdir -p {os.path.dirname(KEY)}; umask 077; echo 'correct horse' > {KEY}; "
            "echo 10 > /proc/sys/dev/raid/speed_limit_min; echo 10 > /proc/sys/dev/raid/speed_limit_max"
        )
        if journey.layout:
            with open(os.path.join(LAYOUTS, f"{journey.layout}.json"), encoding="utf-8") as file:
                layout = json.load(file)["layout"]
            change(layout)
            self.guest.run(["tee", HERE], stdin=json.dumps(layout))

    def says(self, command: str, *words: str, status: int = 0) -> Any:
        argv = [sys.executable, "-m", "pre_nixos.cli", command, *self.words, "--json", *words]
        ran = self.guest.run(argv, environment={"PYTHONPATH": ROOT}, timeout=300, check=False)
        assert ran.status == status, ran.stdout[-3000:] + ran.stderr
        return json.loads(ran.stdout)

    def does(self, command: str, *words: str) -> dict[str, Any]:
        content: dict[str, Any] = self.says(command, *words)["content"]
        return content

    def describes(self) -> None:
        """Have the machine say what it has, and find that it has just that."""
        argv = [sys.executable, "-m", "pre_nixos.cli"]
        environment = {"PYTHONPATH": ROOT}
        show = [*argv, "show", "--output", "disko", "--json", "--root", "/mnt"]
        said = self.guest.run(show, environment=environment, timeout=120).stdout
        self.guest.run(["tee", FOUND], stdin=said)
        plan = [*argv, "plan", "--layout", FOUND, "--check"]
        ran = self.guest.run(plan, environment=environment, timeout=120, check=False)
        assert ran.status == 0, f"{said}\n{ran.stdout}{ran.stderr}"

    def restart(self, journey: Journey) -> None:
        self.guest.power_off()
        self.guest.boot()
        self.prepare(journey)

    def rolls_back(self, journey: Journey) -> None:
        if journey.encrypted:
            script = (
                f"mdadm --assemble --scan || true; printf 'correct horse' > /run/plain; exec < /run/plain\n{ROLLBACK}"
            )
            self.guest.run(["sh", "-euc", script, "sh", journey.encrypted.format(self.guest.node("a"))])

    def mounts(self) -> dict[str, str]:
        """Tell what one sees where something is mounted for the new system."""
        lines = self.guest.run(["cat", "/proc/mounts"]).stdout.splitlines()
        places = sorted({place for line in lines if (place := line.split()[1]).startswith("/mnt")})
        seen = self.guest.run(["stat", "-f", "-c", "%n %T %b", *places]).stdout.splitlines() if places else []
        return dict(line.split(" ", 1) for line in seen)

    def size(self, at: str) -> int:
        return int(self.guest.run(["stat", "-f", "-c", "%b", f"/mnt{at}"]).stdout)


def done(report: dict[str, Any]) -> list[str]:
    rounds = report.get("rounds", ())
    return [each["action"].split()[0] for one in rounds for each in one.get("done", ())]


@pytest.mark.parametrize("name", JOURNEYS)
def test_from_blank_to_mounted_after_a_restart_and_changed(boot_fresh: BootGuest, name: str) -> None:
    journey = JOURNEYS[name]
    guest = boot_fresh(Lab(disks=journey.disks, memory=journey.memory, modules=("dm_crypt", "btrfs"), firmware="uefi"))
    she = Traveller(guest, journey)
    made = she.does("apply", "--yes")
    assert journey.processes is None or made["processes"] <= journey.processes
    assert she.says("verify")["as_wanted"]
    assert done(she.does("apply", "--yes")) == []
    she.describes()
    before = she.mounts()
    guest.script(f"echo gone > /mnt/gone; echo kept > /mnt{journey.marked}/file")

    she.restart(journey)
    she.rolls_back(journey)
    assert not she.mounts()
    assert set(done(she.does("mount"))) == {"activate"}
    assert she.mounts() == before
    assert guest.run(["cat", f"/mnt{journey.marked}/file"]).stdout == "kept\n"
    assert (guest.run(["ls", "/mnt/gone"], check=False).status == 0) is not bool(journey.encrypted)
    assert done(she.does("mount")) == []
    again = she.does("apply", "--yes")
    assert (done(again), again.get("processes", 0)) == ([], 0)

    she.prepare(journey, journey.change)
    she.words = (*journey.words, *journey.more)
    size = she.size(journey.changed) if f"/mnt{journey.changed}".rstrip("/") in before else None
    changed = she.does("apply", "--yes")
    assert set(done(changed)) <= {"modify", "activate"}
    assert size is None or she.size(journey.changed) > size
    assert f"/mnt{journey.changed}".rstrip("/") in she.mounts()
    assert done(she.does("apply", "--yes")) == []
    assert guest.run(["cat", f"/mnt{journey.marked}/file"]).stdout == "kept\n"

    assert set(done(she.does("unmount"))) == {"deactivate"}
    assert not she.mounts()
    assert done(she.does("unmount")) == []
    assert set(done(she.does("mount"))) == {"activate"}
    assert she.says("verify")["as_wanted"]
