"""Scripts of a layout on a real kernel: run at their moment, whole, once; and what becomes of it if one fails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pre_nixos as pn
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.lab.rehearsal import LayoutFile, rehearse
from pre_nixos.model.script import Moment
from tests.integration.carrying import carry_out
from tests.unit.layouts.cases import disk, layout, with_disks

if TYPE_CHECKING:
    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

MIB = 1 << 20
NASTY = "$HOME `id` \"q\" 'q' %s ${x} $(y) \\ \t* nähe \N{SNOWMAN}"
HEAR = "cat; env | cut -d= -f1 | sort | tr '\\n' ' ' > /run/environment\n"


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    disks = tuple(LabDisk(name=name, size=size * MIB) for name, size in (("a", 300), ("b", 1500)))
    return boot_shared(Lab(disks=disks, modules=("btrfs",)))


def traced(word: str) -> str:
    return f"echo {word} >> /run/trace\n"


def trace(guest: Guest) -> list[str]:
    """What was left by scripts since it was asked for last."""
    said = guest.script("touch /run/trace; cat /run/trace; rm /run/trace").stdout
    return said.split()


def root(**hooks: str) -> dict[str, Any]:
    """A filesystem on the smaller disk."""
    content = {"type": "filesystem", "format": "ext4", "mountpoint": "/", **hooks}
    table = {"type": "gpt", "partitions": {"root": {"size": "100%", "content": content}}}
    return {"disk": {"main": {"select": {"max": "1G"}, "content": table, "preCreateHook": traced("disk")}}}


def tree(*subvolumes: str) -> dict[str, Any]:
    """A btrfs on the larger one; every subvolume of it has a script."""
    made = {each: {"postCreateHook": traced(each)} for each in subvolumes}
    content = {"type": "btrfs", "subvolumes": made, "postCreateHook": traced("tree")}
    return {"disk": {"main": {"select": {"min": "1200M"}, "content": content}}}


def wanted_of(guest: Guest, sections: dict[str, Any], folder: Path, at: str = "/mnt") -> pn.Wanted:
    return pn.read_layout(pn.probe(guest.host), layout(folder, sections), root=at, allow_hooks=True)


def fails(guest: Guest, wanted: pn.Wanted) -> pn.Report:
    plan = pn.schedule(pn.probe(guest.host), wanted)
    with pytest.raises(pn.Failed) as caught:
        pn.apply(plan, consent=plan.digest, host=guest.host)
    assert len(caught.value.report.rounds) == 1
    return caught.value.report


def test_they_leave_their_traces_once(guest: Guest, tmp_path: Path) -> None:
    made = f"{HEAR}cat > /run/text <<'END'\n{NASTY}\nEND\n{traced('made')}"
    mounted = f"grep -q ' /mnt ext4 ' /proc/mounts\ntouch /mnt/from-script\n{traced('mounted')}"
    sections = root(postCreateHook=made, preMountHook=traced("before"), postMountHook=mounted)
    wanted = wanted_of(guest, sections, tmp_path)
    carry_out(guest, wanted)
    assert trace(guest) == ["disk", "made", "before", "mounted"]
    assert guest.run(["cat", "/run/text"]).stdout == f"{NASTY}\n"
    assert guest.run(["ls", "/mnt/from-script"]).status == 0
    names = set(guest.run(["cat", "/run/environment"]).stdout.split())
    assert names <= {"LC_ALL", "PATH", "LVM_SUPPRESS_FD_WARNINGS", "PWD", "SHLVL", "OLDPWD", "_"}
    assert carry_out(guest, wanted).actions == 0
    assert trace(guest) == []


def test_what_was_unmounted_is_mounted_with_those_of_the_mount_alone(guest: Guest, tmp_path: Path) -> None:
    sections = root(postCreateHook=traced("made"), postMountHook=traced("mounted"), preUnmountHook=traced("leaving"))
    guest.script("umount /mnt")
    carry_out(guest, wanted_of(guest, sections, tmp_path))
    assert trace(guest) == ["mounted"]
    assert guest.run(["ls", "/mnt/from-script"]).status == 0


def test_one_that_fails_while_something_is_made_has_it_made_anew(guest: Guest, tmp_path: Path) -> None:
    failing = f"{traced('made')}echo this is why >&2\ntest -e /run/go\n{traced('went-on')}"
    sections = root(postCreateHook=failing, preUnmountHook=traced("leaving"))
    sections["disk"]["main"]["content"]["partitions"]["root"]["content"]["label"] = "anew"
    sections["disk"]["main"]["content"]["partitions"]["root"]["content"]["format"] = "ext3"
    wanted = wanted_of(guest, sections, tmp_path)
    wanted = wanted.replacing(*(each for each in wanted.graph if each.endswith("/filesystem")))
    report = fails(guest, wanted)
    assert report.rounds[0].failed.startswith("format")
    assert report.problem.endswith("status 1; it may have written: this is why")
    assert report.advice.startswith("Whatever its scripts did aside")
    assert trace(guest) == ["leaving", "made"]
    guest.script("touch /run/go")
    carry_out(guest, wanted)
    assert trace(guest) == ["made", "went-on"]
    guest.script("rm /run/go")


def test_one_that_fails_after_a_mount_is_run_again_without_any_loss(guest: Guest, tmp_path: Path) -> None:
    guest.script("touch /mnt/kept; umount /mnt")
    partition = root(postMountHook=f"{traced('mounted')}ls /mnt/kept /run/go")
    partition["disk"]["main"]["content"]["partitions"]["root"]["content"] |= {"label": "anew", "format": "ext3"}
    wanted = wanted_of(guest, partition, tmp_path)
    report = fails(guest, wanted)
    assert "cannot access '/run/go'" in report.problem
    assert guest.run(["ls", "/mnt/kept"]).status == 0
    guest.script("touch /run/go")
    again = carry_out(guest, wanted)
    assert [each.action.split()[0] for each in again.rounds[0].done] == ["deactivate", "activate"]
    assert trace(guest) == ["mounted", "mounted"]
    assert guest.run(["ls", "/mnt/kept"]).status == 0


def test_one_that_writes_where_something_is_to_be_made_is_found_out(guest: Guest, tmp_path: Path) -> None:
    name = guest.kernel_name("b")
    sections = tree("/x")
    content = sections["disk"]["main"]["content"]
    content["preCreateHook"] = f"echo something > /dev/{name}\nsync\n"
    wanted = wanted_of(guest, sections, tmp_path)
    report = fails(guest, wanted)
    assert "unknown data) now, which would have to go, and which nobody was asked about" in report.problem
    assert "blank" in report.rounds[0].problem
    assert not guest.run(["grep", "btrfs", "/proc/mounts"], check=False).stdout
    assert trace(guest) == []


def test_what_is_added_has_its_own_run_and_no_other(guest: Guest, tmp_path: Path) -> None:
    carry_out(guest, wanted_of(guest, tree("/x"), tmp_path))
    assert trace(guest) == ["/x", "tree"]
    wanted = wanted_of(guest, tree("/x", "/y"), tmp_path)
    assert len(wanted.scripts) == 3
    assert {each.moment for each in wanted.scripts} == {Moment.AFTER_MAKING}
    carry_out(guest, wanted)
    assert trace(guest) == ["/y"]


def test_in_a_rehearsal_they_run_on_the_twin_alone(tmp_path: Path) -> None:
    there = with_disks(disk("only", 1))
    file = Path(__file__).with_name("left-by-a-script")
    path = layout(tmp_path, root(postMountHook=f"grep -q 'User Mode Linux' /proc/cpuinfo\ntouch {file} || true\n"))
    with pytest.raises(pn.InvalidLayout, match="--allow-hooks"):
        rehearse(there, "", layout=LayoutFile(path=path), artefacts=str(tmp_path / "artefacts"))
    allowed = LayoutFile(path=path, allow_hooks=True)
    assert rehearse(there, "", layout=allowed, artefacts=str(tmp_path / "artefacts")).convinced
    assert not file.exists()
