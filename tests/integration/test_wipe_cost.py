"""What wiping costs: fewer programs than a script in the usual style starts for the same stack, in the same guest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pytest

import pre_nixos as pn
from pre_nixos.host.questions import Command, Question
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.model.data import Data
from pre_nixos.model.step import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.host.api import Deed, Host, Outcome
    from pre_nixos.lab.guest import Guest
    from pre_nixos.model.step import Step
    from tests.integration.conftest import BootGuest

A = TypeVar("A")


class Counting:
    """A host that counts the programs it starts, for looking and for doing alike."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.programs = 0

    def ask(self, question: Question[A]) -> A:
        asked: Any = question
        self.programs += isinstance(asked, Command)
        return self._host.ask(question)

    def do(self, work: Step | Deed, places: Mapping[str, str], secrets: Mapping[str, str]) -> Outcome:
        outcome = self._host.do(work, places, secrets)
        self.programs += outcome.processes
        return outcome


class Stack(Data):
    """Something on two disks, and the script one finds for taking it off again."""

    name: str
    make: str
    script: str


PARTITIONS = """
for disk; do printf 'size=16MiB\\nsize=128MiB\\n' | sfdisk -q --label gpt "$disk"; done
udevadm settle
"""
STACKS = (
    Stack(
        name="volumes-on-a-mirror",
        make=PARTITIONS
        + """
yes | mdadm --create /dev/md/main --quiet --run --assume-clean --level=1 --raid-devices=2 "${1}2" "${2}2"
udevadm settle
vgcreate -qq main /dev/md/main
for name in root home swap; do lvcreate -qq --yes --name $name --size 32m main; done
mkfs.ext4 -q /dev/main/root
mkfs.ext4 -q /dev/main/home
mkswap -q /dev/main/swap
swapon /dev/main/swap
mkdir -p /srv/main
mount /dev/main/root /srv/main
mkdir /srv/main/home
mount /dev/main/home /srv/main/home
""",
        script="""
umount /srv/main/home
umount /srv/main
swapoff /dev/main/swap
lvremove -f main/root
lvremove -f main/home
lvremove -f main/swap
vgremove -f main
pvremove -f /dev/md/main
mdadm --stop /dev/md/main
mdadm --zero-superblock "${1}2"
mdadm --zero-superblock "${2}2"
wipefs -a "${1}1"
wipefs -a "${1}2"
wipefs -a "$1"
blockdev --rereadpt "$1"
wipefs -a "${2}1"
wipefs -a "${2}2"
wipefs -a "$2"
blockdev --rereadpt "$2"
udevadm settle
""",
    ),
    Stack(
        name="encrypted-and-plain",
        make=PARTITIONS
        + """
head -c 64 /dev/zero > /run/key
for disk; do
    cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /run/key "${disk}2"
    cryptsetup open --key-file /run/key "${disk}2" "crypt-${disk#/dev/}"
    udevadm settle
    mkfs.ext4 -q "/dev/mapper/crypt-${disk#/dev/}"
    mkfs.vfat --mbr=n "${disk}1" > /dev/null
done
""",
        script="""
cryptsetup close "crypt-${1#/dev/}"
cryptsetup close "crypt-${2#/dev/}"
cryptsetup erase -q "${1}2"
cryptsetup erase -q "${2}2"
wipefs -a "${1}1"
wipefs -a "${1}2"
wipefs -a "$1"
blockdev --rereadpt "$1"
wipefs -a "${2}1"
wipefs -a "${2}2"
wipefs -a "$2"
blockdev --rereadpt "$2"
udevadm settle
""",
    ),
)


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    return boot_shared(Lab(disks=(LabDisk(name="a", size=192 * MIB), LabDisk(name="b", size=192 * MIB))))


def on_both(guest: Guest, script: str) -> None:
    guest.script(f"{script}\nudevadm settle", guest.node("a"), guest.node("b"))


@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: stack.name)
def test_it_takes_fewer_programs_than_a_script(guest: Guest, stack: Stack) -> None:
    on_both(guest, stack.make)
    on_both(guest, stack.script)
    theirs = len(stack.script.strip().splitlines())
    # What the script left behind in places it does not know of is not ours to begin with.
    for disk in "ab":
        guest.run(["dd", "if=/dev/zero", f"of={guest.node(disk)}", "bs=1M", "count=192", "status=none"], check=False)
    on_both(guest, 'for disk; do blockdev --rereadpt "$disk"; done')
    on_both(guest, stack.make)
    host = Counting(guest.host)
    machine = pn.probe(host)
    plan = pn.schedule(machine, pn.blank(machine, list(machine.all_disks)))
    report = pn.apply(plan, consent=plan.digest, host=host)
    assert not pn.verify(plan.wanted, host)
    print(f"{stack.name}: {host.programs} programs of ours, {theirs} of a script; {report.actions} actions")  # noqa: T201 - shown with -rP
    assert host.programs < theirs
