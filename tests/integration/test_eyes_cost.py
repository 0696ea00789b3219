"""Looking costs a handful of processes, however much there is to be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import pre_nixos as pn
from pre_nixos.host.questions import Command, ReadBlockNodes, SafeProbe
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.lab.residue import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.host.api import Reader
    from pre_nixos.host.questions import Question
    from tests.integration.conftest import BootGuest

A = TypeVar("A")
MIB = 1 << 20

ONE_OF_EACH = Recipe(
    name="one-of-each",
    story="An array that runs and one that does not, a volume group, LUKS, btrfs, a raw table and a filesystem.",
    disks=1,
    script="""
udevadm control --property=ANACONDA=1
for n in $(seq 9); do echo "size=128MiB"; done | sfdisk -q --label gpt "$1"
udevadm settle
name=${1#/dev/}
for array in running stopped; do
    [ $array = running ] && members="${1}1 ${1}2" || members="${1}3 ${1}4"
    yes | mdadm --create "/dev/md/$array-$name" --quiet --run --homehost=any --level=1 --metadata=1.2 \\
        --assume-clean --raid-devices=2 $members
done
mdadm --stop --quiet "/dev/md/stopped-$name"
vgcreate -qq "group-$name" "${1}5"
lvcreate -qq --yes --name volume --size 16m "group-$name"
head -c 64 /dev/zero > /run/key
cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /run/key "${1}6"
mkfs.btrfs -q "${1}7" 2> /dev/null
echo "0 65536 linear ${1}8 2048" | dmsetup create "raw-$name"
mkfs.ext4 -q "${1}9"
udevadm settle
udevadm control --property=ANACONDA=
""",
)


class Counting:
    """A reader that remembers what was asked of it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.asked: list[Question[object]] = []

    def ask(self, question: Question[A]) -> A:
        self.asked.append(cast("Question[object]", question))
        return self._reader.ask(question)

    def programs(self) -> Sequence[str]:
        return sorted(each.argv[0] for each in self.asked if isinstance(each, Command))

    def count(self, kind: type[Question[A]]) -> int:
        return sum(isinstance(each, kind) for each in self.asked)


def test_three_times_as_many_devices_take_no_more_processes(boot_fresh: BootGuest) -> None:
    disks = tuple(LabDisk(name=name, size=1280 * MIB) for name in "abc")
    guest = boot_fresh(Lab(disks=disks, memory=768 * MIB, modules=("dm_crypt", "btrfs")))
    seen: list[tuple[int, int, Counting]] = []
    for disks_used in (("a",), ("b", "c")):
        for disk in disks_used:
            guest.dirty(ONE_OF_EACH, disk)
        reader = Counting(guest.host)
        layers = len(pn.probe(reader).graph)
        seen.append((len(guest.host.ask(ReadBlockNodes()).nodes), layers, reader))
    (few, layers_few, first), (many, layers_many, second) = seen
    assert many - few >= 20
    assert layers_many - layers_few >= 35
    assert first.programs() == ["dmsetup", "lvm", "mdadm"]
    assert second.programs() == first.programs()
    assert [each.count(SafeProbe) for each in (first, second)] == [1, 1]
    assert [each.count(ReadBlockNodes) for each in (first, second)] == [1, 1]
