"""Another program makes what is wanted, on a real kernel: on disks that were cleared, and again after it failed.

The program is a stand-in for Disko: it writes tables, arrays, groups and filesystems with the tools Disko calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.backends.gpt import Partition
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.model.action import Verb
from pre_nixos.model.draft import Engine
from pre_nixos.model.step import RequireUnclaimed, WriteTable
from tests.unit.layouts.cases import layout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pre_nixos.lab.guest import Guest
    from pre_nixos.model.draft import Wanted
    from tests.integration.conftest import BootGuest

MIB = 1 << 20
DISKS, BYSTANDER = ("a", "b"), "c"
PROGRAM, FILE = "/run/stand-in", "/var/log/pre-nixos/disko-config.nix"


@pytest.fixture
def guest(boot_fresh: BootGuest) -> Guest:
    return boot_fresh(Lab(disks=tuple(LabDisk(name=name, size=1000 * MIB) for name in (*DISKS, BYSTANDER))))


def sections() -> dict[str, Any]:
    raid = {"size": "100%", "type": "FD00", "content": {"type": "mdraid", "name": "main"}}
    table = {"type": "gpt", "partitions": {"raid": raid}}
    root = {"type": "filesystem", "format": "ext4", "mountpoint": "/"}
    return {
        "disk": {"main": {"select": {"count": 2, "min": "500M"}, "content": table}},
        "mdadm": {"main": {"type": "mdadm", "level": 1, "content": {"type": "lvm_pv", "vg": "pool"}}},
        "lvm_vg": {"pool": {"type": "lvm_vg", "lvs": {"root": {"size": "300M", "content": root}}}},
    }


def program(guest: Guest, wanted: Wanted) -> str:
    """What Disko would do, as a script that fails half way the first time."""
    there = pn.probe(guest.host)
    native = pn.schedule(there, wanted)
    tables = [step for action in native.actions for step in action.steps if isinstance(step, WriteTable)]
    lines = [
        "#!/bin/sh",
        'if [ "$1" = --dry-run ]; then touch /run/tried; test -s "$2"; exit; fi',
        "set -eux",
        f"test -s {FILE}",
        'test "$NIX_PATH" = nixpkgs=/pkgs',
    ]
    nodes: list[str] = []
    for table in (each for each in tables if each.entries):
        device = there.graph[table.target.layer].device
        assert device is not None
        (part,) = table.entries
        place = f"{part.start // 512}:{(part.start + part.length) // 512 - 1}"
        nodes.append(f"/dev/{device.name}")
        lines += [
            f"sgdisk --new=1:{place} --typecode=1:FD00 --change-name=1:'{part.name}' {nodes[-1]}",
            f"partprobe {nodes[-1]}; udevadm trigger --settle --subsystem-match=block",
        ]
    parts = " ".join(f"{node}1" for node in nodes)
    lines += [
        f"mdadm --create /dev/md/main --run --level=1 --raid-devices=2 --metadata=1.2 --homehost=any {parts}",
        "vgcreate --yes pool /dev/md/main",
        "if [ ! -e /run/second ]; then touch /run/second; echo 'no luck' >&2; exit 3; fi",
        "lvcreate --yes --name root --size 300M pool",
        "mkfs.ext4 -q /dev/pool/root",
        "mkdir -p /mnt; mount /dev/pool/root /mnt",
    ]
    return "\n".join(lines) + "\n"


def serials(guest: Guest) -> Sequence[str]:
    """Name the disks that may be taken."""
    numbers = {guest.node(each) for each in DISKS}
    return [each.id for each in pn.probe(guest.host).disks if each.device and f"/dev/{each.device.name}" in numbers]


def addresses(guest: Guest) -> dict[str, str]:
    """Give the links by which Disko is told of the disks."""
    there = pn.probe(guest.host)
    links = {each.id: each.device.links for each in there.disks if each.device and each.id in serials(guest)}
    return {id_: next(each for each in its if each.startswith("/dev/disk/by-id/")) for id_, its in links.items()}


def refuses_for_a_bystander(guest: Guest, plan: pn.Plan, label: str) -> None:
    """Give another disk a partition with a label that the program looks for, and see that nothing is touched."""
    node = guest.node(BYSTANDER)
    guest.script(
        f"sgdisk --new=1:2048:0 --change-name=1:'{label}' {node} && partprobe {node};"
        f" udevadm trigger --settle --subsystem-match=block; mkfs.ext4 -q -L bystander {node}1"
    )
    with pytest.raises(pn.Refused, match=f"is found at /dev/disk/by-partlabel/{label}"):
        pn.apply(plan, consent=plan.digest, host=guest.host)
    assert guest.script("grep -c ' /srv ext4 ' /proc/mounts").stdout.strip() == "1"
    assert not guest.script("ls /run/tried 2>/dev/null || true").stdout
    # What only udev and the kernel know is noticed by the last look, just before the program runs.
    unclaimed = next(each for each in plan.actions[-1].steps if isinstance(each, RequireUnclaimed))
    outcome = guest.host.do(unclaimed, {}, {})
    assert outcome.refused
    assert f"by-partlabel/{label} leads to" in outcome.detail
    assert f"is labelled {label!r}" in outcome.detail
    guest.script(f"sgdisk --change-name=1:other {node} && partprobe {node}; udevadm trigger --settle {node}1")


def test_what_is_in_the_way_goes_and_what_half_a_run_left_goes_too(guest: Guest, tmp_path: Path) -> None:
    nodes = [guest.node(each) for each in DISKS]
    guest.script(
        f"mdadm --create /dev/md/old --run --level=1 --raid-devices=2 --metadata=1.2 {' '.join(nodes)} &&"
        " vgcreate --yes old /dev/md/old && lvcreate --yes --name srv --size 100M old && mkfs.ext4 -q /dev/old/srv &&"
        " mkdir -p /srv && mount /dev/old/srv /srv"
    )
    wanted = pn.read_layout(pn.probe(guest.host), layout(tmp_path, sections()), disks={"main": list(serials(guest))})
    text = program(guest, wanted)
    guest.script(f"cat > {PROGRAM} <<'END'\n{text}END\nchmod +x {PROGRAM}")
    argv = ("env", "NIX_PATH=nixpkgs=/pkgs", PROGRAM)
    labels = {each.label for each in wanted.graph.of(Partition) if each.label}
    engine = Engine(
        name="disko",
        argv=argv,
        path=FILE,
        content="{ }\n",
        trial=(*argv, "--dry-run", FILE),
        addresses=addresses(guest),
        claims=("/dev/md/main", "/dev/pool", *(f"/dev/disk/by-partlabel/{each}" for each in sorted(labels))),
        unmounts=("/mnt",),
        wakes=("lvm.group",),
    )
    wanted = msgspec.structs.replace(wanted, engine=engine)
    plan = pn.schedule(pn.probe(guest.host), wanted)
    assert not plan.objections
    assert [each.verb for each in plan.actions if each.verb in {Verb.FORMAT, Verb.ACTIVATE}] == [Verb.FORMAT]
    refuses_for_a_bystander(guest, plan, min(labels))
    report = pn.apply(plan, consent=plan.digest, host=guest.host)
    assert report.problem == ""
    failed, again = report.rounds
    assert "status 3" in failed.problem
    assert "no luck" in failed.problem
    torn = [each.target for each in again.plan.actions if each.verb is Verb.TEARDOWN]
    assert "mdraid.array:main" in torn
    assert not pn.verify(wanted, guest.host)
    assert guest.script("grep -c ' /mnt ext4 ' /proc/mounts").stdout.strip() == "1"
    assert "old" not in guest.script("vgs --noheadings -o name").stdout
    assert guest.script(f"blkid -p -s LABEL -o value {guest.node(BYSTANDER)}1").stdout.strip() == "bystander"
    second = pn.schedule(pn.probe(guest.host), wanted)
    assert not second.actions
    assert not second.objections
