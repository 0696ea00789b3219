"""Memory, directories and files in use on a real kernel: mounted, swapped to, changed in place, ended again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.backends import btrfs, dmcrypt, filesystems, gpt, mounts, swap
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.plugin import State
from tests.integration.carrying import carry_out

if TYPE_CHECKING:
    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

MIB = 1 << 20


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    disks = (LabDisk(name="a", size=512 * MIB), LabDisk(name="b", size=512 * MIB))
    return boot_shared(Lab(disks=disks, modules=("btrfs", "dm_crypt")))


def layout(
    machine: pn.Machine,
    *,
    tmp: tuple[str, ...] = ("size=1M",),
    root: tuple[str, ...] = (),
    label: str = "swap",
    priorities: tuple[int, int] = (9, 3),
    size: str = "32MiB",
) -> pn.Wanted:
    one, two = machine.disks.exactly(2)
    draft = pn.Draft(machine, take=[one, two])
    table = draft.add(gpt.Table(), on=[one])
    area = draft.add(gpt.Partition(number=1, size="64MiB", type="swap"), on=[table])
    use = swap.Use(priority=priorities[0], discard=True, discard_policy="pages")
    draft.add(use, on=[draft.add(swap.Area(label=label), on=[area])])
    last = draft.add(gpt.Partition(number=3, size="64MiB", type="scratch"), on=[table])
    secret = draft.add(dmcrypt.Plain(mapper="secret swap"), on=[last])
    draft.add(swap.Use(priority=1), on=[draft.add(swap.Area(), on=[secret])])
    part = draft.add(gpt.Partition(number=2, size=pn.Rest()), on=[table])
    ext4 = draft.add(filesystems.Filesystem(type="ext4", label="root"), on=[part])
    draft.add(mounts.Mount(at="/", options=root), on=[ext4])
    draft.add(mounts.Mount(at="/bound", directory="/srv/data", options=("noexec",)), on=[ext4])
    draft.add(mounts.Mount(at="/tmp", type="tmpfs", options=tmp, mode=0o1777))
    pool = draft.add(btrfs.Btrfs(label="pool"), on=[two])
    inner = draft.add(btrfs.Subvolume(name="swap"), on=[pool])
    draft.add(mounts.Mount(at="/.swap"), on=[inner])
    draft.add(swap.File(path="/mnt/.swap/file", size=size, priority=priorities[1]), on=[inner])
    return draft.wanted()


def test_everything_is_in_use_and_not_again(guest: Guest) -> None:
    carry_out(guest, layout(pn.probe(guest.host)))
    guest.script("mkdir -p /mnt/srv/data; echo seen > /mnt/srv/data/file")
    assert guest.run(["cat", "/mnt/bound/file"]).stdout == "seen\n"
    assert guest.run(["stat", "-c", "%a", "/mnt/tmp"]).stdout == "1777\n"
    swaps = {line.split()[0]: line.split()[4] for line in guest.run(["cat", "/proc/swaps"]).stdout.splitlines()[1:]}
    assert swaps == {"/dev/sda1": "9", "/mnt/.swap/file": "3", "/dev/dm-0": "1"}


def test_options_change_in_place(guest: Guest) -> None:
    guest.script("echo kept > /mnt/tmp/file")
    wanted = layout(pn.probe(guest.host), tmp=("size=2M", "nosuid"), root=("noatime",))
    plan = pn.schedule(pn.probe(guest.host), wanted)
    assert {each.verb for each in plan.actions} == {pn.Verb.MODIFY}
    carry_out(guest, wanted)
    assert guest.run(["cat", "/mnt/tmp/file"]).stdout == "kept\n"
    assert "size=2048k" in guest.run(["grep", " /mnt/tmp ", "/proc/mounts"]).stdout


def test_a_mode_that_somebody_changed_is_said_and_given_back(guest: Guest) -> None:
    wanted = layout(pn.probe(guest.host), tmp=("size=2M", "nosuid"), root=("noatime",))
    guest.script("chmod 755 /mnt/tmp")
    assert [each.text for each in pn.verify(wanted, guest.host)] == ["is not as wanted: mode is 0755, wanted 1777"]
    carry_out(guest, wanted)
    assert guest.run(["stat", "-c", "%a", "/mnt/tmp"]).stdout == "1777\n"
    assert guest.run(["cat", "/mnt/tmp/file"]).stdout == "kept\n"


def swaps(guest: Guest) -> dict[str, tuple[str, str]]:
    """Give the size and the priority of whatever is swapped to."""
    lines = [line.split() for line in guest.run(["cat", "/proc/swaps"]).stdout.splitlines()[1:]]
    return {words[0]: (words[2], words[4]) for words in lines}


def test_swap_changes_while_it_is_in_use(guest: Guest) -> None:
    wanted = layout(pn.probe(guest.host), tmp=("size=2M",), label="other swap", priorities=(5, 8), size="48MiB")
    assert {each.text.removeprefix("is not as wanted: ") for each in pn.verify(wanted, guest.host)} == {
        "size is 32 MiB, wanted 48 MiB; priority is 3, wanted 8",
        "priority is 9, wanted 5",
        "label is swap, wanted other swap",
    }
    plan = pn.schedule(pn.probe(guest.host), wanted)
    assert not any(each for each in plan.losses().values())
    carry_out(guest, wanted)
    assert swaps(guest)["/mnt/.swap/file"] == (str(48 * 1024 - 4), "8")
    assert swaps(guest)["/dev/sda1"][1] == "5"
    assert guest.run(["blkid", "-o", "value", "-s", "LABEL", "-p", "/dev/sda1"]).stdout == "other swap\n"
    carry_out(guest, layout(pn.probe(guest.host)))


def test_everything_is_ended_and_comes_back(guest: Guest) -> None:
    guest.script("swapoff -a; umount -R /mnt; cryptsetup close 'secret swap'")
    machine = pn.probe(guest.host)
    (closed,) = machine.graph.of(dmcrypt.Plain)
    assert closed.state is State.INACTIVE, "nobody can read it, and the partition says that nobody is to"
    report = carry_out(guest, layout(pn.probe(guest.host)))
    assert {each.action.split()[0] for round_ in report.rounds for each in round_.done} == {"activate"}
    assert guest.run(["cat", "/mnt/bound/file"]).stdout == "seen\n"


def test_what_is_in_use_goes_with_its_disk(guest: Guest) -> None:
    guest.script("umount /mnt/tmp")
    machine = pn.probe(guest.host)
    wanted = pn.Draft(machine, take=machine.disks).wanted()
    carry_out(guest, wanted)
    assert not guest.run(["grep", "-E", " /mnt", "/proc/mounts"], check=False).stdout
